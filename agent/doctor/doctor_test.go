package doctor_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/doctor"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/deploy/systemd"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// TestRenewUnit: the renewed unit is the current one, started as the old one was.
func TestRenewUnit(t *testing.T) {
	start := "ExecStart=/opt/peaqos-agent --config /etc/robot.yaml run\n"
	old := strings.Replace(systemd.Unit(), "ExecStart=peaqos-agent run\n", start, 1)
	old = strings.Replace(old, "ProtectSystem=strict\n", "ProtectSystem=strict\nReadWritePaths=/data/robot\n", 1)
	old = strings.Replace(old, "WatchdogSec=60\n", "WatchdogSec=30\n", 1)
	u := doctor.Unit{Path: "x", Text: old, Current: systemd.Unit()}
	if !u.Outdated() {
		t.Error("the old unit is not outdated")
	}
	u.Text = doctor.RenewUnit(old, systemd.Unit())
	for _, want := range []string{start, "ReadWritePaths=/data/robot\n", "WatchdogSec=60\n"} {
		if strings.Count(u.Text, want) != 1 {
			t.Errorf("%q is not once in\n%s", want, u.Text)
		}
	}
	if u.Outdated() || doctor.RenewUnit(u.Text, systemd.Unit()) != u.Text {
		t.Errorf("the renewed unit is outdated again\n%s", u.Text)
	}
	if (doctor.Unit{Path: "x", Text: "[Unit]\nDescription=mine\n", Current: systemd.Unit()}).Outdated() {
		t.Error("a unit of somebody else is outdated")
	}
}

// TestWithoutValues: a unit in a bundle names its variables and none of their values, and
// no URL has a password.
func TestWithoutValues(t *testing.T) {
	unit := "[Service]\nEnvironment=PEAQOS_API_KEY=secret-1\nEnvironment=\"HTTPS_PROXY=http://u:secret-2@proxy:3128\"\nUser=x\n"
	want := "[Service]\nEnvironment=PEAQOS_API_KEY=[REMOVED]\nEnvironment=HTTPS_PROXY=[REMOVED]\nUser=x\n"
	if got := doctor.WithoutValues(unit); got != want {
		t.Errorf("%s", got)
	}
	for text, want := range map[string]string{
		"see http://user:pass@host/x?y=a@b": "see http://host/x?y=a@b", "https://host/@x": "https://host/@x", `"http://u@h"`: `"http://h"`,
	} {
		if got := string(doctor.WithoutUsers([]byte(text))); got != want {
			t.Errorf("%s became %s", text, got)
		}
	}
}

// TestAnonymizer: every kind of value is replaced, the same value by the same name in
// every file, and what identifies nothing is left.
func TestAnonymizer(t *testing.T) {
	a := doctor.NewAnonymizer(map[string]string{"robot-7": "host", "orch.example": "host", "hall": "label", "127.0.0.1": "host", "localhost": "host", "": "x"})
	first := string(a.Text([]byte("robot-7 as did:peaq:42 (mach_abc1, magt_x9) at 10.1.2.3:80 and fd00::1:2, ROBOT-7; robot-77 stays")))
	if want := "host-1 as identity-1 (machine-1, agent-1) at address-1:80 and address-2, host-1; robot-77 stays"; first != want {
		t.Errorf("%s\nwant\n%s", first, want)
	}
	second := string(a.Text([]byte(`{"host":"orch.example","agent":"magt_x9","mac":"00:11:22:aa:bb:cc","key":"0x` + strings.Repeat("aB", 20) +
		`","at":"2026-11-28T10:59:31Z","listen":"127.0.0.1:9757","did":"did:peaq:0x` + strings.Repeat("1", 40) + `","label":"peaqos-agent@hall#ab12"}`)))
	if want := `{"host":"host-2","agent":"agent-1","mac":"card-1","key":"account-1","at":"2026-11-28T10:59:31Z","listen":"127.0.0.1:9757",` +
		`"did":"identity-2","label":"label-2"}`; second != want {
		t.Errorf("%s\nwant\n%s", second, want)
	}
}

// TestOrdinaryUser: a user who may not look into the store is given the command that may,
// and no fault is made of it.
func TestOrdinaryUser(t *testing.T) {
	s := newSite(t)
	f := s.gather()
	f.User, f.Store = 1000, keystore.Survey{Path: "/x", Exists: true, Err: &fs.PathError{Op: "open", Path: "/x", Err: fs.ErrPermission}, FileSystem: "unknown"}
	r := doctor.Examine(f)
	if !r.OK || !strings.Contains(r.Text(false), "sudo peaqos-agent doctor") || !strings.Contains(r.Text(false), "2 checks skipped") {
		t.Errorf("%s", r.Text(false))
	}
}

