// Package telemetry serves the agent's HTTP listener: /metrics for Prometheus,
// /healthz and /readyz for supervisors, /status as JSON, and a small page for
// people on /.
//
// [New] prepares a [Server], [Server.Bind] takes the address, and [Server.Serve]
// answers until its context ends. The daemon binds it before anything else and
// closes it last, so that it can always say why the agent is not ready. An
// address that is taken stops nothing: the server records who holds it and tries
// again.
//
// The server only reads snapshots of the state ([status.Tracker]). It has its own
// Prometheus registry (metrics.go, metrics_descs.go), and it trusts nobody
// (guard.go): the Host header is checked against DNS rebinding, /status and the
// page answer to loopback connections only, sizes, times and connections are
// bounded, and a panic while answering one request ends only that request.
package telemetry
