// Command faults breaks the agent in every way of its table and prints the table.
//
//	go run ./check/faults -agent bin/peaqos-agent            short, a few minutes
//	go run ./check/faults -agent bin/peaqos-agent -whole     all tries, about half an hour
//
// It runs the built binary as a person would: enroll, run, rotate. The sandbox
// orchestrator runs in this process and is the witness: after each fault the agent
// is started again, and settle (witness.go) checks that exactly one agent is active,
// that its name and token are in the store, and that it sends heartbeats. Anything
// else is a failure, and the exit status is 1.
//
// A world (world.go) is one sandbox on a port of its own and one store. A row is one
// class of fault (row_*.go): it makes worlds, breaks them, and counts; a try counts as
// landed when the fault itself was witnessed, and a row with fewer fails. A row that
// cannot run on this machine gives the reason, and does not fail. How things are
// broken: system calls by a tracer that counts over all threads (trace.go), disks by images that are cloned while they are written
// (disk.go), responses by the world's own handler. Binary, keys, configuration and
// processes are those of check/lab.
package main
