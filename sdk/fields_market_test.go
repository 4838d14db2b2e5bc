package sdk

import (
	"context"
	"testing"
)

const railFields = `
	X.defaultRail w=not-required|wallet|xvv42|x402|vault-stripe|escrow|offchain-record|external|onchain-escrow|wdk-usdt-transfer R
	X.supportedRails X.notes ss L
	X.required b R
	X.provider X.chain X.token X.tokenAddress X.tokenMint X.walletAddress X.externalUrl X.payerAddress X.payeeAddress s ON`

const handoffFields = `
	X.handoff o ON
	X.handoff.label X.handoff.url s R
	X.handoff.notes ss L`

const serviceFields = `
	X.id X.skillKey X.providerKey X.providerId X.providerLabel X.serviceType X.name X.description X.region X.updatedAt s R
	X.operations X.capabilities ss L
	X.authType w=none|api-key|bearer|wallet|local R
	X.accessMode w=public|credentialed|partner-approved|whitelisted|local R
	X.executionMode w=native|external-handoff R
	X.integrationStatus w=native|credentials-required|partner-required|local-config-required|setup-required|docs-only R
	X.distribution w=peaq-native|clawhub|openapi|mcp|docs-only R
	X.maturity w=reference|beta|production R
	X.kind w=runtime|reference R
	X.freshnessSeconds i R
	X.requiresHumanEnablement b R
	X.metadata r ON
	X.referenceUrl X.artifactUrl s ON
	X.operationContracts a L
	X.operationContracts[].operation s R
	X.operationContracts[].inputFields X.operationContracts[].outputFields a L
	X.operationContracts[].inputFields[].key X.operationContracts[].inputFields[].type s R
	X.operationContracts[].inputFields[].description s ON
	X.operationContracts[].exampleInput r ON
	X.operationContracts[].providerRequest q ON
	X.operationContracts[].summary s ON
	X.operationContracts[].notes ss L
	X.operationContracts[].outputFields[].key X.operationContracts[].outputFields[].type s R` + handoffFields

const skillFields = `
	X.key X.providerKey X.label X.description X.listedBy s R
	X.direction w=machine-offers|machine-consumes R
	X.scope w=core-product|bootstrap-reference|ecosystem R
	X.source w=peaq|partner|clawhub|external-marketplace R
	X.kind w=runtime|reference R
	X.authType w=none|api-key|bearer|wallet|local R
	X.authState w=unconfigured|configured|expired|invalid|restricted R
	X.accessMode w=public|credentialed|partner-approved|whitelisted|local R
	X.distribution w=peaq-native|clawhub|openapi|mcp|docs-only R
	X.maturity w=reference|beta|production R
	X.executionMode w=native|external-handoff R
	X.integrationStatus w=native|credentials-required R
	X.serviceTypes X.operations X.requiredEnv ss L
	X.requiresHumanEnablement b R
	X.lastVerifiedAt X.referenceUrl X.artifactUrl s ON` + handoffFields

const searchFields = `
	item o R
	item.id item.machineId item.createdAt s R
	item.request item.requestPayload r ON
	item.status w=completed|no_match R
	item.agentPairingId s ON
	item.normalizedTask o R
	item.normalizedTask.serviceType s R
	item.normalizedTask.requiredCapabilities ss L
	item.normalizedTask.allowExternalHandoff item.normalizedTask.requireNativeExecution b R
	item.normalizedTask.operation item.normalizedTask.region s ON
	item.quotes a R
	item.quotes[].id item.quotes[].serviceId item.quotes[].skillKey item.quotes[].providerKey item.quotes[].executionMode s R
	item.quotes[].integrationStatus item.quotes[].operation item.quotes[].expiresAt s R
	item.quotes[].score n R
	item.quotes[].reasons ss L
	item.quotes[].pricing o R
	item.quotes[].pricing.mode w=provider-defined|fixed|quote-required R
	item.quotes[].pricing.notes ss L
	item.quotes[].pricing.amount n ON
	item.quotes[].pricing.currency item.quotes[].pricing.rate s ON
	item.quotes[].payment o R`

