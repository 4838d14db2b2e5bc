// Command faults breaks the agent in every way of its table and prints the table.
//
//	go run ./check/faults -agent bin/peaqos-agent            short, a few minutes
//	go run ./check/faults -agent bin/peaqos-agent -whole     all counts of the promise
//
// It drives the built binary as a person would: enroll, run, rotate. The sandbox
// orchestrator runs in this process and is the witness: after each fault the
// agent is started again, and settle (witness.go) asks for exactly one living
// agent, whose name the store holds, whose token the store holds, and which
// beats. Everything else is a failure, and the exit status says so.
//
// A world (world.go) is one sandbox on a port of its own and one store. A row is
// one class of fault (row_*.go): it makes worlds, breaks them, and counts. A row
// that this machine cannot run says why, and does not fail. What is broken how:
// system calls by strace (inject.go) and by a tracer that counts over all threads
// (trace.go), disks by images that are snapshotted while they are written
// (disk.go), answers by the world's own handler.
package main
