package sdk

import (
	"context"
	"encoding/json"
	"testing"
)

const capabilityFields = `
	X.transportId X.version s R
	X.mode X.signaling X.encoding s ON
	X.features X.protocols ss L`

const accessFields = `
	access a L
	access[].schemaVersion s=peaq.stream.buyer-access.v1 R
	access[].chunkId s R
	access[].buyer o R
	access[].buyer.recipientType w=owner|operator|machine|buyer R
	access[].buyer.recipientId access[].buyer.algorithm access[].buyer.publicKeyHex access[].buyer.wrappedKeyHex s R`

const connectFields = `
	X.connect o ON
	X.connect.type X.connect.url X.connect.expiresAt s R`

const purchaseFields = `
	item o R
	item.id item.createdAt item.updatedAt s R
	item.status w=delivery_reserving|delivery_reserved|payment_pending|payment_verified|` +
	`delivery_released|active|completed|cancelled|failed R
	item.resource o R
	item.resource.type item.resource.listingId s R
	item.resource.mode s ON
	item.resource.selection o ON
	item.resource.selection.chunkIds ss L
	item.resource.selection.topic item.resource.selection.startTime item.resource.selection.endTime s ON
	item.buyer o R
	item.buyer.id s R
	item.buyer.machineId s ON
	item.buyer.publicKey o R
	item.buyer.publicKey.type item.buyer.publicKey.publicKeyHex s R
	item.buyer.deliveryCapabilities a L
	item.payment o R
	item.payment.status w=pending|verified R
	item.payment.rail item.payment.reference item.payment.recordedAt s ON
	item.delivery o R
	item.delivery.status w=requested|ready|active|completed|failed R
	item.delivery.mode item.delivery.transportId item.delivery.encoding item.delivery.sessionId s ON
	item.delivery.protocols ss L`

func TestFieldsOfDelivery(t *testing.T) {
	list := func(text string) string { return "items a R\n nextCursor s ON\n" + text }
	transports := failing(func(ctx context.Context, c *Client) ([]DeliveryTransport, error) { return c.Delivery.Transports(ctx) })
	rails := failing(func(ctx context.Context, c *Client) ([]PaymentRail, error) { return c.Delivery.PaymentRails(ctx) })
	runTables(t, []fieldTable{
		{"capabilities", failing(func(ctx context.Context, c *Client) (*DeliveryCapabilities, error) {
			return c.Delivery.PutCapabilities(ctx, "m", PutDeliveryCapabilities{AgentID: "a"})
		}), `
			item o R
			item.machineId item.agentId item.updatedAt s R
			item.status w=active|expired R
			item.expiresAt s ON
			item.resourceTypes ss L
			item.capabilities a L` + under("item.capabilities[]", capabilityFields)},
		{"p2p", transports, list(`
			items[].mode w=p2p R
			items[].transportId items[].version s R
			items[].features items[].protocols ss L
			items[].signaling items[].encoding items[].handoff s ON
			items[].connectSchema items[].paramsSchema x ON`)},
		{"storage", transports, list(`
			items[].mode w=storage R
			items[].provider s R
			items[].features ss L`)},
		{"tunnel", transports, list(`
			items[].mode w=tunnel R
			items[].provider s R
			items[].features ss L`)},
		{"x402", rails, list(`
			items[].type w=x402 R
			items[].requiresProof b R
			items[].chains items[].tokens ss L`)},
		{"transfer", rails, list(`
			items[].type w=transfer R
			items[].verification w=destination-chain-finality R
			items[].chains items[].tokens ss L`)},
	})
}