const orderFields = `
	X.id X.machineId X.agentPairingId X.serviceId X.skillKey X.providerKey X.serviceType X.operation X.executionMode X.integrationStatus s R
	X.createdAt X.updatedAt s R
	X.status w=created|payment_pending|ready|executing|delivered|confirmed|disputed|cancelled|failed|handoff R
	X.input X.inputPayload q ON
	X.payment o R
	X.searchId X.quoteId X.errorMessage s ON
	X.budget o ON
	X.budget.amount n ON
	X.budget.currency s ON` + handoffFields

const paymentFields = `
	X.id X.orderId X.machineId X.createdAt X.updatedAt s R
	X.status w=not_required|intent_created|held|release_pending|released|frozen|refunded R
	X.rail o R
	X.rail.type w=x402|not-required R
	X.rail.chain X.rail.token X.rail.tokenAddress X.rail.tokenMint X.rail.escrowAddress X.rail.externalUrl X.rail.provider s ON
	X.rail.accountId X.rail.walletAddress X.rail.payerAddress X.rail.payeeAddress X.rail.paymentIntentId s ON
	X.rail.metadata q ON
	X.notes ss L
	X.amount n ON
	X.currency s ON
	X.proof o ON
	X.proof.chain X.proof.token X.proof.transactionHash X.proof.payerAddress X.proof.verifiedAt s ON
	X.proof.verificationMode w=recorded|rpc ON
	X.proof.metadata o ON
	X.proof.metadata.network X.proof.metadata.headerName s ON
	X.proof.metadata.paymentSettlement o ON
	X.proof.metadata.paymentSettlement.status X.proof.metadata.paymentSettlement.payerAddress s ON
	X.proof.metadata.paymentSettlement.response q ON`

func order(path string) string { return under(path, orderFields) + under(path+".payment", railFields) }

const nativeFields = `
	execution o R
	execution.statusCode i R
	execution.run o R
	execution.run.id s R
	execution.run.status w=completed|failed|external R
	execution.run.executionMode execution.run.skillKey execution.run.serviceId execution.run.outcomeId s ON
	execution.outcome o R
	execution.outcome.id execution.outcome.skillKey execution.outcome.serviceId execution.outcome.executionMode s R
	execution.outcome.status w=completed|failed|external R
	execution.outcome.result x ON
	execution.outcome.errorMessage execution.outcome.externalRef s ON`

func TestFieldsOfTheCatalogue(t *testing.T) {
	read := ExecuteMarketService{MachineID: "m", AgentPairingID: "p", Operation: "o"}
	token := NewSecret("t")
	runTables(t, []fieldTable{
		{"skill", failing(func(ctx context.Context, c *Client) (*SkillSummary, error) {
			return c.Skills.Get(ctx, "s")
		}), "item o R\n" + under("item", skillFields)},
		{
			"skills", failing(func(ctx context.Context, c *Client) (*Page[SkillSummary], error) {
				return c.Skills.List(ctx, SkillOptions{})
			}),
			"items a R\n nextCursor s ON\n" + under("items[]", skillFields),
		},
		{"manifest", failing(func(ctx context.Context, c *Client) (*SkillManifest, error) { return c.Skills.Manifest(ctx, "s") }), `
			item o R
			item.key item.providerKey item.label item.summary s R
			item.inputs item.outputs a R
			item.inputs[].key item.inputs[].type item.inputs[].description s R
			item.inputs[].required b R
			item.outputs[].key item.outputs[].type item.outputs[].description s R`},
		{"config", failing(func(ctx context.Context, c *Client) (*SkillConfig, error) {
			return c.Skills.UpdateConfig(ctx, "s", UpdateSkillConfig{})
		}), `
			item o R
			item.skillKey item.providerKey item.updatedAt s R
			item.enabled item.hasCredentials b R`},
		{"services", failing(func(ctx context.Context, c *Client) (*Page[MarketService], error) {
			return c.MarketServices.List(ctx, MarketServiceOptions{})
		}), "items a R\n nextCursor s ON\n" + under("items[]", serviceFields)},
		{"own services", failing(func(ctx context.Context, c *Client) (*Page[MarketService], error) {
			return c.MarketServices.List(ctx, MarketServiceOptions{PairingToken: Some(token)})
		}), "items a R\n nextCursor s ON\n" + under("items[]", serviceFields)},
		{"service", failing(func(ctx context.Context, c *Client) (*MarketService, error) {
			return c.MarketServices.Get(ctx, "s", GetMarketServiceOptions{})
		}), "item o R\n" + under("item", serviceFields)},
		{"read", failing(func(ctx context.Context, c *Client) (*DirectRead, error) {
			return c.MarketServices.Execute(ctx, "s", token, read)
		}), "service o R\n" + under("service", serviceFields) + nativeFields + "\n execution.task execution.route r R"},
		{"search", failing(func(ctx context.Context, c *Client) (*MarketSearch, error) {
			return c.MarketSearches.Search(ctx, token, SearchMarket{})
		}), searchFields + under("item.quotes[].payment", railFields) + under("item.quotes[]", handoffFields)},
	})
}

