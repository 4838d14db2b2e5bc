package telemetry

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// descs are the descriptions of the agent's own metrics; docs/metrics.md lists
// them. Every series of a machine has the label machine, its configured name. Ids
// and hosts appear in identity_info only.
type descs struct {
	all []*prometheus.Desc

	buildInfo, startTime, reloadOK, reloadAt, enrollments, challenges      *prometheus.Desc
	keystoreWrites, keystoreBytes, keystoreDurable, keystoreFallbacks      *prometheus.Desc
	watchdogPings, loopTurn, logMessages, panics                           *prometheus.Desc
	requests, requestDuration, clockJumps, clockSynced, keystoreGeneration *prometheus.Desc
	state, cause, cloneSuspected, identityInfo, clockSkew                  *prometheus.Desc
	beats, beatDuration, lastSuccess, lastSuccessAge                       *prometheus.Desc
	interval, failures, nextAttempt, retryAfter                            *prometheus.Desc
	endpointUp, endpointStatus, leaseExpiry, probes, probeDuration         *prometheus.Desc
	endpointContested, endpointDisagrees                                   *prometheus.Desc

	services serviceDescs
}

func newDescs() descs {
	var d descs
	add := func(name, help string, labels ...string) *prometheus.Desc {
		desc := prometheus.NewDesc("peaqos_agent_"+name, help, labels, nil)
		d.all = append(d.all, desc)
		return desc
	}
	d.buildInfo = add("build_info", "The running build, value 1.", "version", "revision", "goversion", "goarch")
	d.startTime = add("start_time_seconds", "Time the agent started.")
	d.reloadOK = add("config_last_reload_successful",
		"1 if the last configuration load succeeded, 0 if it was rejected.")
	d.reloadAt = add("config_last_reload_success_timestamp_seconds",
		"Time of the last successful configuration load.")
	d.enrollments = add("enrollments_total", "Enrollments by result.", "result")
	d.challenges = add("challenges_total", "Identity challenges by result.", "result")
	d.keystoreWrites = add("keystore_writes_total", "Durable writes to the store by result.", "result")
	d.keystoreBytes = add("keystore_written_bytes_total",
		"Bytes written to the store; constant in the steady state.")
	d.keystoreDurable = add("keystore_durable",
		"1 if the last write to the store survives a power cut, 0 if it may not.")
	d.keystoreFallbacks = add("keystore_fallbacks_total",
		"Reads of the store that were served from the second copy, by reason.", "reason")
	d.keystoreGeneration = add("keystore_generation",
		"Sequence number of this process's last change to the store, 0 before the first.")
	d.requests = add("http_requests_total",
		"Requests to the orchestrator by operation and class of the response; error means no response.", "operation", "code")
	d.requestDuration = add("http_request_duration_seconds",
		"Time from sending a request to the end of its response.", "operation")
	d.clockJumps = add("clock_jumps_total", "Number of times the wall clock was set by a second or more.")
	d.clockSynced = add("clock_synchronized",
		"1 if the system reports a synchronized clock, 0 if not; absent if it reports neither.")
	d.watchdogPings = add("watchdog_pings_total", "Watchdog notifications sent to the service manager.")
	d.loopTurn = add("loop_last_turn_timestamp_seconds", "Time of the last loop iteration.", "loop")
	d.logMessages = add("log_messages_total", "Log lines by level.", "level")
	d.panics = add("panics_recovered_total", "Panics recovered without ending the process.")
	d.addMachine(add)
	d.services.add(add)
	return d
}

func (d *descs) addMachine(add func(name, help string, labels ...string) *prometheus.Desc) {
	d.state = add("state", "1 for the state the machine is in, 0 for the others.", "machine", "state")
	d.cause = add("cause", "1 for the code of what keeps the machine from being online; absent if nothing does.", "machine", "cause")
	d.cloneSuspected = add("clone_suspected",
		"1 while the store is, or may be, on other hardware than it was created on.", "machine")
	d.identityInfo = add("identity_info",
		"Machine identity, value 1; present once enrolled.",
		"machine", "machine_id", "identity_ref", "agent_id", "agent_label", "orchestrator_host")
	d.clockSkew = add("clock_skew_seconds", skewHelp("orchestrator"), "machine")
	d.beats = add("heartbeats_total", "Heartbeats by result.", "machine", "result")
	d.beatDuration = add("heartbeat_duration_seconds", "Heartbeat round-trip time.", "machine")
	d.lastSuccess = add("heartbeat_last_success_timestamp_seconds",
		"Time of the last accepted heartbeat, by the wall clock.", "machine")
	d.lastSuccessAge = add("heartbeat_last_success_age_seconds",
		"Time since a heartbeat was last accepted, by the boot clock.", "machine")
	d.interval = add("heartbeat_interval_seconds",
		"Time between two heartbeats, derived from the granted lease.", "machine")
	d.failures = add("heartbeat_consecutive_failures",
		"Heartbeats not accepted since the last accepted one.", "machine")
	d.nextAttempt = add("next_attempt_delay_seconds", "Time until the next heartbeat is sent.", "machine")
	d.retryAfter = add("retry_after_seconds", "Last Retry-After from the orchestrator, 0 if none.", "machine")
	d.endpointUp = add("endpoint_up",
		"1 if the endpoint answered its last local probe, 0 if not.", "machine", "provider")
	d.endpointStatus = add("endpoint_status",
		"1 for the last status the orchestrator reported for the endpoint, 0 for the others.", "machine", "provider", "status")
	d.endpointContested = add("endpoint_contested",
		"1 while the orchestrator has another address for the endpoint than this agent published.", "machine", "provider")
	d.endpointDisagrees = add("endpoint_server_disagrees",
		"1 while the orchestrator does not report the endpoint as active, though it answers here and its lease runs.", "machine", "provider")
	d.leaseExpiry = add("endpoint_lease_expiry_timestamp_seconds",
		"Time the endpoint's lease expires, by the orchestrator's clock.", "machine", "provider")
	d.probes = add("endpoint_probes_total", "Local probes by result.", "machine", "provider", "result")
	d.probeDuration = add("endpoint_probe_duration_seconds", "Duration of local probes.", "machine", "provider")
}

// skewHelp says how precise a clock skew is.
func skewHelp(service string) string {
	return "Local clock minus the clock of the " + service + ", in whole seconds because its Date header has no finer ones; " +
		"0 if it cannot be told from zero."
}

// buildLabels returns the label values of build_info.
func buildLabels(version string) []string {
	revision := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	return []string{version, revision, runtime.Version(), runtime.GOARCH}
}
