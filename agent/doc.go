// Package agent is the daemon: it keeps one machine, or several, alive on a
// peaqOS orchestrator. This page is the architecture of the whole repository.
//
// # The house
//
//	cmd/peaqos-agent ──► agent ──► keystore
//	       │               └─────► sdk
//	       └─────────────────────► sdk/sandbox
//
// Package sdk is the orchestrator's API in Go and knows nothing of the daemon.
// Package keystore keeps secrets on a disk that may lose power. Package sandbox
// is an orchestrator to test against, and imports nothing of ours, so that a
// wrong name cannot hide in shared code. Tests hold these arrows.
//
// # The way of the data
//
// [Load] turns flags, environment and file into a frozen [Config], or tells every
// fault in them. [New] opens the keystore under its lock, which makes this
// process the one owner of the store, and prepares the tasks. [Agent.Run] binds
// the telemetry listener first, runs the tasks, and closes the listener last.
//
// The tasks never talk to each other. Each writes its part of one [State]:
//
//   - a beat task per machine (beat.go) probes the endpoints and sends the
//     heartbeat that names those which answered;
//   - a probe task per machine (watch.go) looks between the beats, so that
//     /readyz tells the truth and an endpoint that comes up is published at once;
//   - the admin socket (admin.go) lets a verb change the store of a running
//     daemon.
//
// Metrics, /readyz, /status, the page and the status verb read copies of the
// state and count nothing themselves.
//
// # Decisions are pure
//
// When the next beat leaves is decided in schedule.go, what an answer means in
// verdict.go, whether a challenge may be signed in prove.go, whether the machine
// is ready in ready.go: functions without a clock, a disk or a network.
//
// # Enrollment
//
// The API gives the agent token once and knows no idempotency key. The order of
// steps in enroll.go is what makes it impossible to lose it silently: prove the
// store durable, journal the intent, ask, store, read back, drop the journal.
// Cut anywhere, the next enroll finds the journal, revokes the agent that
// carries its label, and begins again.
//
// A rotation (rotate.go) is an enrollment whose token lies beside the old one until
// a beat has proven it (pending.go); only then the old agent is revoked. A grant
// (grant.go) is one made on another computer. Which agents may ever be revoked is
// decided in one place, revoke.go: those that a journal or a record of ours names.
//
// # Promises
//
//   - A heartbeat is a claim: it names only endpoints that answered just now.
//   - The token goes to the origin it came from and to no other.
//   - run needs neither the API key nor the controller key.
//   - In the steady state, and during an outage, nothing is written to the disk.
//   - After an outage every agent comes back on its own grid point, so that the
//     orchestrator never meets more than the steady load.
//   - A store that cannot be opened does not end the daemon: it stays up and
//     names the verb that helps.
//   - A store on other hardware sends nothing until a person has said what it is.
//   - Whoever changes the store is its one owner: a verb asks the running daemon
//     over the admin socket (admin.go), or does the same work under the lock.
//
// # What is missing
//
// The presence service and the control socket. When both copies of a record are
// damaged its agent's name is lost with it: rotate makes a new agent, and the old
// one is left for agents list and revoke.
package agent
