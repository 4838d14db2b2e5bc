package doctor_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/doctor"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/check/lab"
	"github.com/peaqnetwork/peaqos-agent/deploy/systemd"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// fault is one thing that is wrong with a device.
type fault struct {
	name string
	// state is new (no store), enrolled (no agent is running) or running.
	state  string
	before func(*site)         // the device is enrolled or started
	plant  func(*site)         // afterwards
	facts  func(*doctor.Facts) // what no test can make on every computer
	text   string              // in a finding with the last code
	next   string              // in its next step
	want   []status.Code       // every warning and problem
}

const (
	none      = "new"
	enrolled  = "enrolled"
	isRunning = "running"
)

// faults is everything that a robot maker meets. A device that is not enrolled, or whose
// agent is not running, is reported as such as well.
func faults() []fault {
	table := slices.Concat(networkFaults(), trustFaults(), deviceFaults(), accountFaults())
	if os.Geteuid() == 0 {
		table = append(table, fault{
			name: "a file of the store belongs to another user", state: enrolled,
			plant: func(s *site) { s.must(os.Chown(s.path("state/keystore/seal.a"), 12345, 12345)) },
			text:  "seal.a", next: "chown 0 ", want: []status.Code{"store_unusable"},
		})
	}
	return table
}

// networkFaults are on the way to the orchestrator.
func networkFaults() []fault {
	portal := func(f sandbox.Fault) func(*site) {
		return func(s *site) { s.server.SetFault(func(*http.Request) *sandbox.Fault { return &f }) }
	}
	plain := func(host string) func(*site) {
		return func(s *site) { s.url, s.orchestrator = "http://"+host, "allow_plain_http: true" }
	}
	return []fault{
		{name: "clock behind", plant: portal(sandbox.Fault{Skew: 10 * time.Minute}), text: "behind", next: "timedatectl", want: []status.Code{"clock_skew"}},
		{name: "clock ahead", plant: portal(sandbox.Fault{Skew: -10 * time.Minute}), text: "10 min 0 s ahead of", want: []status.Code{"clock_skew"}},
		{
			name: "nothing keeps the clock, and the orchestrator is out of reach", before: plain("gone.test"),
			facts: func(f *doctor.Facts) { f.Reach.ClockSynced = new(bool) }, want: []status.Code{"config_warning", "dns", "clock_not_synchronized"},
		},
		{name: "a name that does not exist", before: plain("gone.test"), text: "gone.test: no such host", next: "curl -i http://gone.test", want: []status.Code{"config_warning", "dns"}},
		{name: "a dead name server", before: plain("silent.test"), text: "no response from the name server", want: []status.Code{"config_warning", "dns"}},
		{name: "nothing listens", before: plain("loop.test:1"), text: "loop.test:1 at 127.0.0.1:1", want: []status.Code{"config_warning", "connection_refused"}},
		{name: "a proxy that refuses", before: func(s *site) { s.url = "https://loop.test" }, text: "refused the connection", want: []status.Code{"no_roots", "proxy"}},
		{name: "a login page", plant: portal(sandbox.Fault{Status: 200, Body: "<html>log in", ContentType: "text/html"}), text: "not JSON", want: []status.Code{"middlebox"}},
		{name: "a redirect to a login page", plant: portal(sandbox.Fault{Redirect: "http://portal.test/login"}), text: "http://portal.test/login", want: []status.Code{"middlebox"}},
		{name: "a network that requires a login", plant: portal(sandbox.Fault{Status: 511, Body: "<html>", ContentType: "text/html"}), text: "requires a login", want: []status.Code{"middlebox"}},
		{name: "a gateway without an orchestrator", plant: portal(sandbox.Fault{Status: 502, Body: "<html>", ContentType: "text/html"}), text: "HTTP 502", want: []status.Code{"gateway"}},
		{name: "the orchestrator fails", plant: portal(sandbox.Fault{Status: 500, Code: "INTERNAL_ERROR"}), text: "HTTP 500", want: []status.Code{"server_error"}},
		{name: "the orchestrator is overloaded", plant: portal(sandbox.Fault{Status: 503, RetryAfter: "30"}), want: []status.Code{"retry_after"}},
		{
			name: "an orchestrator that never responds", before: func(s *site) {
				s.front(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			}, text: "waiting for the response", want: []status.Code{"timeout"},
		},
	}
}

// trustFaults are those of TLS and of the files of trust.
func trustFaults() []fault {
	withCA := func(change func(*x509.Certificate)) func(*site) {
		return func(s *site) { s.orchestrator = "ca_file: " + s.secure(change) }
	}
	return []fault{
		{name: "no root certificates", before: func(s *site) { s.secure(nil) }, text: "no root certificates", next: "ca-certificates", want: []status.Code{"no_roots"}},
		{
			name: "an unknown authority", before: func(s *site) {
				withCA(nil)(s)
				_, _, other := certificate(s.t, nil, nil, nil)
				s.write("ca.pem", other, 0o644)
			}, text: "TLS handshake with 127.0.0.1", want: []status.Code{"unknown_ca"},
		},
		{
			name:   "an expired certificate",
			before: withCA(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
			text:   "TLS handshake with 127.0.0.1", want: []status.Code{"tls_expired"},
		},
		{
			name:   "a clock before the certificate",
			before: withCA(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }),
			text:   "not yet valid", next: "timedatectl", want: []status.Code{"clock"},
		},
		{name: "a certificate of another host", before: withCA(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 2)} }), want: []status.Code{"tls_name"}},
		{name: "plain HTTP on a TLS port", before: func(s *site) { s.url = strings.Replace(s.url, "http:", "https:", 1) }, want: []status.Code{"no_roots", "not_tls"}},
		{name: "nothing is wrong with a CA of one's own", before: withCA(nil)},
		{name: "a missing ca_file", before: func(s *site) { withCA(nil)(s); s.must(os.Remove(s.path("ca.pem"))) }, text: "ca.pem", next: "check the path", want: []status.Code{"ca_file"}},
		{name: "a ca_file that is cut", before: func(s *site) { withCA(nil)(s); s.write("ca.pem", "-----BEGIN CERTIFICATE-----\nMIID\n", 0o644) }, text: "no end", want: []status.Code{"ca_file"}},
	}
}

