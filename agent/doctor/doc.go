// Package doctor examines a device from its configuration to its lease and says what is
// wrong, why, and which command helps.
//
// [Gather] collects the facts: it opens the files that the configuration names, looks at
// the store without opening it, asks the running agent for its status, asks the
// orchestrator for its health and probes the endpoints, each in the way in which the
// daemon does it. It changes nothing. [Examine] turns the facts into findings: a pure
// function, one line for each check. Codes, sentences and commands come from the table of
// package status.
//
// The token is proven by what the running agent reports of its own heartbeats. Without a
// running agent no heartbeat is sent, because it would publish endpoints and take a lease
// that nobody renews; the orchestrator's list of agents says instead whether the agent is
// active, if an API key was given.
//
// [WriteBundle] writes a support bundle, and [Anonymizer] replaces in it what identifies a
// device.
package doctor
