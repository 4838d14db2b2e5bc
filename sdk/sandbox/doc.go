// Package sandbox is an orchestrator to develop and test against: an in-memory
// server of the machine's side of the peaqOS orchestration API, for programs
// that cannot or should not reach the real one.
//
//	s := sandbox.New(sandbox.WithAPIKey("k"), sandbox.WithController("", "0x19E7…"))
//	defer s.Close()
//	web := httptest.NewServer(s)
//
// [Server] is an http.Handler. [Server.Transport] answers in the same process
// without a socket, so that a week of beats passes inside a testing/synctest
// bubble in a moment; all time comes from time.Now. Faults are data: see [Fault]
// and [Server.SetFault]. Nothing here is shared with the client, on purpose: a
// fake that used the client's structs could not catch a wrong JSON name.
//
// # What is real
//
// Identity challenges are single-use and expire; signatures are recovered
// (EIP-191) and must belong to a controller. The agent token is given once and
// kept as a hash. Leases lapse by the clock. Errors have the API's envelope.
//
// # What is guessed
//
// The contract does not know these; we chose:
//   - the wording of a challenge, and its default life;
//   - the HTTP status of most error codes (the contract's table, §1.8);
//   - leaseTtlSeconds: default 90, 1 to 86400;
//   - a draft with a good proof is listed, and activated without a new proof;
//   - the values of audit type and actor, and that machineId selects everything
//     that belongs to the machine;
//   - ids, cursors and labels given when none is sent.
//
// # What is guessed of the market
//
// Pairings and policies:
//   - delegationPolicyHash is SHA-256 of the policy as it is answered, so that a
//     policy that is changed back makes the old token good again;
//   - a session lives 24 h, and there is none for a paused pairing; a revoked one
//     stays revoked;
//   - pairing a machine whose identity does not resolve is AGENT_PAIRING_UNAVAILABLE,
//     one whose proof does not hold any more MACHINE_IDENTITY_PROOF_REQUIRED;
//   - an order without agentPairingId is AGENT_PAIRING_REQUIRED;
//   - spend limits count an order when it is made and give a cancelled one of the
//     same day back; amounts are compared as plain numbers, whatever the currency;
//   - of a machine's policies regionRules are names of regions (a global service
//     is in all), requiredCapabilities are the service's, budgetCap bounds one
//     order; what they refuse is AGENT_POLICY_DENIED, an unknown id says nothing.
//
// Skills, catalogue and search:
//   - the catalogue itself (catalogue/*.json), its prices and its addresses;
//   - a skill is enabled until it is switched off; then it is not quoted and its
//     orders do not run; a PATCH replaces credentials and settings whole;
//   - the catalogue of a pairing token leaves out what a policy denies and what no
//     endpoint of the machine serves now;
//   - how quotes are scored; they live 10 min; budget.max, else budget.amount,
//     bounds their price; a service that only wants credentials is still quoted.
//
// Orders:
//   - a free order is created, and runs with or without an intent; a oneM2M order is
//     ready at once, and answers its saved execution when it is executed again;
//   - a budget.max below the price is VALIDATION_ERROR;
//   - no credentials, no endpoint, a skill that is off: EXECUTION_UNSUPPORTED, and
//     the order stays as it was; a run that fails leaves it failed;
//   - a failed order can be retried (it is ready then), cancelled or disputed, one
//     that was handed off disputed, not confirmed;
//   - a device is asked for what the operation's providerRequest says, with the
//     input as the body, its alias as the model, without stream; 30 s, 256 KiB; a
//     buyer who leaves does not stop it;
//   - services that run here answer from the input alone; nobody is called.
//
// Payments:
//   - a free order gets not_required whatever rail it asks for; not-required for a
//     paid one is PAYMENT_REQUIRED; an amount below the price, and with
//     [WithEnforcedRails] a rail that is not listed, are VALIDATION_ERROR;
//   - who is paid is the service's to say; sent payee and wallet are ignored;
//   - mode rpc wants the claim's amount and at least the payment's, of the claim's
//     token contract, else the rail's; 6 decimals; a transaction may pay twice;
//   - an x402 signature that is no good is PAYMENT_REQUIRED, one that cannot be read
//     VALIDATION_ERROR; its nonce counts once; the settlement is made up from it;
//     a signature sent with execute pays too;
//   - an order that is refunded before it ran is cancelled.
//
// Of contract §3.1: answers are items, the API key or a pairing token opens the
// calls, event types are order.<what happened>, nobody reviews a submitted skill,
// a conversation is understood by its words.
//
// # What is missing
//
// The members of services and orders that only the public reference shows
// (companyName, endpoints, endpoint, consumption, serviceSnapshot).
package sandbox