// deviceFaults are on the device itself.
func deviceFaults() []fault {
	return []fault{
		{name: "not enrolled", next: "peaqos-agent enroll --api-key-file FILE"},
		{name: "no agent is running", state: enrolled, next: "service start"},
		{name: "an unknown key in the configuration", before: func(s *site) { s.more = "hartbeat: {}" }, text: "hartbeat", next: "config check", want: []status.Code{"config"}},
		{name: "a store in memory", before: func(s *site) { s.inMemory() }, text: "tmpfs", want: []status.Code{"store_volatile"}},
		{
			name: "the store is open to others", state: enrolled, plant: func(s *site) {
				s.must(errors.Join(os.Chmod(s.path("state/keystore"), 0o755), os.Chmod(s.path("state/keystore/seal.a"), 0o644)))
			}, text: "seal.a (0644)", next: "doctor --fix", want: []status.Code{"store_modes"},
		},
		{name: "an interrupted write", state: enrolled, plant: func(s *site) { s.write("state/keystore/agent-main.a.tmp", "", 0o600) }, text: "agent-main.a.tmp", want: []status.Code{"store_leftovers"}},
		{name: "a link in place of a file", state: enrolled, plant: func(s *site) {
			s.must(os.Symlink(s.path("config.yaml"), s.path("state/keystore/x.a")))
		}, text: "x.a", want: []status.Code{"store_unusable"}},
		{name: "a full disk", facts: func(f *doctor.Facts) { f.Store.FreeBytes = 4096 }, text: "4 KiB", next: "keystore.dir", want: []status.Code{"store_full"}},
		{
			name: "the passphrase file is missing", state: enrolled,
			before: func(s *site) {
				s.keystore += ", passphrase_file: " + s.write("passphrase", "correct horse\n", 0o600)
			},
			plant: func(s *site) { s.must(os.Remove(s.path("passphrase"))) },
			want:  []status.Code{"secret_file", "store_sealed"},
		},
		{
			name: "a passphrase file that others can read", state: enrolled,
			before: func(s *site) {
				s.keystore += ", passphrase_file: " + s.write("passphrase", "correct horse\n", 0o600)
			},
			plant: func(s *site) { s.must(os.Chmod(s.path("passphrase"), 0o644)) },
			next:  "chmod 600 ", want: []status.Code{"store_sealed", "secret_file"},
		},
		{
			name: "both copies of the record are damaged", state: enrolled, plant: func(s *site) {
				for _, slot := range []string{"a", "b"} {
					s.write("state/keystore/agent-main."+slot, strings.Repeat("x", 300), 0o600)
				}
			}, next: "rotate", want: []status.Code{"store_damaged"},
		},
		{
			name: "the disk of another machine", state: enrolled,
			before: func(s *site) {
				s.keystore += ", bind_host: true"
				s.request.HostRoot = fakeHost(s.t, strings.Repeat("1", 32), "00:11:22:33:44:55")
			},
			plant: func(s *site) { s.request.HostRoot = fakeHost(s.t, strings.Repeat("2", 32), "00:11:22:66:77:88") },
			text:  "other hardware", next: "adopt", want: []status.Code{"foreign_host"},
		},
		{
			name: "the telemetry port is taken", before: func(s *site) {
				l, err := net.Listen("tcp", s.telemetry)
				s.must(err)
				s.t.Cleanup(func() { _ = l.Close() })
			}, text: "is taken by", want: []status.Code{"telemetry_port"},
		},
		{name: "the runtime is down", plant: func(s *site) { s.runtime.Close() }, text: "nothing listens there", next: "endpoints check", want: []status.Code{"endpoint_down"}},
		{name: "another runtime", plant: func(s *site) { s.reply.Store(http.StatusNotFound) }, text: "set probe_path", want: []status.Code{"endpoint_down"}},
		{
			name: "Ollama as QVAC", before: func(s *site) {
				s.provider = "qvac"
				s.body.Store("{\"object\":\"list\",\"data\":[{\"id\":\"llama3:latest\",\"object\":\"model\",\"owned_by\":\"library\"}]}")
			}, text: "answers like Ollama", next: "endpoints discover", want: []status.Code{"endpoint_mismatch"},
		},
		{name: "QVAC without a model", before: func(s *site) {
			s.provider = "qvac"
			s.body.Store("{\"object\":\"list\",\"data\":[]}")
		}, text: "lists no model", want: []status.Code{"endpoint_mismatch"}},
		{name: "a runtime that wants a token", plant: func(s *site) { s.reply.Store(http.StatusUnauthorized) }, text: "auth_token_file", want: []status.Code{"endpoint_down"}},
		{name: "an unreadable token of the runtime", before: func(s *site) {
			s.endpoint = "auth_type: bearer, auth_token_file: " + s.path("none")
		}, want: []status.Code{"secret_file", "endpoint_down"}},
		{name: "presence without a key", state: enrolled, before: func(s *site) { s.more = "presence: {enabled: true}" }, next: "identity import", want: []status.Code{"presence_no_key"}},
		{
			name: "a unit of another version", before: func(s *site) {
				s.request.Unit = doctor.Unit{
					Path: "/etc/systemd/system/peaqos-agent.service", Current: systemd.Unit(),
					Text: strings.NewReplacer("WatchdogSec=60\n", "", "ExecStart=peaqos-agent run", "ExecStart=/opt/x --config "+s.path("config.yaml")+" run").
						Replace(systemd.Unit()),
				}
			}, next: "sudo peaqos-agent service install", want: []status.Code{"old_unit"},
		},
		{
			name: "a service with another configuration", before: func(s *site) {
				s.request.Unit = doctor.Unit{
					Path: "/etc/systemd/system/peaqos-agent.service", Current: systemd.Unit(),
					Text: strings.Replace(systemd.Unit(), "ExecStart=peaqos-agent run", "ExecStart=/opt/x --config /etc/robot.yaml run", 1),
				}
			}, next: "doctor --config /etc/robot.yaml", want: []status.Code{"unit_config"},
		},
		{
			name: "a drop-in that runs another program, and a crash loop", before: func(s *site) {
				s.request.Unit = doctor.Unit{
					Path: "/etc/systemd/system/peaqos-agent.service", Current: systemd.Unit(),
					Text:    strings.Replace(systemd.Unit(), "ExecStart=peaqos-agent run", "ExecStart=/opt/x --config "+s.path("config.yaml")+" run", 1),
					DropIns: []doctor.DropIn{{Path: "override.conf", Text: "[Service]\nExecStart=\nExecStart=/opt/other run\n"}},
					Failing: "The service fails and is restarted again and again: 12 restarts",
				}
			}, text: "12 restarts", next: "journalctl", want: []status.Code{"unit_drop_in", "service_failing"},
		},
	}
}

