package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/doctor"
	"github.com/peaqnetwork/peaqos-agent/check/lab"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestMain gives the whole process what a process has only once: name servers that the
// test controls, a proxy for https that refuses, and no root certificates, as in an image
// made from scratch. Loopback addresses need none of them.
func TestMain(m *testing.M) {
	servers, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go serveNames(servers)
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", servers.LocalAddr().String())
	}}
	closed, err := lab.FreeAddress()
	if err != nil {
		log.Fatal(err)
	}
	for name, value := range map[string]string{
		"SSL_CERT_FILE": "/dev/null", "SSL_CERT_DIR": "/dev/null", "HTTPS_PROXY": "http://" + closed, "HTTP_PROXY": "", "http_proxy": "",
		"NO_PROXY": "", "no_proxy": "", "ALL_PROXY": "", "all_proxy": "", "RUNTIME_DIRECTORY": "",
	} {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(m.Run())
}

// serveNames is a name server: silent.test gets no response, loop.test is 127.0.0.1, and
// no other name exists.
func serveNames(c net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		query := buf[:n]
		end := 12
		var labels []string
		for end < n && query[end] != 0 {
			labels = append(labels, string(query[end+1:end+1+int(query[end])]))
			end += 1 + int(query[end])
		}
		name := strings.ToLower(strings.Join(labels, "."))
		if name == "silent.test" || end+5 > n {
			continue
		}
		isA := query[end+2] == 1
		answer := append([]byte{}, query[:2]...)
		rcode := byte(3) // no such name
		if name == "loop.test" {
			rcode = 0
		}
		count := byte(0)
		if rcode == 0 && isA {
			count = 1
		}
		answer = append(answer, 0x84, rcode, 0, 1, 0, count, 0, 0, 0, 0)
		answer = append(answer, query[12:end+5]...)
		if count == 1 {
			answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
		}
		_, _ = c.WriteTo(answer, from)
	}
}

const apiKey = "platform-key-canary"

// site is a device with its configuration and store, a runtime, and an orchestrator.
type site struct {
	t       *testing.T
	dir     string
	server  *sandbox.Server
	url     string // of the orchestrator
	runtime *httptest.Server
	reply   atomic.Int32 // the status of the runtime's response
	body    atomic.Value // its body, a string

	telemetry, provider, machines               string
	orchestrator, keystore, endpoint, more, ref string // further keys of the configuration
	request                                     doctor.Request
	agentID                                     string
}

func newSite(t *testing.T) *site {
	t.Helper()
	key, err := keystore.ParseKey([]byte(lab.ControllerKey))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: t.TempDir(), ref: "did:peaq:42"}
	s.server = sandbox.New(sandbox.WithAPIKey(apiKey), sandbox.WithController("", key.Signer().Address()))
	front := httptest.NewServer(s.server)
	t.Cleanup(front.Close)
	s.url = front.URL
	s.reply.Store(http.StatusOK)
	s.provider = "demo"
	s.body.Store("")
	s.runtime = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(s.reply.Load()))
		_, _ = io.WriteString(w, s.body.Load().(string))
	}))
	t.Cleanup(s.runtime.Close)
	if s.telemetry, err = lab.FreeAddress(); err != nil {
		t.Fatal(err)
	}
	s.keystore = "volatile: true"
	s.request = doctor.Request{Version: "1.2.3", Budget: 3 * time.Second}
	return s
}

// path is a file of the site.
func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, text string, mode os.FileMode) string {
	s.t.Helper()
	if err := errors.Join(os.WriteFile(s.path(name), []byte(text), 0o600), os.Chmod(s.path(name), mode)); err != nil {
		s.t.Fatal(err)
	}
	return s.path(name)
}

// load writes the configuration and reads it.
func (s *site) load() (*config.Config, error) {
	s.t.Helper()
	machines := s.machines
	if machines == "" {
		machines = fmt.Sprintf("[{identity_ref: %q, endpoints: [{provider_key: %s, base_url: %q, %s}]}]", s.ref, s.provider, s.runtime.URL, s.endpoint)
	}
	text := fmt.Sprintf(`orchestrator: {url: %q, %s}
keystore: {dir: %q, %s}
heartbeat: {lease_ttl: 3s}
telemetry: {listen: %q}
machines: %s
%s
`, s.url, s.orchestrator, s.path("state"), s.keystore, s.telemetry, machines, s.more)
	return config.Load(config.Source{Path: s.write("config.yaml", text, 0o600)})
}