func TestFieldsOfOrders(t *testing.T) {
	token := NewSecret("t")
	create := CreateMarketOrder{MachineID: "m", AgentPairingID: "p", ServiceID: "s"}
	proof := PaymentProof{VerificationMode: "recorded", Chain: "c", Token: "t", PayerAddress: "a", PayeeAddress: "b", Amount: "1"}
	runTables(t, []fieldTable{
		{"orders", failing(func(ctx context.Context, c *Client) (*Page[MarketOrder], error) {
			return c.MarketOrders.List(ctx, "m", ListOptions{})
		}), "items a R\n nextCursor s ON\n" + order("items[]")},
		{
			"create", failing(func(ctx context.Context, c *Client) (*MarketOrder, error) {
				return c.MarketOrders.Create(ctx, token, create)
			}),
			"item o R\n" + order("item"),
		},
		{"get", failing(func(ctx context.Context, c *Client) (*StoredOrder, error) {
			return c.MarketOrders.Get(ctx, "o", Optional[Secret]{})
		}), "item o R\n execution x ON\n" + order("item")},
		{"execute", failing(func(ctx context.Context, c *Client) (*ExecutedOrder, error) {
			return c.MarketOrders.Execute(ctx, "o", token, ExecuteMarketOrder{})
		}), "order o R\n" + order("order") + nativeFields},
		{
			"confirm", failing(func(ctx context.Context, c *Client) (*ConfirmedOrder, error) {
				return c.MarketOrders.Confirm(ctx, "o", token)
			}),
			"order o R\n payment o ON\n" + order("order") + under("payment", paymentFields),
		},
		{"dispute", failing(func(ctx context.Context, c *Client) (*DisputedOrder, error) {
			return c.MarketOrders.Dispute(ctx, "o", token, DisputeMarketOrder{Reason: "r"})
		}), `order o R
			payment o ON
			dispute o R
			dispute.id dispute.orderId dispute.machineId dispute.reason dispute.createdAt dispute.updatedAt s R
			dispute.status w=open|resolved R
			dispute.evidence q ON` + order("order") + under("payment", paymentFields)},
		{
			"payment", failing(func(ctx context.Context, c *Client) (*MarketPayment, error) { return c.MarketPayments.Get(ctx, "o") }),
			"item o N\n" + under("item", paymentFields),
		},
		{"proof", failing(func(ctx context.Context, c *Client) (*MarketPayment, error) {
			return c.MarketPayments.SubmitProof(ctx, "o", token, proof)
		}), "item o R\n" + under("item", paymentFields)},
	})
}
