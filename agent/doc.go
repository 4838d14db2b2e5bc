// Package agent is the daemon: it keeps one machine, or several, online on a peaqOS
// orchestrator. This comment describes the architecture of the whole repository.
//
// # Packages
//
//	cmd/peaqos-agent    the commands: flags in, text or JSON out
//	agent/doctor        what is wrong with a device, and support bundles
//	agent               the daemon, and the commands that change its store
//	agent/telemetry     the HTTP listener: metrics, health, status page
//	agent/status        the state of the daemon, and every code, sentence and view of it
//	agent/connect       how the agent connects: names, addresses, proxy, TLS, files of trust
//	agent/config        the configuration: read, checked, compared, documented
//	agent/ownname       which names and addresses are this machine's own
//	keystore            secrets on a disk that may lose power
//	sdk                 the orchestrator's API in Go
//	sdk/internal/wire   its JSON codec
//	sdk/x402            payment signatures
//	sdk/sandbox         an orchestrator to test against
//
// Imports go one way: config ← status ← telemetry ← agent ← cmd. Packages telemetry and
// agent also import ownname, and agent imports connect, keystore
// and sdk. None of them imports anything else of this repository, except
// that sdk uses its codec. Nor does sandbox, so that a wrong name cannot hide in shared
// code. A test checks these rules.
//
// Package keystore returns facts, for example which protector a store needs; package
// agent turns them into problems and names the command that helps. All messages come
// from one table of codes in package status.
//
// # Data flow
//
// [config.Load] turns flags, environment and file into a [config.Config], or reports
// every fault in them. [New] opens the keystore under its lock, which makes this
// process the only owner of the store, and prepares the tasks. [Agent.Run] binds the
// telemetry listener first, runs the tasks, and closes the listener last.
//
// Every task writes its own part of one [status.Tracker] and reads the others' parts
// there:
//
//   - a beat task per machine (beat.go) probes the endpoints and sends the heartbeat
//     that names those that responded;
//   - a probe task per machine (watch.go) probes between heartbeats, so that /readyz
//     is up to date and an endpoint that comes up is published at once;
//   - if they are on, a presence task (presence.go) per machine pushes to the presence
//     service, and a control task (control.go) receives notifications into a queue
//     (queue.go) from which one task per hook delivers (hooks.go);
//   - the admin socket (admin.go) lets a command change the store of a running
//     daemon;
//   - the watchdog (watchdog.go) reports to the service manager;
//   - the system task (wake.go) waits for the kernel to report that a link or an address
//     came up (link.go) or that the clock was set (clock_events.go).
//
// Metrics, /readyz, /status, the page and the status command read copies of the state
// and count nothing themselves.
//
// # Pure decisions
//
// When the next heartbeat or probe is due is decided in schedule.go, what a response
// means in verdict.go, whether a challenge may be signed in prove.go, whether the
// machine is ready in package status: functions without a clock, a disk or a network.
//
// # At rest
//
// Between heartbeats the process sleeps. A heartbeat's own probe counts for the probe
// task, everything periodic happens in a turn that is due anyway, and what can wait
// for an event has no timer.
//
// # Enrollment
//
// The API returns the agent token once and has no idempotency key. The order of steps
// in enroll.go makes it impossible to lose a token unnoticed: check that the store is
// durable, journal the intent, send the request, store the token, read it back, delete
// the journal. If it is interrupted anywhere, the next enroll finds the journal,
// revokes the agent that has its label, and starts over.
//
// A rotation (rotate.go) is an enrollment whose token is stored next to the current
// one until a heartbeat with it is accepted (beat_state.go). Only then is the previous
// agent revoked. A grant (grant.go) is an enrollment made on another computer. Which
// agents may ever be revoked is decided in one place, revoke.go: those that a journal
// or a record of this device names.
//
// # Guarantees
//
//   - A heartbeat names only endpoints that responded to their last probe, which ended
//     immediately before or, for a slow runtime under a short lease, is being repeated.
//   - The token is sent to the origin that issued it and to no other.
//   - The daemon needs neither the API key nor the controller key.
//   - In the steady state, and during an outage, nothing is written to the disk.
//   - After an outage every agent returns at its own point of the grid, so that the
//     orchestrator never gets more than the steady load. A link, an address or a clock
//     that changes on the machine itself brings a few attempts forward (wake.go), to the
//     agent's own second.
//   - The last line of the log about a machine is never out of date for longer than a
//     minute, and the volume of the log has a limit (log_repeats.go).
//   - A store that cannot be opened does not end the daemon: it keeps running and
//     names the command that helps.
//   - A store that was moved to other hardware sends nothing until a person has
//     confirmed what it is.
//   - The store has one owner: a command asks the running daemon over the admin
//     socket, or does the same work under the store's lock.
//   - Two heartbeats of one machine never run at once, and a command waits for one
//     under way only as long as its own context lasts. Only a token that was issued
//     already is stored regardless.
//
// # Not implemented
//
// If both copies of a record are damaged, its agent's ID is lost with it: rotate makes
// a new agent, and the old one can be found and revoked with the agents command.
package agent
