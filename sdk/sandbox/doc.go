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
// # What is missing
//
// Pairings, skills, the market, payments, purchases, sockets and streams: their
// paths answer 404 NOT_FOUND.
package sandbox
