// Package sandbox is an in-memory server of the peaqOS orchestration API, to develop and test
// against when the real orchestrator cannot or should not be used. A client should not be able to
// tell the two apart.
//
//	s := sandbox.New(sandbox.WithAPIKey("k"), sandbox.WithController("", "0x19E7…"))
//	defer s.Close()
//	web := httptest.NewServer(s)
//
// [Server] is an http.Handler. As a program it is
//
//	peaqos-agent sandbox
//
// with a status page at its root, a state file, TLS for other devices and the admin interface
// ([Server.Admin]).
//
// The package shares nothing with the client of this repository, on purpose: a fake that used the
// client's structs could not catch a wrong JSON name.
//
// # In tests
//
// [Server.Transport] serves requests in the same process without a socket. All time comes from
// time.Now, so a week of heartbeats takes a moment inside a testing/synctest bubble.
//
// Tests inspect the state with [Server.Machines], [Server.Agents], [Server.Endpoints],
// [Server.Pairings], [Server.Orders], [Server.Events] and [Server.Beats]. They change it with
// [Server.RevokeAgent], [Server.PausePairings], [Server.SetVerdict], [Server.SetController],
// [Server.SetLeaseMax], [Server.SetClock], [Server.SetRegistry], [Server.SetContested] and
// [Server.Restart]. The example of the package is a
// whole test in ten lines.
//
// # What it does
//
// The server is strict where the contract is:
//
//   - Identity and pairing challenges are single-use and expire. Signatures are recovered (EIP-191)
//     and must be from a controller or from the agent.
//   - Agent tokens are returned once and stored as hashes. Leases expire by the clock.
//   - A pairing's session is a signed token (HS256) that becomes invalid when the policy changes.
//   - Policies and spend limits reject, quotes expire, orders must be paid for, and payments on a
//     chain are looked up at its RPC address.
//   - An order for a service of a machine is sent to the endpoint that the machine has published;
//     the device's response is the outcome.
//   - Lists are cut by offset, as the published cursors show ([WithPaging]).
//   - An order is paid once, and an x402 header is checked as the published facilitator checks it
//     (X402.md has the table of agreement).
//   - Each fault of a signature is named in the error, and so are the address that it recovers to
//     and the one that was expected.
//   - Every error code of the contract can be produced; TestEveryCode has a request for each.
//   - Older clients are accepted: what the first public release sends works, including snake_case
//     heartbeats.
//
// All state is in memory and bounded: a full table rejects new rows or, if it is a history, drops
// the oldest. With [WithStateFile] a change is on disk before its response is sent; heartbeats
// follow within about a second.
//
// # Faults
//
// Faults are data. A [Fault] says what happens to one request: latency and jitter, 429 and 503 with
// a Retry-After in either form, a lost response, a cut or slow body, malformed data, a gzip bomb, a
// redirect, a captive portal, a wrong content type, pages between which items came or went, a replica
// that is behind. [Server.SetFault] picks one per request. A
// [Script] selects requests by rules and changes the server at its steps: revoked agents, paused
// pairings, restarts, shorter leases, a wrong clock, an identity registry that is down, endpoints that
// another agent contests. [Scenario] returns the named scripts storm,
// portal, clock, revoked, lost-enrollment and flaky. Faults work in process and over a socket.
//
// # Performance
//
// Ten thousand agents, each with a heartbeat every 30 s, against peaqos-agent sandbox on one of two
// cores of an AMD EPYC, with the clients in another process:
//
//	over 256 connections     9 % of a core, 56 MiB at most
//	one connection each      8 % of a core, 23 kB per connection
//
// The median response takes 0.3 ms. The following command measures it, and fails above half a core,
// 64 MiB or 40 kB:
//
//	go test ./sdk/sandbox -run '^$' -bench Fleet -benchtime 1x
//
// # What it is not
//
// It is not the orchestrator's code. Where the contract is silent the behavior is an assumption:
// ASSUMPTIONS.md in this directory lists them. No provider, payment service or chain is called,
// except the RPC addresses of [WithRPC].
//
// Not implemented are the members of services and orders that only the public reference shows
// (companyName, endpoints, endpoint, consumption, serviceSnapshot); signed stream events with their
// receipts, tasks and runs, of which too little is published; subscriptions that are pending,
// deleting or failed, and a cleanup that fails.
package sandbox