// accountFaults are seen on the orchestrator, or by the running agent.
func accountFaults() []fault {
	withKey := func(s *site) { s.request.APIKey = sdk.NewSecret(apiKey) }
	both := func(f ...func(*site)) func(*site) {
		return func(s *site) {
			for _, one := range f {
				one(s)
			}
		}
	}
	return []fault{
		{name: "an API key that is not accepted", state: enrolled, plant: func(s *site) { s.request.APIKey = sdk.NewSecret("not-the-key") }, text: "does not accept the API key", next: "--api-key-file", want: []status.Code{"AUTH_INVALID"}},
		{
			name: "an API key of another account", state: enrolled,
			plant: both(withKey, func(s *site) {
				s.server.SetFault(func(r *http.Request) *sandbox.Fault {
					if strings.HasSuffix(r.URL.Path, "/agents") {
						return &sandbox.Fault{Status: 403, Code: "MACHINE_FORBIDDEN"}
					}
					return nil
				})
			}), text: "HTTP 403", want: []status.Code{"MACHINE_FORBIDDEN"},
		},
		{name: "a revoked agent, seen with the key", state: enrolled, plant: both(withKey, func(s *site) { s.server.RevokeAgent(s.agentID) }), next: "rotate", want: []status.Code{"AGENT_PAIRING_INACTIVE"}},
		{name: "a revoked agent, seen by the daemon", state: isRunning, plant: func(s *site) { s.server.RevokeAgent(s.agentID) }, next: "peaqos-agent rotate", want: []status.Code{"AGENT_PAIRING_INACTIVE"}},
		{
			name: "a lapsed lease", state: enrolled, plant: both(withKey, func(s *site) {
				s.until("the lease expires", func() bool { return slices.Contains(codes(doctor.Examine(s.gather())), "lease_expired") })
			}), text: "buyers do not see it", want: []status.Code{"lease_expired"},
		},
		{name: "a runtime that stopped under the daemon", state: isRunning, plant: func(s *site) { s.runtime.Close() }, want: []status.Code{"endpoint_down"}},
		{
			name: "a second active agent", state: enrolled,
			plant: both(withKey, func(s *site) {
				other := newSite(s.t)
				other.server, other.url = s.server, s.url
				other.enroll()
			}), text: "last heartbeat", next: "agents revoke", want: []status.Code{"endpoint_contested", "other_agents"},
		},
		{
			name: "a rotation that is not confirmed", state: enrolled, plant: func(s *site) {
				s.reply.Store(http.StatusServiceUnavailable)
				s.with(func(a *agent.Agent) error {
					_, err := a.Rotate(s.t.Context(), agent.RotateRequest{APIKey: sdk.NewSecret(apiKey)}, func(string) {})
					return err
				})
				s.reply.Store(http.StatusOK)
			}, next: "rotate --api-key-file", want: []status.Code{"rotation_pending"},
		},
		{
			name: "a presence service that is out of reach", state: isRunning, before: func(s *site) {
				s.more = "presence: {enabled: true, url: \"http://127.0.0.1:1\", interval: 1s, machine_id: \"42\"}"
				s.with(func(a *agent.Agent) error {
					key, err := keystore.ParseKey([]byte(lab.ControllerKey))
					if err == nil {
						_, err = a.PutController(s.t.Context(), key)
					}
					return err
				})
			}, next: "presence status", want: []status.Code{"presence_unreachable"},
		},
		{
			name: "a control socket that is refused", state: isRunning, before: func(s *site) {
				s.more = "control: {enabled: true, hooks: [\"http://127.0.0.1:1/\"]}"
				s.server.SetFault(func(r *http.Request) *sandbox.Fault {
					if r.Header.Get("Upgrade") != "" {
						return &sandbox.Fault{Status: 503}
					}
					return nil
				})
			}, want: []status.Code{"control_unreachable"},
		},
		{name: "another version runs", state: isRunning, plant: func(s *site) { s.request.Version = "1.3.0" }, text: "1.2.3 runs, this is 1.3.0", next: "service restart", want: []status.Code{"another_version"}},
		{name: "an enrollment that was interrupted", plant: func(s *site) {
			s.with(func(*agent.Agent) error { return nil })
			store, err := keystore.Open(s.t.Context(), s.path("state"), keystore.Options{Volatile: true})
			s.must(err)
			s.must(errors.Join(store.PutIntent("main", &keystore.Intent{Origin: s.url, MachineID: "mach_1", Label: "x#abcdefgh", StartedAt: time.Now()}), store.Close()))
		}, next: "peaqos-agent enroll", want: []status.Code{"enrollment_interrupted"}},
		{name: "a store of another orchestrator", state: enrolled, plant: func(s *site) {
			front := httptest.NewServer(s.server)
			s.t.Cleanup(front.Close)
			s.url = front.URL
		}, next: "set orchestrator.url back", want: []status.Code{"record_of_another_origin"}},
		{name: "a configuration of another machine", state: enrolled, plant: func(s *site) { s.ref = "did:peaq:43" }, text: "did:peaq:43", want: []status.Code{"another_identity"}},
		{name: "an endpoint that enrollment does not allow", state: enrolled, plant: func(s *site) {
			s.endpoint = "}, {provider_key: other, base_url: \"" + s.runtime.URL + "\""
		}, next: "rotate", want: []status.Code{"AGENT_POLICY_DENIED"}},
		{
			name: "the store is in use by a process that does not respond", state: enrolled, plant: func(s *site) {
				store, err := keystore.Open(context.Background(), s.path("state"), keystore.Options{Volatile: true})
				s.must(err)
				s.t.Cleanup(func() { _ = store.Close() })
			}, want: []status.Code{"store_in_use"},
		},
	}
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// inMemory puts the store into memory, which the configuration does not accept.
func (s *site) inMemory() {
	dir, err := os.MkdirTemp("/dev/shm", "peaqos-agent-doctor-")
	s.must(err)
	s.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s.dir, s.keystore = dir, ""
}

// codes lists the codes of the warnings and problems.
func codes(r doctor.Report) []status.Code {
	var out []status.Code
	for _, f := range r.Findings {
		if f.Level == doctor.Warning || f.Level == doctor.Problem {
			out = append(out, f.Code)
		}
	}
	return out
}

// TestDoctorFindsPlantedFaults: every fault is found by its code, with what is known and
// a next step, and nothing else is said. Examining twice says the same and changes nothing.
func TestDoctorFindsPlantedFaults(t *testing.T) {
	table := faults()
	if len(table) < 25 {
		t.Fatalf("only %d faults", len(table))
	}
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if c.before != nil {
				c.before(s)
			}
			want := slices.Clone(c.want)
			switch c.state {
			case isRunning:
				s.enroll()
				s.run()
			case enrolled:
				s.enroll()
				if !hidesTheStore(want) {
					want = append(want, status.CodeNotRunning)
				}
			default:
				if !slices.Contains(want, status.CodeConfig) && !slices.Contains(want, "enrollment_interrupted") {
					want = append(want, status.CodeNotEnrolled)
				}
			}
			if c.plant != nil {
				c.plant(s)
			}
			before := contents(t, s.path("state"))
			var r doctor.Report
			examine := func() []status.Code {
				f := s.gather()
				if c.facts != nil {
					c.facts(&f)
				}
				r = doctor.Examine(f)
				return sorted(codes(r))
			}
			slices.Sort(want)
			if c.state == isRunning { // it finds out with its next heartbeats
				s.until(c.name, func() bool { return slices.Equal(examine(), want) })
			}
			if got := examine(); !slices.Equal(got, want) {
				t.Errorf("found %v, want %v\n%s", got, want, r.Text(false))
			}
			checkWords(t, c, r)
			if after := contents(t, s.path("state")); c.state != isRunning && before != after {
				t.Errorf("the store was changed from\n%s to\n%s", before, after)
			}
		})
	}
}

