package telemetry

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// descs are the descriptions of our metrics: the list that a golden file holds.
// Every per-machine series has the label machine, the configured name; ids and
// hosts stand in the one info series alone.
type descs struct {
	all []*prometheus.Desc

	buildInfo, startTime, reloadOK, reloadAt, enrollments, challenges      *prometheus.Desc
	keystoreWrites, keystoreBytes, keystoreDurable, keystoreFallbacks      *prometheus.Desc
	watchdogPings, loopTurn, logMessages, panics                           *prometheus.Desc
	requests, requestDuration, clockJumps, clockSynced, keystoreGeneration *prometheus.Desc
	state, cloneSuspected, identityInfo, clockSkew                         *prometheus.Desc
	beats, beatDuration, lastSuccess, lastSuccessAge                       *prometheus.Desc
	interval, failures, nextAttempt, retryAfter                            *prometheus.Desc
	endpointUp, endpointStatus, leaseExpiry, probes, probeDuration         *prometheus.Desc
}

func newDescs() descs {
	var d descs
	add := func(name, help string, labels ...string) *prometheus.Desc {
		desc := prometheus.NewDesc("peaqos_agent_"+name, help, labels, nil)
		d.all = append(d.all, desc)
		return desc
	}
	d.buildInfo = add("build_info", "The running build, value 1.", "version", "revision", "goversion", "goarch")
	d.startTime = add("start_time_seconds", "When the agent started.")
	d.reloadOK = add("config_last_reload_successful", "1 when the newest configuration is in force, 0 when it was refused.")
	d.reloadAt = add("config_last_reload_success_timestamp_seconds", "When a configuration last came into force.")
	d.enrollments = add("enrollments_total", "Enrollments by what came of them.", "result")
	d.challenges = add("challenges_total", "Identity challenges by what came of them.", "result")
	d.keystoreWrites = add("keystore_writes_total", "Durable writes to the store.", "result")
	d.keystoreBytes = add("keystore_written_bytes_total", "Bytes written to the store; it stands still in the steady state.")
	d.keystoreDurable = add("keystore_durable", "0 when the newest write may not survive a power cut.")
	d.keystoreFallbacks = add("keystore_fallbacks_total", "Reads that had to take the second slot.", "reason")
	d.keystoreGeneration = add("keystore_generation", "Sequence number of the newest change to the store by this process, 0 before the first.")
	d.requests = add("http_requests_total", "Requests to the orchestrator by operation and what came back.", "operation", "code")
	d.requestDuration = add("http_request_duration_seconds", "Time from sending a request to the end of its answer.", "operation")
	d.clockJumps = add("clock_jumps_total", "Times the wall clock was set by a second or more.")
	d.clockSynced = add("clock_synchronized", "1 when the system says its clock is synchronized; absent when it does not say.")
	d.watchdogPings = add("watchdog_pings_total", "Times the service manager's watchdog was fed.")
	d.loopTurn = add("loop_last_turn_timestamp_seconds", "When a loop last looked at the state.", "loop")
	d.logMessages = add("log_messages_total", "Log lines by level.", "level")
	d.panics = add("panics_recovered_total", "Panics that were caught without ending the process.")
	d.addMachine(add)
	return d
}

func (d *descs) addMachine(add func(name, help string, labels ...string) *prometheus.Desc) {
	d.state = add("state", "1 for the state the machine is in, 0 for the others.", "machine", "state")
	d.cloneSuspected = add("clone_suspected", "1 while the store lies on other hardware than it was made on.", "machine")
	d.identityInfo = add("identity_info", "Who the machine is, value 1; appears with the enrollment.", "machine", "machine_id", "agent_id", "orchestrator_host")
	d.clockSkew = add("clock_skew_seconds", "Local clock minus the orchestrator's.", "machine")
	d.beats = add("heartbeats_total", "Heartbeats by what came of them.", "machine", "result")
	d.beatDuration = add("heartbeat_duration_seconds", "Time from sending a heartbeat to its judged answer.", "machine")
	d.lastSuccess = add("heartbeat_last_success_timestamp_seconds", "When a heartbeat was last accepted, by the wall clock.", "machine")
	d.lastSuccessAge = add("heartbeat_last_success_age_seconds", "Time since a heartbeat was last accepted, by the boot clock.", "machine")
	d.interval = add("heartbeat_interval_seconds", "Time between two heartbeats, after the lease the orchestrator granted.", "machine")
	d.failures = add("heartbeat_consecutive_failures", "Heartbeats in a row that were not accepted.", "machine")
	d.nextAttempt = add("next_attempt_delay_seconds", "Time until the next heartbeat leaves.", "machine")
	d.retryAfter = add("retry_after_seconds", "What the orchestrator last asked us to wait, 0 for nothing.", "machine")
	d.endpointUp = add("endpoint_up", "1 when the endpoint answered its newest local probe.", "machine", "provider")
	d.endpointStatus = add("endpoint_status", "1 for the status the orchestrator gave the endpoint last.", "machine", "provider", "status")
	d.leaseExpiry = add("endpoint_lease_expiry_timestamp_seconds", "When the endpoint's lease ends, by the orchestrator's clock.", "machine", "provider")
	d.probes = add("endpoint_probes_total", "Local probes by what came of them.", "machine", "provider", "result")
	d.probeDuration = add("endpoint_probe_duration_seconds", "Time a local probe took.", "machine", "provider")
}

// buildLabels are the values of build_info.
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