func (s *site) config() *config.Config {
	s.t.Helper()
	cfg, err := s.load()
	if err != nil {
		s.t.Fatal(err)
	}
	return cfg
}

// with runs f with an agent that has the store.
func (s *site) with(f func(*agent.Agent) error) {
	s.t.Helper()
	if err := os.MkdirAll(s.path("state"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	a, err := agent.New(s.t.Context(), s.config(), agent.Options{Version: "1.2.3", NoAdmin: true, HostRoot: s.request.HostRoot})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := errors.Join(f(a), a.Close()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) enroll() { s.enrollMachine("") }

func (s *site) enrollMachine(name string) {
	s.t.Helper()
	s.with(func(a *agent.Agent) error {
		key, err := keystore.ParseKey([]byte(lab.ControllerKey))
		if err != nil {
			return err
		}
		r, err := a.Enroll(s.t.Context(), agent.EnrollRequest{Machine: name, APIKey: sdk.NewSecret(apiKey), Controller: key}, func(string) {})
		s.agentID = r.AgentID
		return err
	})
}

// run starts the daemon and waits until it is online.
func (s *site) run() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	cfg := s.config()
	go func() { ended <- agent.Run(ctx, cfg, agent.Options{Version: "1.2.3", HostRoot: s.request.HostRoot}) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the agent ended with %v", err)
		}
	})
	s.until("the agent is online", func() bool {
		admin, err := agent.FindAdmin(s.t.Context(), cfg)
		if err != nil || admin == nil {
			return false
		}
		view, err := admin.Status(s.t.Context())
		return err == nil && view.State == "online"
	})
}

func (s *site) until(what string, f func() bool) {
	s.t.Helper()
	if err := lab.UntilEvery(s.t.Context(), 100*time.Millisecond, time.Minute, what, f); err != nil {
		s.t.Fatal(err)
	}
}

// gather collects the facts, without the clock of the computer that runs the test.
func (s *site) gather() doctor.Facts {
	s.t.Helper()
	cfg, err := s.load()
	if err != nil {
		return doctor.Facts{Version: "1.2.3", Now: time.Now(), ConfigError: err, Unit: s.request.Unit}
	}
	f := doctor.Gather(s.t.Context(), cfg, s.request)
	f.Reach.ClockSynced = nil
	return f
}

// front puts a handler in the place of the orchestrator.
func (s *site) front(h http.HandlerFunc) {
	front := httptest.NewServer(h)
	s.t.Cleanup(front.Close)
	s.url = front.URL
}

// secure puts TLS in front of the orchestrator, with a certificate of a CA of its own.
func (s *site) secure(change func(*x509.Certificate)) (caFile string) {
	s.t.Helper()
	ca, caKey, caPEM := certificate(s.t, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, nil, nil)
	leaf, leafKey, _ := certificate(s.t, change, ca, caKey)
	front := httptest.NewUnstartedServer(s.server)
	front.Config.ErrorLog = log.New(s.t.Output(), "", 0)
	front.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: leafKey}}}
	front.StartTLS()
	s.t.Cleanup(front.Close)
	s.url = front.URL
	return s.write("ca.pem", caPEM, 0o644)
}

// certificate makes one that is signed by a CA, or by itself without one.
func certificate(t *testing.T, change func(*x509.Certificate), ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if change != nil {
		change(template)
	}
	if ca == nil {
		ca, caKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// fakeHost writes the facts of a host below a new root directory.
func fakeHost(t *testing.T, id, mac string) string {
	t.Helper()
	root := t.TempDir()
	card := filepath.Join(root, "sys/class/net/eth0")
	for name, text := range map[string]string{
		filepath.Join(root, "etc/machine-id"): id, card + "/address": mac, card + "/type": "1",
		card + "/addr_assign_type": "0", card + "/device/vendor": "x",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