// hidesTheStore reports whether a fault prevents that the record of the agent is read.
func hidesTheStore(codes []status.Code) bool {
	return slices.ContainsFunc(codes, func(c status.Code) bool {
		return slices.Contains([]status.Code{"store_modes", "store_leftovers", "store_unusable", "store_in_use", "record_of_another_origin"}, c)
	})
}

func sorted(codes []status.Code) []status.Code { slices.Sort(codes); return codes }

// checkWords checks what is said: each finding that is not in order has a next step, and
// the planted one the expected words.
func checkWords(t *testing.T, c fault, r doctor.Report) {
	t.Helper()
	text, next := false, false
	for _, f := range r.Findings {
		if f.Level == doctor.OK || f.Level == doctor.Skipped {
			continue
		}
		if f.Next == "" || f.Text == "" || f.Code == "" {
			t.Errorf("a finding without words: %+v", f)
		}
		if strings.ContainsAny(f.Text+f.Next, "\n{") {
			t.Errorf("not one line: %+v", f)
		}
		text = text || strings.Contains(f.Text, c.text)
		next = next || strings.Contains(f.Next, c.next)
	}
	if !text || !next {
		t.Errorf("%q or %q is not in\n%s", c.text, c.next, r.Text(false))
	}
	if r.OK || r.Exit() == status.ExitOK && !slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool { return f.Level == doctor.Warning }) {
		t.Errorf("OK %t, exit code %d", r.OK, r.Exit())
	}
}

// contents lists the files below a directory with their modes and sizes.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		info, ierr := d.Info()
		if err == nil && ierr == nil {
			b.WriteString(path + " " + info.Mode().String() + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestHealthyMachine: on a machine that is online doctor has nothing to say, with and
// without an API key.
func TestHealthyMachine(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.enroll()
	s.run()
	for _, key := range []string{"", apiKey} {
		s.request.APIKey = sdk.NewSecret(key)
		f := s.gather()
		r := doctor.Examine(f)
		if !r.OK || len(codes(r)) > 0 || r.Exit() != status.ExitOK || r.Text(true) != "" {
			t.Errorf("key %q: %s", key, r.Text(false))
		}
	}
}
