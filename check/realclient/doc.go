// Package realclient tests this repository with the real Python SDK of peaqOS.
//
// Our client, our sandbox and our tests have the same authors: they could agree
// with each other and still be wrong. The public package peaq-os-sdk was written
// by others against the real orchestrator, so what it accepts and what it sees is
// stronger evidence.
//
// There are five tests. They need Python 3.10 or newer and bash, so they are built
// with the tag realclient, which make test sets; go test ./... leaves them out.
//
//   - machine_client.py registers and activates a machine on the sandbox's handler,
//     enrolls an agent, sends a heartbeat, writes endpoints and revokes the agent.
//     The test then compares what the SDK saw with what the sandbox has stored.
//   - streams_client.py sells and buys a stream, with the control socket open, reads
//     devices, runs their actions and follows their events.
//   - market_client.py pairs an agent, which searches, orders, pays, disputes, and
//     uses a model server of the machine.
//   - owner_view.py reads what an owner sees on the orchestrator, while the built
//     program runs as separate processes: sandbox, enroll, run (check/lab).
//   - x402_facilitator.py signs payments in the forms of sdk/sandbox/X402.md and judges
//     each as the facilitator of the published x402 library does; the sandbox must
//     refuse what the facilitator refuses.
//
// venv.sh makes the virtual environment, once. It goes to $PEAQOS_TEST_VENV, which
// the Makefile sets to a directory in .cache, else to the user's cache directory.
package realclient