// TestNextIsPlayable: commands carry the configuration in use and, for somebody else's
// store, sudo.
func TestNextIsPlayable(t *testing.T) {
	s := newSite(t)
	f := s.gather()
	f.Reader = status.Reader{Flags: "--config /etc/robot.yaml", StoreNeedsSudo: true}
	if text := doctor.Examine(f).Text(false); !strings.Contains(text, "Next: sudo peaqos-agent enroll --config /etc/robot.yaml --api-key-file FILE\n") {
		t.Errorf("%s", text)
	}
}

// TestNetworkOf lists what a configuration talks to, and which name servers that needs.
func TestNetworkOf(t *testing.T) {
	s := newSite(t)
	s.more = "presence: {enabled: true, url: \"https://presence.test\"}\ncontrol: {enabled: true, hooks: [\"unix:/run/app.sock\"]}"
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/resolv.conf"), []byte("# x\nsearch lan\nnameserver 10.9.8.7\nnameserver 10.9.8.7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	n := doctor.NetworkOf(s.gather(), root)
	var hosts []string
	for _, c := range n.Contacts {
		hosts = append(hosts, c.Host)
	}
	all := strings.Join(hosts, " ")
	for _, want := range []string{strings.TrimPrefix(s.url, "http://"), "presence.test:443", "unix:/run/app.sock", strings.TrimPrefix(s.runtime.URL, "http://"), "10.9.8.7:53"} {
		if strings.Count(" "+all+" ", " "+want+" ") != 1 && want != strings.TrimPrefix(s.url, "http://") {
			t.Errorf("%s is not once in %s", want, all)
		}
	}
	if len(n.Listeners) != 2 || n.Listeners[0].Address != s.telemetry {
		t.Errorf("%+v", n.Listeners)
	}
}

// TestExit: the exit code is that of the first problem, and warnings have none.
func TestExit(t *testing.T) {
	for _, c := range []struct {
		findings []doctor.Finding
		want     status.Exit
	}{
		{nil, status.ExitOK},
		{[]doctor.Finding{{Level: doctor.Warning, Code: status.CodeConfig}, {Level: doctor.Skipped, Code: status.CodeNotPermitted}}, status.ExitOK},
		{[]doctor.Finding{{Level: doctor.Problem, Code: status.CodeNotRunning}, {Level: doctor.Problem, Code: status.CodeConfig}}, status.ExitNotRunning},
		{[]doctor.Finding{{Check: "endpoint", Level: doctor.Problem, Code: status.CodeEndpointDown}}, status.ExitNetwork},
		{[]doctor.Finding{{Check: "telemetry", Level: doctor.Problem, Code: status.CodeTelemetryPort}}, status.ExitFailed},
	} {
		if got := (doctor.Report{Findings: c.findings}).Exit(); got != c.want {
			t.Errorf("%+v: exit %d, want %d", c.findings, got, c.want)
		}
	}
}

// TestKeyOfTheEnvironment: an API key that cannot be read matters to a device that enrolls
// by itself, and to no other.
func TestKeyOfTheEnvironment(t *testing.T) {
	s := newSite(t)
	f := s.gather()
	f.KeyFile = status.NewProblem(status.CodeSecretFile, "/run/secrets/key does not exist")
	for auto, want := range map[bool]bool{true: true, false: false} {
		f.Config.Enroll.Auto = auto
		r := doctor.Examine(f)
		if got := slices.Contains(codes(r), status.CodeSecretFile); got != want || !strings.Contains(r.Text(false), "/run/secrets/key") {
			t.Errorf("enroll.auto %t: %s", auto, r.Text(false))
		}
	}
}

// TestGateway: with several machines each finding names its own.
func TestGateway(t *testing.T) {
	s := newSite(t)
	s.machines = fmt.Sprintf(`[{name: a, identity_ref: "did:peaq:42", endpoints: [{provider_key: demo, base_url: %q}]},
 {name: b, identity_ref: "did:peaq:43", endpoints: [{provider_key: demo, base_url: "http://127.0.0.1:1"}]}]`, s.runtime.URL)
	s.enrollMachine("a")
	r := doctor.Examine(s.gather())
	text := r.Text(false)
	for _, want := range []string{"endpoint a", "endpoint b", "token a"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if got := sorted(codes(r)); !slices.Equal(got, []status.Code{"endpoint_down", "not_enrolled", "not_running"}) {
		t.Errorf("%v\n%s", got, text)
	}
}
