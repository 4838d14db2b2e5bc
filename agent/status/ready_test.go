package status_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/status/statustest"
)

func codes(r status.Readiness) []string {
	out := []string{}
	for _, reason := range r.Reasons {
		out = append(out, strings.TrimPrefix(reason.Machine+"/"+reason.Endpoint+"/"+string(reason.Code), "main/"))
	}
	return out
}

func TestReady(t *testing.T) {
	tests := map[string]struct {
		ready   bool
		state   string
		reasons []string
	}{
		"unenrolled":          {false, "unenrolled", []string{"/not_enrolled", "qvac/lease_none"}},
		"interrupted":         {false, "unenrolled", []string{"/enrollment_interrupted", "qvac/lease_none"}},
		"other-origin":        {false, "unenrolled", []string{"/record_of_another_origin", "qvac/lease_none"}},
		"first-beat":          {false, "idle", []string{"/first_beat_pending", "qvac/lease_none"}},
		"idle":                {false, "idle", []string{"qvac/endpoint_down"}},
		"idle-refused":        {false, "idle", []string{"qvac/endpoint_refused"}},
		"no-endpoint":         {false, "idle", []string{"/nothing_up"}},
		"online":              {true, "online", []string{}},
		"mismatch":            {true, "online", []string{}},
		"degraded":            {true, "degraded", []string{"qvac/server_disagrees", "vision/endpoint_down", "vision/lease_expired"}},
		"port-taken":          {true, "degraded", []string{"//telemetry_port"}},
		"offline":             {false, "offline", []string{"/connection_refused", "qvac/lease_expired"}},
		"offline-lease-runs":  {true, "offline", []string{"/dns"}},
		"retry-after":         {true, "offline", []string{"/retry_after"}},
		"rejected":            {false, "rejected", []string{"/AGENT_AUTH_INVALID", "qvac/lease_expired"}},
		"revoked":             {false, "revoked", []string{"/AGENT_PAIRING_INACTIVE", "qvac/lease_expired"}},
		"locked":              {false, "locked", []string{"//keystore_not_durable", "//config_reload", "/store_sealed", "qvac/lease_none"}},
		"quarantined":         {false, "quarantined", []string{"/foreign_host", "qvac/lease_none"}},
		"rotation-pending":    {false, "idle", []string{"/rotation_pending", "qvac/endpoint_down"}},
		"rotation-unfinished": {true, "online", []string{"/rotation_unfinished"}},
		"no-daemon":           {false, "idle", []string{"/first_beat_pending", "qvac/lease_none"}},
		"services":            {true, "online", []string{}},
		"services-failing": {true, "online", []string{
			"/presence_not_accepted", "/control_unreachable", "/hook_failing", "/control_queue_full", "/control_queue_not_durable",
		}},
		"services-waiting": {true, "online", []string{"/presence_no_key"}},
		"gateway":          {false, "revoked", []string{"arm-2//machine_not_ready", "arm-2//AGENT_PAIRING_INACTIVE", "arm-2/qvac/lease_expired"}},
	}
	all := statustest.Situations()
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			got := status.Ready(all[name])
			if got.Ready != want.ready || got.State != want.state {
				t.Errorf("ready %v, state %q; want %v, %q", got.Ready, got.State, want.ready, want.state)
			}
			if diff := cmp.Diff(want.reasons, codes(got)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
	for name := range all {
		if _, ok := tests[name]; !ok {
			t.Errorf("no row for %s", name)
		}
	}
}

// TestReadyAtTheEdges: the lease by our boot clock and the newest probe, and
// nothing else.
func TestReadyAtTheEdges(t *testing.T) {
	tests := []struct {
		name   string
		change func(*status.Snapshot, *status.Machine)
		ready  bool
	}{
		{"a tenth of a second of lease left", func(_ *status.Snapshot, m *status.Machine) {
			m.Endpoints[0].AcceptedAt = statustest.Boot - 90*time.Second + 100*time.Millisecond
		}, true},
		{"the lease ends now", func(_ *status.Snapshot, m *status.Machine) {
			m.Endpoints[0].AcceptedAt = statustest.Boot - 90*time.Second
		}, false},
		{"the server's clock says expired", func(_ *status.Snapshot, m *status.Machine) {
			m.Endpoints[0].LeaseExpiresAt = statustest.Now.Add(-time.Hour)
		}, true},
		{"the server says unreachable", func(_ *status.Snapshot, m *status.Machine) { m.Endpoints[0].ServerStatus = "unreachable" }, true},
		{"the wall clock is in 1970", func(s *status.Snapshot, _ *status.Machine) { s.At = time.Unix(0, 0) }, true},
		{"down with a running lease", func(_ *status.Snapshot, m *status.Machine) { m.Endpoints[0] = statustest.Down(m.Endpoints[0]) }, false},
		{"published before the first probe ended", func(_ *status.Snapshot, m *status.Machine) { m.Endpoints[0].Probed = false }, false},
		{"one of two is live", func(_ *status.Snapshot, m *status.Machine) {
			m.Endpoints = append(m.Endpoints, statustest.Down(statustest.Lapsed(statustest.EndpointOf("vision", "http://127.0.0.1:1"))))
		}, true},
		{"up and leased, but not the same one", func(_ *status.Snapshot, m *status.Machine) {
			m.Endpoints = []status.Endpoint{statustest.Down(statustest.EndpointOf("a", "http://127.0.0.1:1")), statustest.Lapsed(statustest.EndpointOf("b", "http://127.0.0.1:2"))}
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := status.Ready(statustest.SnapshotOf(test.change))
			if got.Ready != test.ready {
				t.Errorf("ready %v, want %v: %v", got.Ready, test.ready, got.Reasons)
			}
			if !got.Ready && len(got.Reasons) == 0 {
				t.Error("not ready without a reason")
			}
		})
	}
	bare := status.Ready(statustest.SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
		statustest.Unenrolled("not_enrolled", "no enrollment yet")(s, m)
		m.Endpoints = nil
	}))
	if diff := cmp.Diff([]string{"/not_enrolled", "/no_endpoint"}, codes(bare)); diff != "" {
		t.Errorf("neither enrolled nor anything to publish (-want +got):\n%s", diff)
	}
	if r := status.Ready(status.Snapshot{}); r.Ready || len(r.Reasons) == 0 {
		t.Errorf("no machine at all: %+v", r)
	}
}

