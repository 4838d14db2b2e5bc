package sdk

import (
	"context"
	"testing"
)

// failing makes a call and returns only the error.
func failing[T any](call func(ctx context.Context, c *Client) (T, error)) func(c *Client) error {
	return func(c *Client) error {
		_, err := call(context.Background(), c)
		return err
	}
}

// machineFields is a machine (contract §2.2). did is the kind of its identity: d for a
// single machine, s in lists, where identities are not checked.
func machineFields(at, did, presence string) string {
	return at + ` o R
	` + at + `.id s+ R
	` + at + `.status s=draft|active|degraded|blocked|archived R
	` + at + `.displayName ` + at + `.ownerId ` + at + `.machineType ` + at + `.runtimeProfile ` + at + `.createdAt ` + at + `.updatedAt s R
	` + at + `.capabilities ` + at + `.policyIds ` + at + `.skillKeys ss L
	` + at + `.labels m ON
	` + at + `.identityRef ` + did + ` ` + presence + `
	` + at + `.identityProof o ON
	` + at + `.identityProof.method s=eip191 R
	` + at + `.identityProof.identityRef ` + did + ` R
	` + at + `.identityProof.signerAddress ` + at + `.identityProof.challengeId ` + at + `.identityProof.verifiedAt ` +
		at + `.identityProof.challengeExpiresAt s R
	` + at + `.identityProof.controllerAddresses ss L
	` + at + `.identityProof.resolutionSource s=peaqos-mcr R`
}

const endpointFields = `
	X.id X.machineId X.providerKey X.label X.endpointBaseUrl X.createdAt X.updatedAt s R
	X.source w=manual|agent R
	X.authType w=none|api-key|bearer R
	X.hasAuthToken b R
	X.networkScope w=loopback|lan|vpn|public R
	X.status w=active|degraded|unreachable R
	X.probePath X.agentId X.modelAlias X.leaseExpiresAt X.lastCheckedAt X.lastHealthyAt s ON`

const agentFields = `
	X.id X.machineId X.label X.createdAt X.updatedAt s R
	X.allowedProviderKeys ss L
	X.status w=provisioned|active|revoked R
	X.lastSeenAt s ON`

const pairingFields = `
	X.id X.machineId s+ R
	X.agentAddress X.agentProvider X.agentRole X.createdAt X.updatedAt s R
	X.status s=active|paused|revoked R
	X.hasAuthToken b R
	X.delegationPolicy o R
	X.delegationPolicy.allowedSkillKeys X.delegationPolicy.deniedSkillKeys ss L
	X.delegationPolicy.allowedServiceIds X.delegationPolicy.deniedServiceIds ss L
	X.delegationPolicy.perTransactionLimit X.delegationPolicy.dailySpendLimit n ON
	X.delegationPolicy.currency s ON
	X.description X.tokenLastFour X.agentDid X.sessionId X.sessionTokenId X.sessionIssuedAt X.sessionExpiresAt s ON
	X.verification o ON
	X.verification.method s=eip191 R
	X.verification.signerAddress X.verification.verifiedAt X.verification.challengeExpiresAt s R`

