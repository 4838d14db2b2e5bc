// Package realclient lets the real Python SDK of peaqOS judge this repository.
//
// Everything else here was written by the same hands: our client, our sandbox,
// our tests. They could agree with each other and still be wrong. The public
// package peaq-os-sdk was written by others against the real orchestrator, so
// what it accepts and what it sees counts for more.
//
// There are four tests, and each one needs nothing but Python 3.10 or newer:
//
//   - machine_life.py walks a machine through its life on the sandbox's handler:
//     health, challenge, signed create, activate, enroll, beat, endpoints, revoke.
//     The test then compares what the SDK saw with what the sandbox knows.
//   - streams_life.py sells and buys a stream, with the control socket open, reads
//     devices, opens doors and follows their events.
//   - market_life.py pairs an agent and lets it search, order, pay, dispute, and have
//     a model server of the machine do the work.
//   - onlooker.py looks at an orchestrator as its owner would, while the built
//     program runs as separate processes: sandbox, enroll, run.
//
// venv.sh makes the virtual environment once and is quick from then on. It goes
// to $PEAQOS_TEST_VENV, which the Makefile sets to a folder in .cache, else to
// the user's cache directory.
package realclient
