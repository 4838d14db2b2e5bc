package telemetry

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/status/statustest"
)

func registryOf(s status.Snapshot) *prometheus.Registry {
	return newRegistry("1.2.3", func() status.Snapshot { return s })
}

func gather(t *testing.T, s status.Snapshot) []*dto.MetricFamily {
	t.Helper()
	families, err := registryOf(s).Gather()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return !strings.HasPrefix(f.GetName(), "peaqos_agent_") })
}

// TestCauseMetric: each machine has at most one series, with the code that status shows.
func TestCauseMetric(t *testing.T) {
	seen := 0
	for name, s := range statustest.Situations() {
		var got, want []string
		for _, m := range s.Machines {
			if m.Cause != nil {
				want = append(want, m.Name+" "+string(m.Cause.Code))
			}
		}
		for _, f := range gather(t, s) {
			if f.GetName() == "peaqos_agent_cause" {
				for _, m := range f.Metric {
					got = append(got, m.Label[1].GetValue()+" "+m.Label[0].GetValue())
				}
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		seen += len(want)
	}
	if seen < 5 {
		t.Errorf("only %d situations have a cause", seen)
	}
}

// TestMetricsLint: promlint finds nothing, in any state.
func TestMetricsLint(t *testing.T) {
	for name, s := range statustest.Situations() {
		problems, err := testutil.GatherAndLint(registryOf(s))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s: %s", name, p.Metric, p.Text)
		}
	}
}

// TestStandardMetrics: the metrics of the Go runtime and the process are present.
func TestStandardMetrics(t *testing.T) {
	n, err := testutil.GatherAndCount(registryOf(statustest.SnapshotOf(nil)),
		"go_goroutines", "process_resident_memory_bytes", "process_start_time_seconds")
	if err != nil || n != 3 {
		t.Errorf("found %d of 3: %v", n, err)
	}
}

// series returns the values of one family by their label values, joined by commas.
// Of a histogram it is the count.
func series(t *testing.T, s status.Snapshot, family string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, f := range gather(t, s) {
		if f.GetName() != "peaqos_agent_"+family {
			continue
		}
		for _, m := range f.Metric {
			var values []string
			for _, l := range m.Label {
				values = append(values, l.GetValue())
			}
			v := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			if h := m.GetHistogram(); h != nil {
				v = float64(h.GetSampleCount())
			}
			out[strings.Join(values, ",")] = v
		}
	}
	return out
}

// TestMetricsAtStart: counters exist from the start, at zero; what has not happened
// yet has no timestamp.
func TestMetricsAtStart(t *testing.T) {
	cfg := &config.Config{Machines: []config.Machine{{Name: "main", Endpoints: []config.Endpoint{{ProviderKey: "qvac"}}}}}
	operations, results := len(status.RequestOperations()), len(status.RequestResults())
	s := status.NewTracker(cfg, statustest.Now).Snapshot(statustest.Now, statustest.Boot)
	counters := map[string]int{
		"heartbeats_total": len(status.HeartbeatResults()), "heartbeat_duration_seconds": 1,
		"endpoint_probes_total": 6, "endpoint_probe_duration_seconds": 1,
		"http_requests_total": operations * results, "http_request_duration_seconds": operations,
		"enrollments_total": 5, "challenges_total": 4, "clock_jumps_total": 1, "log_messages_total": 4,
		"keystore_writes_total": 2, "keystore_fallbacks_total": 3, "keystore_written_bytes_total": 1,
		"panics_recovered_total": 1, "watchdog_pings_total": 1,
	}
	for name, n := range counters {
		got := series(t, s, name)
		if len(got) != n {
			t.Errorf("%s has %d series before the first event, want %d", name, len(got), n)
		}
		for labels, v := range got {
			if v != 0 {
				t.Errorf("%s{%s} starts at %v", name, labels, v)
			}
		}
	}
	for _, name := range []string{
		"heartbeat_last_success_timestamp_seconds", "heartbeat_last_success_age_seconds", "next_attempt_delay_seconds",
		"clock_skew_seconds", "clock_synchronized", "endpoint_lease_expiry_timestamp_seconds", "endpoint_up", "identity_info",
		"loop_last_turn_timestamp_seconds",
	} {
		if got := series(t, s, name); len(got) != 0 {
			t.Errorf("%s exists before its first event: %v", name, got)
		}
	}
}

// TestMetricsAgree: a scrape shows the values of the state.
func TestMetricsAgree(t *testing.T) {
	s := statustest.Situations()["degraded"]
	s.Process.WatchdogPings = 11
	s.Machines[0].RetryAfter = 40 * time.Second
	tests := []struct {
		family, labels string
		want           float64
	}{
		{"state", "main,degraded", 1},
		{"state", "main,online", 0},
		{"heartbeats_total", "main,success", 120},
		{"heartbeats_total", "main,timeout", 2},
		{"heartbeat_duration_seconds", "main", 2},
		{"heartbeat_interval_seconds", "main", 30},
		{"heartbeat_last_success_age_seconds", "main", 12},
		{"heartbeat_last_success_timestamp_seconds", "main", float64(statustest.Now.Unix() - 12)},
		{"next_attempt_delay_seconds", "main", 18},
		{"retry_after_seconds", "main", 40},
		{"clock_skew_seconds", "main", 2},
		{"endpoint_up", "main,qvac", 1},
		{"endpoint_up", "main,vision", 0},
		{"endpoint_status", "main,qvac,unreachable", 1},
		{"endpoint_status", "main,qvac,active", 0},
		{"endpoint_probes_total", "main,qvac,success", 7},
		{"endpoint_lease_expiry_timestamp_seconds", "main,qvac", float64(statustest.Now.Unix() + 78)},
		{"identity_info", "agent_1,robot@arm-1-0a1b2c3d,did:peaq:42,main,mach_1,orchestration.peaq.xyz", 1},
		{"loop_last_turn_timestamp_seconds", "beat/main", float64(statustest.Now.Unix() - 3)},
		{"watchdog_pings_total", "", 11},
		{"keystore_durable", "", 1},
		{"config_last_reload_successful", "", 1},
	}
	for _, test := range tests {
		got, ok := series(t, s, test.family)[test.labels]
		if !ok || got != test.want {
			t.Errorf("%s{%s} = %v (present: %v), want %v", test.family, test.labels, got, ok, test.want)
		}
	}
}

// TestMetricsHistogram: buckets are cumulative, and a value above the last bound is
// counted in +Inf only.
func TestMetricsHistogram(t *testing.T) {
	for _, f := range gather(t, statustest.SnapshotOf(nil)) {
		if f.GetName() != "peaqos_agent_heartbeat_duration_seconds" {
			continue
		}
		h := f.Metric[0].GetHistogram()
		if h.GetSampleCount() != 2 || h.GetSampleSum() != 120.3 {
			t.Errorf("count %d, sum %v", h.GetSampleCount(), h.GetSampleSum())
		}
		for _, b := range h.Bucket {
			want := uint64(0)
			if b.GetUpperBound() >= 0.5 {
				want = 1
			}
			if b.GetCumulativeCount() != want {
				t.Errorf("le=%v: %d, want %d", b.GetUpperBound(), b.GetCumulativeCount(), want)
			}
		}
		return
	}
	t.Fatal("no histogram")
}

// TestMetricsLabels: ids appear in identity_info only, and every series of a machine
// has the label machine.
func TestMetricsLabels(t *testing.T) {
	perProcess := []string{
		"build_info", "start_time", "config_", "enrollments", "challenges", "keystore_", "watchdog", "loop_", "log_", "panics",
		"http_", "clock_jumps", "clock_synchronized",
	}
	s := statustest.Situations()["gateway"]
	services := statustest.Situations()["services"].Machines[0]
	s.Machines[0].Presence, s.Machines[0].Control = services.Presence, services.Control
	for _, f := range gather(t, s) {
		name := strings.TrimPrefix(f.GetName(), "peaqos_agent_")
		ofProcess := slices.ContainsFunc(perProcess, func(p string) bool { return strings.HasPrefix(name, p) })
		for _, m := range f.Metric {
			hasMachine := false
			for _, l := range m.Label {
				hasMachine = hasMachine || l.GetName() == "machine"
				if strings.HasPrefix(l.GetValue(), "mach_") && name != "identity_info" {
					t.Errorf("%s has the id %s", name, l.GetValue())
				}
			}
			if hasMachine == ofProcess {
				t.Errorf("%s: label machine is present: %v", name, hasMachine)
			}
		}
	}
}

// TestServiceMetrics: a service that is off has no series, one that is on has all of
// them before its first event.
func TestServiceMetrics(t *testing.T) {
	off, on := statustest.SnapshotOf(nil), statustest.Situations()["services-waiting"]
	for name, want := range map[string]int{
		"presence_state": 4, "presence_pushes_total": len(status.PushResults()), "presence_push_duration_seconds": 1,
		"presence_consecutive_failures": 1, "control_state": 4, "control_connections_total": 3, "control_messages_total": 4,
		"control_queue_length": 1, "control_queue_durable": 1, "control_hook_deliveries_total": 4, "control_hook_consecutive_failures": 1,
		"presence_last_success_timestamp_seconds": 0, "presence_last_success_age_seconds": 0, "presence_clock_skew_seconds": 0,
	} {
		if n := len(series(t, off, name)); n != 0 {
			t.Errorf("%s has %d series although the service is off", name, n)
		}
		if n := len(series(t, on, name)); n != want {
			t.Errorf("%s has %d series, want %d", name, n, want)
		}
	}
	got := series(t, statustest.Situations()["services-failing"], "presence_state")
	if got["main,refused"] != 1 || got["main,online"] != 0 {
		t.Errorf("presence_state: %v", got)
	}
	if age := series(t, statustest.Situations()["services"], "presence_last_success_age_seconds")["main"]; age != 20 {
		t.Errorf("the last push was %v s ago, want 20", age)
	}
}
