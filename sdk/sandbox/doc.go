// Package sandbox is an orchestrator to develop and test against: an in-memory
// server of the peaqOS orchestration API, for programs that cannot or should not
// reach the real one. A client should not be able to tell the two apart.
//
//	s := sandbox.New(sandbox.WithAPIKey("k"), sandbox.WithController("", "0x19E7…"))
//	defer s.Close()
//	web := httptest.NewServer(s)
//
// [Server] is an http.Handler. [Server.Transport] answers in the same process
// without a socket, so that a week of beats passes inside a testing/synctest
// bubble in a moment; all time comes from time.Now. Tests look behind the API with
// [Server.Machines], [Server.Agents], [Server.Endpoints], [Server.Pairings],
// [Server.Orders], [Server.Events] and [Server.Beats], and change things behind
// everybody's back with [Server.RevokeAgent], [Server.SetVerdict],
// [Server.SetController], [Server.SetLeaseMax], [Server.SetClock] and
// [Server.Restart]. The example of the package is a whole test in ten lines.
//
// Nothing here is shared with the client of this repository, on purpose: a fake
// that used the client's structs could not catch a wrong JSON name.
//
// As a program it is peaqos-agent sandbox: with a page for people at its root, a
// state file, TLS for devices elsewhere and the admin side of [Server.Admin].
//
// # What is real
//
// It is strict where the contract is. Identity and pairing challenges are
// single-use and expire; signatures are recovered (EIP-191) and must belong to a
// controller or to the agent. Agent tokens are given once and kept as hashes.
// Leases lapse by the clock. A pairing's session is a signed token (HS256) that
// ends when the policy changes. Policies and spend limits refuse, quotes expire,
// orders must be paid for, and payments on a chain are looked up at its RPC
// address. An order for a service that a machine offers is sent to the endpoint
// that the machine published, and what the device answers is the outcome. Lists
// have opaque cursors. Each error code of the contract can be produced; the test
// TestEveryCode names a request for each. Older clients are let in: what the first
// public release sends is accepted, snake_case heartbeats among it.
//
// Everything is kept in memory and bounded: a table that is full refuses what is
// new, or, where it is a history, forgets what is oldest. With [WithStateFile] a
// change is on disk before it is answered, heartbeats within a second or so.
//
// # What can go wrong
//
// Faults are data. A [Fault] says what happens to one request: latency and jitter,
// 429 and 503 with a Retry-After in either form, a lost answer, a cut or slow
// body, garbage, a gzip bomb, a redirect, a captive portal, a wrong content type.
// [Server.SetFault] decides per request; a [Script] picks requests by rules, and
// changes the server at its steps (revoked agents, paused pairings, restarts,
// shorter leases, a wrong clock). [Scenario] knows storm, portal, clock, revoked,
// lost-enrollment and flaky. The same happens in process and over a socket.
//
// # What it takes
//
// Ten thousand agents, each beating every 30 s, against peaqos-agent sandbox on
// one of two cores of an AMD EPYC, with the clients in another process:
//
//	over 256 connections     9 % of a core, 56 MiB at most
//	each over its own        8 % of a core, 23 kB for each connection
//
// The median answer takes 0.3 ms. The command, which fails above half a core, 64
// MiB and 40 kB:
//
//	go test ./sdk/sandbox -run '^$' -bench Fleet -benchtime 1x
//
// # What is guessed
//
// The contract does not know these; we chose:
//   - the HTTP status of all but eight error codes (its own table, §1.8; see
//     [StatusOf]), and which of several codes a request with several faults gets:
//     key, route's token, body, the thing in the path, its state;
//   - the wording of a challenge and its default life of 5 min; one that expired
//     answers so for an hour more, then it is not known;
//   - members are checked: a text has at most 4096 bytes, a list 1000 entries, a
//     body 64 KiB where nothing larger must pass; null counts as not sent; members
//     nobody knows are ignored;
//   - machineType and runtimeProfile must be sent and may be empty;
//   - a draft with a good proof is listed, and activated without a new proof; a
//     proof counts as long as its signer controls the identity; an archived machine
//     cannot be patched, but read; degraded counts as active;
//   - leaseTtlSeconds: default 90, 1 to 86400; a lease that is cut by a limit is
//     answered as it was granted;
//   - an endpoint that beats is active by the agent's word: nobody probes it; a PUT
//     over it is manual until the next beat;
//   - a revoked agent whose token is right is AGENT_PAIRING_INACTIVE, with a wrong
//     one AGENT_AUTH_INVALID; enrolled without a label it is "machine agent";
//   - one machine has at most 200 agents that are not revoked, 200 endpoints and 64
//     entries in a beat; one more is VALIDATION_ERROR;
//   - lists without a limit have pages of 100, agents too; a cursor is bound to its
//     list and filters; audit events come newest first;
//   - the values of audit type, resourceType and actor; heartbeats have a trail of
//     their own, the newest 2000;
//   - readiness answers 200 when it is not ready, and is not ready when the state
//     file cannot be written;
//   - ids, and times with three digits after the second.
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
// # What is guessed of streams and devices
//
// Listings and purchases:
//   - a listing is active while its machine works; one that names rails or delivery
//     options takes no others, payTo included; chains and tokens are free text;
//   - delivery capabilities count for 15 min when no end was sent; the only
//     transport offered is peaqos-p2p;
//   - a purchase is delivery_reserved at once when the seller has registered a fitting
//     capability, else by seller.ready; then payment_pending (intent),
//     payment_verified (proof), delivery_released (prepare-access), active, completed
//     or failed (events); an event before the access is STREAM_DELIVERY_NOT_READY,
//     a change after the end ORDER_CLOSED;
//   - buyer.machineId is the pairing's machine; no delegation policy and no spend
//     limit looks at purchases;
//   - a proof needs an intent of its rail (NOT_FOUND, VALIDATION_ERROR); the
//     same proof again gets the same answer, another one ORDER_CLOSED; an x402 header
//     is believed; mode rpc asks the chain of [WithRPC], never the proof's rpcUrl, for
//     the price with 6 decimals (USDC, USDT) or 18; deliveryStatus is always
//     releasable;
//   - prepare-access before the payment is PAYMENT_REQUIRED, may be repeated, and its
//     order reads access_ready; a connect that has expired is left out of a delivery;
//   - members of instructions: reference, amount, token, chain, payTo, tokenAddress,
//     facilitatorUrl;
//   - a stream order is a purchase by its older name.
//
// Control socket:
//   - every notification goes to the sockets of the seller's machine, and of the
//     buyer's when it named one; of the eight unknown payloads only purchaseId is sent;
//   - a message of the client's means nothing, and is acknowledged with its type;
//     what is no JSON object closes the socket;
//   - refusals of the handshake have the usual statuses; close codes: 1008 for a
//     revoked or rotated agent, a bad message, a reader that lets 64 messages wait,
//     1001 for the rest, 1009 over 64 KiB; a ping every 30 s; 32 sockets and streams
//     of one machine.
//
// Devices and their events:
//   - every machine has the same ten devices, whose values come from the time: a
//     reading each 10 s; a door is open for 20 s. The faulty ones are named for what
//     they do: iotdev_vault_door, _back_door, _garage_door, _cellar_door for failed
//     commands, _roof_air, _plant_air, _yard_air for faults of their CSE;
//   - those faults are failed outcomes of a 200, of readings and subscriptions alike;
//     an unknown device or resource is NOT_FOUND, an input with other members than the
//     contract's VALIDATION_ERROR, a command as a reading or the other way round
//     EXECUTION_UNSUPPORTED;
//   - a command id belongs to its pairing and is taken when its order is made; nobody
//     waits for a door or a CSE longer than 2 s, a command lives 5 s;
//   - subscriptions begin active and end expired or deleted, cleaned up at once; 50
//     active ones of a machine;
//   - events are those of the token's pairing, 256 of a machine are retained; a
//     subscription's first two are its iot.subscription and a snapshot; a cursor that
//     is not retained, unknown or another's, is IOT_REPLAY_UNAVAILABLE; a sample older
//     than 5 min is stale; a stream whose token ends, or whose reader falls behind,
//     gets an iot.error with that code.
//
// Of contract §3: the API key opens the calls and answers are items; a machine's
// bond is unknown and a proven owner is its attestor; a bad ownership proof has the
// codes of an identity proof; a rotated token ends the old one at once; an agent's
// events and GET /events are the audit trail, the cursor an event's id; a probe wants
// 2xx within 3 s and changes the endpoint's status; graph nodes, edges and stream
// policies are kept as they came; chunks, signing keys and stream heartbeats are
// answered with what was sent, without the token.
//
// # What is missing
//
// The members of services and orders that only the public reference shows
// (companyName, endpoints, endpoint, consumption, serviceSnapshot); signed stream
// events and their receipts, tasks and runs, of which too little is known;
// subscriptions that are pending, deleting or failed, and a cleanup that fails.
package sandbox