// TestWords: every state has an effect, every sentence has the same form,
// and every command is one that exists.
func TestWords(t *testing.T) {
	covered := map[status.State]bool{}
	for name, s := range statustest.Situations() {
		for _, m := range s.Machines {
			covered[m.State] = true
			if status.Effect(m) == "" || strings.HasSuffix(status.Effect(m), ".") {
				t.Errorf("%s: effect %q", name, status.Effect(m))
			}
			checkCommand(t, name, status.NextCommand(m))
		}
		if s := status.Summary(s); s == "" || strings.Contains(s, "\n") {
			t.Errorf("%s: summary %q", name, s)
		}
	}
	for _, c := range status.States() {
		if !covered[c] {
			t.Errorf("no fixture is %s", c)
		}
	}
}

func checkCommand(t *testing.T, name, command string) {
	t.Helper()
	words := strings.Fields(command)
	if len(words) == 0 || words[0] == "curl" || words[0] == "timedatectl" {
		return
	}
	verbs := []string{"enroll", "rotate", "adopt", "config", "endpoints", "status"}
	if words[0] != "peaqos-agent" || len(words) < 2 || !slices.Contains(verbs, words[1]) {
		t.Errorf("%s: %q is not a command of this program", name, command)
	}
}

func TestNextCommand(t *testing.T) {
	tests := []struct {
		name    string
		machine status.Machine
		want    string
	}{
		{"nothing known", status.Machine{Name: "main", State: status.Unenrolled}, "peaqos-agent enroll --identity-ref did:peaq:N --api-key-file FILE"},
		{"identity configured", status.Machine{Name: "main", State: status.Unenrolled, IdentityRef: "did:peaq:42"}, "peaqos-agent enroll --api-key-file FILE"},
		{"one of several", status.Machine{Name: "arm-2", State: status.Unenrolled, MachineID: "mach_2"}, "peaqos-agent enroll --machine arm-2 --api-key-file FILE"},
		{"revoked", status.Machine{Name: "main", State: status.Revoked, MachineID: "mach_1"}, "peaqos-agent rotate --api-key-file FILE"},
		{"rejected", status.Machine{Name: "main", State: status.Rejected, MachineID: "mach_1"}, "peaqos-agent rotate --api-key-file FILE"},
		{"online", status.Machine{Name: "main", State: status.Online}, ""},
		{"asked to wait", status.Machine{State: status.Offline, Cause: status.NewCause("retry_after", ""), Origin: "https://o.example"}, ""},
		{"clock", status.Machine{State: status.Offline, Cause: status.NewCause("clock", ""), Origin: "https://o.example"}, "timedatectl status"},
		{"proxy's authority", status.Machine{State: status.Offline, Cause: status.NewCause("unknown_ca", "")}, "peaqos-agent config show --origin"},
		{"not reached", status.Machine{State: status.Offline, Cause: status.NewCause("network", ""), Origin: "https://o.example"}, "curl -i https://o.example/api/v1/health"},
		{"draft machine", status.Machine{State: status.Offline, Cause: status.NewCause("MACHINE_NOT_ACTIVE", "")}, "peaqos-agent status --check live"},
		{"key not allowed", status.Machine{Name: "main", MachineID: "mach_1", State: status.Degraded, Cause: status.NewCause("endpoint_missing", ""), Endpoints: []status.Endpoint{{Refused: "AGENT_POLICY_DENIED"}}}, "peaqos-agent rotate --api-key-file FILE"},
		{"runtime down", status.Machine{State: status.Idle, Cause: status.NewCause("nothing_up", ""), Endpoints: []status.Endpoint{{}}}, "peaqos-agent endpoints check"},
		{"no endpoint", status.Machine{State: status.Idle, Cause: status.NewCause("nothing_up", "")}, "peaqos-agent config check"},
	}
	for _, test := range tests {
		if got := status.NextCommand(test.machine); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 1499 * time.Millisecond: "1 s", 119 * time.Second: "119 s", 2 * time.Minute: "2 min 0 s",
		90 * time.Minute: "90 min 0 s", 3 * time.Hour: "3 h 0 min", 50 * time.Hour: "2 d 2 h", -5 * time.Second: "-5 s",
	} {
		if got := status.FormatDuration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