func TestFieldsOfPurchases(t *testing.T) {
	token := NewSecret("t")
	buyer := PurchaseBuyerInput{ID: "b", PublicKey: BuyerPublicKey{"x25519", "aa"}}
	runTables(t, []fieldTable{
		{"create", failing(func(ctx context.Context, c *Client) (*Purchase, error) {
			return c.Purchases.Create(ctx, token, CreatePurchase{Buyer: buyer})
		}), purchaseFields + under("item.buyer.deliveryCapabilities[]", capabilityFields)},
		{
			"get", failing(func(ctx context.Context, c *Client) (*Purchase, error) { return c.Purchases.Get(ctx, "p") }),
			purchaseFields + under("item.buyer.deliveryCapabilities[]", capabilityFields),
		},
		{"intent", failing(func(ctx context.Context, c *Client) (*PurchaseIntent, error) {
			return c.Purchases.CreatePaymentIntent(ctx, "p", token, CreatePurchaseIntent{Rail: X402Rail{}})
		}), `
			item o R
			item.purchaseId s R
			item.status w=payment_pending R
			item.rail item.instructions r R
			item.amount o R
			item.amount.value item.amount.token item.amount.chain s R`},
		{"proof", failing(func(ctx context.Context, c *Client) (*PurchaseReceipt, error) {
			return c.Purchases.SubmitPaymentProof(ctx, "p", token, TransferProof{})
		}), `
			item o R
			item.purchaseId s R
			item.paymentStatus w=verified R
			item.deliveryStatus w=blocked|releasable R
			item.receipt o ON
			item.receipt.verifiedAt s R
			item.receipt.chain item.receipt.transactionHash item.receipt.verificationMode s ON
			item.receipt.status w=recorded|verified ON
			item.receipt.blockNumber i ON`},
		{"event", failing(func(ctx context.Context, c *Client) (*PurchaseEvent, error) {
			return c.Purchases.CreateEvent(ctx, "p", CreatePurchaseEvent{Type: "seller.ready"})
		}), `
			item o R
			item.id item.purchaseId item.type item.createdAt s R`},
		{"delivery", failing(func(ctx context.Context, c *Client) (*StreamDelivery, error) {
			return c.Purchases.Delivery(ctx, "p", token)
		}), `
			purchaseId s R
			delivery o R
			delivery.status delivery.mode delivery.transportId delivery.sessionId s R
			delivery.signaling o R
			delivery.signaling.type delivery.signaling.channelId s R
			delivery.protocols ss L
			delivery.encoding s ON` + under("delivery", connectFields) + accessFields},
		{"prepare", failing(func(ctx context.Context, c *Client) (*PreparedAccess, error) {
			return c.Purchases.PrepareAccessRaw(ctx, "p", json.RawMessage(`{}`))
		}), `
			item o R
			item.id item.listingId item.machineId item.buyerId item.currency item.status item.deliverySessionId s R
			item.amount n R
			item.chunkIds item.accessGrantIds ss L
			item.payment o R
			item.payment.status s R
			item.payment.reference item.payment.recordedAt s ON
			deliverySession o R
			deliverySession.id deliverySession.machineId deliverySession.orderId deliverySession.buyerId s R
			deliverySession.status deliverySession.createdAt deliverySession.updatedAt s R
			deliverySession.chunkIds ss L
			deliverySession.requestedRange x ON
			deliverySession.delivery o R
			deliverySession.delivery.mode deliverySession.delivery.transportId s R
			deliverySession.delivery.protocols ss L
			deliverySession.delivery.encoding deliverySession.delivery.url deliverySession.delivery.accessToken s ON
			deliverySession.delivery.expiresAt deliverySession.delivery.message s ON
			deliverySession.delivery.maxDownloads deliverySession.delivery.downloadCount i ON
			deliverySession.delivery.params x ON` + under("deliverySession.delivery", connectFields) + accessFields},
	})
}

func TestFieldsOfPoliciesAndTheOrchestrator(t *testing.T) {
	const policy = `
		X.id X.name X.createdAt X.updatedAt s R
		X.allowedSkillKeys X.deniedSkillKeys X.regionRules X.requiredCapabilities ss L
		X.nativeOnly X.handoffAllowed b R
		X.budgetCap o ON
		X.budgetCap.currency s R
		X.budgetCap.amount n R`
	runTables(t, []fieldTable{
		{
			"policies", failing(func(ctx context.Context, c *Client) (*Page[Policy], error) { return c.Policies.List(ctx) }),
			"items a R\n nextCursor s ON\n" + under("items[]", policy),
		},
		{
			"create", failing(func(ctx context.Context, c *Client) (*Policy, error) {
				return c.Policies.Create(ctx, CreatePolicy{Name: "n"})
			}),
			"item o R\n" + under("item", policy),
		},
		{
			"update", failing(func(ctx context.Context, c *Client) (*Policy, error) {
				return c.Policies.Update(ctx, "p", UpdatePolicy{})
			}),
			"item o R\n" + under("item", policy),
		},
		{"readiness", failing(func(ctx context.Context, c *Client) (*Readiness, error) { return c.Observability.Readiness(ctx) }), `
			status w=ready|not_ready R
			checks a L
			checks[].name s R
			checks[].status w=pass|fail R
			checks[].message s ON`},
		{"audit", failing(func(ctx context.Context, c *Client) (*Page[AuditEvent], error) {
			return c.Observability.AuditEvents(ctx, AuditOptions{})
		}), `
			items a R
			nextCursor s ON
			items[].id items[].actor items[].type items[].resourceType items[].resourceId items[].createdAt s R
			items[].payload r ON`},
	})
}
