package telemetry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// writeCertificate writes a certificate that signs itself, and its key.
func writeCertificate(t *testing.T, dir, name string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, name+".crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, filepath.Join(dir, name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// write replaces a file. Its time moves on even on a file system with coarse times.
func write(t *testing.T, path, text string) {
	t.Helper()
	at := time.Now()
	if info, err := os.Stat(path); err == nil {
		at = info.ModTime().Add(2 * time.Second)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func hashOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// secured is a server with a web configuration in a directory of its own.
func secured(t *testing.T, text string) (s *service, dir string, cert *x509.Certificate) {
	t.Helper()
	dir = t.TempDir()
	cert = writeCertificate(t, dir, "server")
	write(t, filepath.Join(dir, "web.yml"), text)
	s = newService(t, "127.0.0.1:0")
	s.cfg.WebConfigFile = filepath.Join(dir, "web.yml")
	return s, dir, cert
}

// https sends one request over a connection of its own and returns the server's
// certificate as well.
func (s *service) https(roots *x509.Certificate, path string, change func(*http.Request, *tls.Config)) (int, *x509.Certificate, error) {
	s.t.Helper()
	req, err := http.NewRequest("GET", "https://"+s.address()+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AddCert(roots)
	if change != nil {
		change(req, c)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: c}, Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, res.TLS.PeerCertificates[0], nil
}

const webTLSAndUser = "tls_server_config: {cert_file: server.crt, key_file: server.key}\nbasic_auth_users: {prometheus: '%s'}\n"

// TestWebConfigEncryptsAndAuthenticates: nothing is served without TLS, and nothing,
// health included, without name and password.
func TestWebConfigEncryptsAndAuthenticates(t *testing.T) {
	s, _, cert := secured(t, fmt.Sprintf(webTLSAndUser, hashOf(t, "right")))
	s.serve()
	as := func(name, password string) func(*http.Request, *tls.Config) {
		return func(r *http.Request, _ *tls.Config) { r.SetBasicAuth(name, password) }
	}
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/status", "/", "/nothing"} {
		for _, c := range []struct {
			name, password string
			denied         bool
		}{{"prometheus", "right", false}, {"prometheus", "right", false}, {"prometheus", "wrong", true}, {"someone", "right", true}, {"", "", true}} {
			code, _, err := s.https(cert, path, as(c.name, c.password))
			if err != nil {
				t.Fatal(err)
			}
			if denied := code == http.StatusUnauthorized; denied != c.denied {
				t.Errorf("%s as %q with %q: %d", path, c.name, c.password, code)
			}
		}
	}
	if got := s.get("/metrics"); got.status != http.StatusBadRequest {
		t.Errorf("without TLS: %d", got.status)
	}
	if _, _, err := s.https(cert, "/metrics", func(r *http.Request, c *tls.Config) { c.MaxVersion = tls.VersionTLS11 }); err == nil {
		t.Error("TLS 1.1 is accepted")
	}
}

// TestWebConfigIsReadAgain: a renewed certificate and another password are in use at the
// next request. What cannot be used changes nothing and is logged.
func TestWebConfigIsReadAgain(t *testing.T) {
	s, dir, first := secured(t, fmt.Sprintf(webTLSAndUser, hashOf(t, "one")))
	s.serve()
	code := func(roots *x509.Certificate, password string) int {
		t.Helper()
		code, got, err := s.https(roots, "/metrics", func(r *http.Request, _ *tls.Config) { r.SetBasicAuth("prometheus", password) })
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(roots) {
			t.Error("another certificate than the one on the disk")
		}
		return code
	}
	if got := code(first, "one"); got != http.StatusOK {
		t.Fatalf("%d", got)
	}
	second := writeCertificate(t, dir, "server")
	if got := code(second, "one"); got != http.StatusOK {
		t.Errorf("with the renewed certificate: %d", got)
	}
	write(t, filepath.Join(dir, "web.yml"), fmt.Sprintf(webTLSAndUser, hashOf(t, "two")))
	if got := code(second, "one"); got != http.StatusUnauthorized {
		t.Errorf("the former password: %d", got)
	}
	if got := code(second, "two"); got != http.StatusOK {
		t.Errorf("the changed password: %d", got)
	}
	write(t, filepath.Join(dir, "web.yml"), "basic_auth_users: [\n")
	if got := code(second, "two"); got != http.StatusOK {
		t.Errorf("with a broken file: %d", got)
	}
	s.awaitLog(status.Lookup(status.CodeTelemetryWebConfig).What + ": " + filepath.Join(dir, "web.yml") + ": it is not valid YAML")
	write(t, filepath.Join(dir, "web.yml"), fmt.Sprintf("basic_auth_users: {prometheus: '%s'}\n", hashOf(t, "two")))
	if got := code(second, "two"); got != http.StatusOK {
		t.Errorf("with a file that does not encrypt: %d", got)
	}
}

// TestClientCertificates: with RequireAndVerifyClientCert only a client whose certificate
// is signed by the authority gets anything.
func TestClientCertificates(t *testing.T) {
	s, dir, cert := secured(t, "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  min_version: TLS13\n"+
		"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: client.crt\n")
	writeCertificate(t, dir, "client")
	writeCertificate(t, dir, "unknown")
	s.serve()
	for name, allowed := range map[string]bool{"client": true, "unknown": false, "": false} {
		code, _, err := s.https(cert, "/metrics", func(_ *http.Request, c *tls.Config) {
			if name == "" {
				return
			}
			pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
			if err != nil {
				t.Fatal(err)
			}
			c.Certificates = []tls.Certificate{pair}
		})
		if ok := err == nil && code == http.StatusOK; ok != allowed {
			t.Errorf("certificate %q: %d, %v", name, code, err)
		}
	}
}

// TestPrivatePathsOpenOnlyBySeveralKeys: /status and the page leave the machine only for
// hosts that the operator named, under TLS, for clients that have proven who they are.
func TestPrivatePathsOpenOnlyBySeveralKeys(t *testing.T) {
	users := fmt.Sprintf("basic_auth_users: {prometheus: '%s'}\n", hashOf(t, "right"))
	const encrypted = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
	for _, c := range []struct {
		what, text string
		allowed    []string
		want       int
	}{
		{"all of them", encrypted + users, []string{"robot.example"}, http.StatusOK},
		{"a host that is not named", encrypted + users, []string{"other.example"}, http.StatusMisdirectedRequest},
		{"no host", encrypted + users, nil, http.StatusMisdirectedRequest},
		{"no password", encrypted, []string{"robot.example"}, http.StatusMisdirectedRequest},
		{"no TLS", users, []string{"robot.example"}, http.StatusMisdirectedRequest},
	} {
		t.Run(c.what, func(t *testing.T) {
			s, _, cert := secured(t, c.text)
			s.cfg.AllowedHosts = c.allowed
			s.serve()
			ask := func(forwarded string) int {
				t.Helper()
				change := func(r *http.Request) {
					r.Host = "robot.example"
					r.SetBasicAuth("prometheus", "right")
					if forwarded != "" {
						r.Header.Set("X-Forwarded-For", forwarded)
					}
				}
				if !strings.Contains(c.text, "tls") {
					return s.do("GET", "/status", change).status
				}
				code, _, err := s.https(cert, "/status", func(r *http.Request, _ *tls.Config) { change(r) })
				if err != nil {
					t.Fatal(err)
				}
				return code
			}
			if got := ask(""); got != c.want {
				t.Errorf("/status: %d, want %d", got, c.want)
			}
			if got := ask("192.0.2.7"); got != c.want {
				t.Errorf("/status through a proxy: %d, want %d", got, c.want)
			}
		})
	}
}

// TestWebConfigIsRefused: what cannot be used is named, no hash is repeated, and nothing
// is served instead.
func TestWebConfigIsRefused(t *testing.T) {
	hash := hashOf(t, "x")
	const pair = "cert_file: server.crt, key_file: server.key"
	for _, c := range []struct{ text, want string }{
		{"", "it has neither tls_server_config nor basic_auth_users"},
		{"tls_server_config: {cert_file: server.crt}", "needs cert_file and key_file"},
		{"tls_server_config: {cert_file: server.crt, key_file: missing.key}", "missing.key: no such file"},
		{"tls_server_config: {cert_file: server.key, key_file: server.key}", "cannot be used together"},
		{"tls_server_config: {" + pair + ", min_version: TLS10}", "must be TLS12 or TLS13"},
		{"tls_server_config: {" + pair + ", min_version: TLS13, max_version: TLS12}", "must be TLS12 or TLS13"},
		{"tls_server_config: {" + pair + ", client_auth_type: RequireAndVerifyClientCert}", "needs client_ca_file"},
		{"tls_server_config: {" + pair + ", client_ca_file: server.crt}", "no effect without client_auth_type"},
		{"tls_server_config: {" + pair + ", client_auth_type: Never}", `client_auth_type "Never" is unknown`},
		{"tls_server_config: {" + pair + ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: server.key}", "no certificate in PEM form"},
		{"tls_server_config:\n  cert_file: server.crt\n  cipher_suites: [X]\n", `line 3: the key "cipher_suites" is not supported here`},
		{"rate_limit: {burst: 1}", `line 1: the key "rate_limit" is not supported here`},
		{"http_server_config: {headers: {A: b}}\nbasic_auth_users: {a: '" + hash + "'}", `the key "headers" is not supported here`},
		{"http_server_config: {http2: true}\nbasic_auth_users: {a: '" + hash + "'}", "HTTP/1.1 only"},
		{"basic_auth_users: {a: secret}", `the value of "a" is not a bcrypt hash`},
		{"basic_auth_users: {a: ['" + hash + "']}", "line 1: this value has the wrong type"},
		{"basic_auth_users: {a: '" + hash + "', a: '" + hash + "'}", "line 1"},
		{"a: [", "it is not valid YAML"},
	} {
		s, _, _ := secured(t, c.text)
		s.Bind()
		p := s.snapshot().Process
		if p.Listener != "" || !strings.Contains(p.ListenerFault, c.want) || !strings.HasPrefix(p.ListenerFault, "telemetry.web_config_file cannot be used: ") {
			t.Errorf("%s: listener %q, fault %q", c.text, p.Listener, p.ListenerFault)
		}
		if strings.Contains(p.ListenerFault, hash) || strings.Contains(p.ListenerFault, "secret") {
			t.Errorf("the fault repeats the secret: %s", p.ListenerFault)
		}
	}
	s, _, _ := secured(t, "basic_auth_users: {a: '"+hash+"'}")
	s.cfg.Listen = "0.0.0.0:0"
	s.Bind()
	if p := s.snapshot().Process; !strings.Contains(p.ListenerFault, "passwords would cross the network unencrypted") {
		t.Errorf("listener %q, fault %q", p.Listener, p.ListenerFault)
	}
	s.cfg.AllowPlain = true
	s.serve()
	if p := s.snapshot().Process; p.Listener == "" {
		t.Errorf("allow_plain: %s", p.ListenerFault)
	}
}

// FuzzWebConfig: no file makes the parser panic, or returns something that was not checked.
func FuzzWebConfig(f *testing.F) {
	f.Add("tls_server_config: {cert_file: a, key_file: b}\nbasic_auth_users: {a: b}\n")
	f.Add("basic_auth_users: {a: $2a$10$WINNCLDismYBH3YkA0FJx.YnrS6Kq7fMgdekyDJbYLB5nYGCMcJe2}\nhttp_server_config: {http2: false}\n")
	f.Add("x: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parseWebConfig([]byte(text))
		if err == nil && file.TLS == nil && len(file.Users) == 0 {
			t.Error("nothing is protected")
		}
	})
}
