// Package telemetry serves the agent's HTTP listener: /metrics for Prometheus,
// /healthz and /readyz for supervisors, /status as JSON, and on / a small page for
// people.
//
// [New] prepares a [Server], [Server.Bind] binds its address, and [Server.Serve]
// responds to requests until its context ends. The daemon binds the address before
// anything else and closes it last, so that it can always report why the agent is
// not ready. An address that is in use stops nothing: the server records which
// process has it and tries again.
//
// The server only reads snapshots of the state ([status.Tracker]) and counts
// nothing itself. It has its own Prometheus registry (metrics.go, runtime_metrics.go)
// and treats every client as untrusted (middleware.go, limit.go): the Host header is
// checked against DNS rebinding, /status and the page are served to loopback
// connections only, sizes, times and connections are bounded, and a panic while
// serving one request ends only that request. TLS and passwords are those of a web
// configuration in the format of Prometheus' exporters (web.go, web_config.go).
package telemetry