func TestFieldsOfMachines(t *testing.T) {
	machine := CreateMachine{
		DisplayName: "x", OwnerID: "x", IdentityRef: Some("did:peaq:7"),
		IdentityProof: Some(IdentityProofInput{ChallengeID: "x", Signature: "x"}),
	}
	runTables(t, []fieldTable{
		{"challenge", failing(func(ctx context.Context, c *Client) (*IdentityChallenge, error) {
			return c.MachineIdentity.CreateChallenge(ctx, "did:peaq:7")
		}), `
			item o R
			item.challengeId s+ R
			item.identityRef d R
			item.message item.expiresAt s R
			item.verificationMethod s=eip191 R
			item.controllerAddresses ss+ R`},
		{"create", failing(func(ctx context.Context, c *Client) (*Machine, error) {
			return c.Machines.Create(ctx, machine)
		}), machineFields("item", "d", "R")},
		{"get", failing(func(ctx context.Context, c *Client) (*Machine, error) {
			return c.Machines.Get(ctx, "m")
		}), machineFields("item", "d", "ON")},
		{"update", failing(func(ctx context.Context, c *Client) (*Machine, error) {
			return c.Machines.Update(ctx, "m", UpdateMachine{})
		}), machineFields("item", "d", "ON")},
		{
			"list", failing(func(ctx context.Context, c *Client) (*Page[Machine], error) {
				return c.Machines.List(ctx, ListOptions{})
			}),
			"items a R\n nextCursor s ON\n" + machineFields("items[]", "s", "ON"),
		},
		{
			"agents", failing(func(ctx context.Context, c *Client) (*Page[MachineAgent], error) {
				return c.MachineAgents.ListPage(ctx, "m")
			}),
			"items a R\n nextCursor s ON\n" + under("items[]", agentFields),
		},
		{"enroll", failing(func(ctx context.Context, c *Client) (*EnrolledAgent, error) {
			return c.MachineAgents.Enroll(ctx, "m", EnrollMachineAgent{})
		}), "item o R\n item.agentToken item.provisioningToken s ON\n" + under("item", agentFields)},
		{"beat", failing(func(ctx context.Context, c *Client) (*HeartbeatResult, error) {
			return c.MachineAgents.Heartbeat(
				ctx,
				Heartbeat{MachineID: "m", AgentID: "a", AgentToken: NewSecret("t"), Endpoints: []HeartbeatEndpoint{{}}},
			)
		}), `
			item o R
			item.machineId item.agentId item.observedAt s R
			item.leaseTtlSeconds i R
			item.endpoints a R
			item.endpoints[].providerKey item.endpoints[].endpointBaseUrl item.endpoints[].leaseExpiresAt s R
			item.endpoints[].status w=active|degraded|unreachable R
			item.endpoints[].healthError s ON`},
		{
			"endpoint", failing(func(ctx context.Context, c *Client) (*RuntimeEndpoint, error) {
				return c.RuntimeEndpoints.Get(ctx, "m", "p")
			}),
			"item o R\n" + under("item", endpointFields),
		},
		{"upsert", failing(func(ctx context.Context, c *Client) (*RuntimeEndpoint, error) {
			return c.RuntimeEndpoints.Upsert(ctx, "m", "p", UpsertRuntimeEndpoint{EndpointBaseURL: "http://x"})
		}), "item o R\n" + under("item", endpointFields)},
		{"endpoints", failing(func(ctx context.Context, c *Client) (*Page[RuntimeEndpoint], error) {
			return c.RuntimeEndpoints.List(ctx, "m", ListOptions{})
		}), "items a R\n nextCursor s ON\n" + under("items[]", endpointFields)},
	})
}

func TestFieldsOfPairings(t *testing.T) {
	proof := AgentProof{ChallengeID: "x", Signature: "x"}
	create := CreateAgentPairing{AgentAddress: "x", AgentProvider: "x", AgentRole: "x", AgentProof: proof}
	runTables(t, []fieldTable{
		{"challenge", failing(func(ctx context.Context, c *Client) (*PairingChallenge, error) {
			return c.AgentPairings.CreateChallenge(ctx, "m", CreatePairingChallenge{AgentAddress: "x", AgentProvider: "x", AgentRole: "x"})
		}), `
			item o R
			item.challengeId item.machineId item.agentAddress item.agentDid item.agentProvider item.agentRole s+ R
			item.message item.expiresAt s+ R
			item.machineIdentityRef d R
			item.verificationMethod s=eip191 R`},
		{
			"create", failing(func(ctx context.Context, c *Client) (*PairingSession, error) {
				return c.AgentPairings.Create(ctx, "m", create)
			}),
			"item o R\n item.pairingToken s+ R\n" + under("item", pairingFields),
		},
		{"session", failing(func(ctx context.Context, c *Client) (*PairingSession, error) {
			return c.AgentPairings.CreateSession(ctx, "m", "p", proof)
		}), "item o R\n item.pairingToken s+ R\n" + under("item", pairingFields)},
		{"update", failing(func(ctx context.Context, c *Client) (*AgentPairing, error) {
			return c.AgentPairings.Update(ctx, "m", "p", UpdateAgentPairing{})
		}), "item o R\n item.pairingToken x ON\n" + under("item", pairingFields)},
		{"list", failing(func(ctx context.Context, c *Client) (*Page[AgentPairing], error) {
			return c.AgentPairings.List(ctx, "m", ListOptions{})
		}), "items a R\n nextCursor s ON\n items[].pairingToken x ON\n" + under("items[]", pairingFields)},
	})
}
