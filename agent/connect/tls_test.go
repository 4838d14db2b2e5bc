package connect

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
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
)

// authority is a certificate with its key, which signs itself.
type authority struct {
	cert *x509.Certificate
	pair tls.Certificate
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}}
}

func (a authority) pem() []byte { return encode([]*x509.Certificate{a.cert}) }

func (a authority) keyPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(a.pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// serve starts a TLS server whose certificate is the one that current returns.
func serve(t *testing.T, current func() authority, change func(*tls.Config)) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	server.Config.ErrorLog = quiet()
	server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := &tls.Config{Certificates: []tls.Certificate{current().pair}, NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true}
		if change != nil {
			change(c)
		}
		return c, nil
	}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, rt http.RoundTripper, address string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.Body.Close()
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRootsFollowTheFile: the file may be missing at first, is read again when it has
// changed, and keeps its previous content when it is bad.
func TestRootsFollowTheFile(t *testing.T) {
	a, b := newAuthority(t, "a"), newAuthority(t, "b")
	var current atomic.Pointer[authority]
	current.Store(&a)
	server := serve(t, func() authority { return *current.Load() }, nil)
	path := filepath.Join(t.TempDir(), "ca.pem")
	var events []Event
	tr := New(Options{Proxy: noProxy, CAFile: path, Notify: func(e Event) { events = append(events, e) }})

	var file *FileError
	if err := get(t, tr, server.URL); !errors.As(err, &file) || file.Key != KeyCAFile || !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("missing: %v", err)
	}
	write(t, path, nil)
	if err := get(t, tr, server.URL); !errors.As(err, &file) || !strings.Contains(err.Error(), "is empty") {
		t.Fatalf("empty: %v", err)
	}
	write(t, path, a.pem())
	if err := get(t, tr, server.URL); err != nil {
		t.Fatalf("there now: %v", err)
	}
	current.Store(&b)
	tr.CloseIdleConnections()
	var unknown x509.UnknownAuthorityError
	var failed *Error
	if err := get(t, tr, server.URL); !errors.As(err, &unknown) || !errors.As(err, &failed) || failed.Stage != StageTLS {
		t.Fatalf("another authority: %v", err)
	}
	write(t, path, b.pem())
	if err := get(t, tr, server.URL); err != nil {
		t.Fatalf("replaced: %v", err)
	}
	write(t, path, []byte("no certificate"))
	if err := get(t, tr, server.URL); err != nil {
		t.Fatalf("bad, but in use: %v", err)
	}
	if len(events) != 2 || events[0].Kind != FilesRead || events[1].Kind != FilesKept || !strings.Contains(events[1].Err.Error(), "contains no certificate") {
		t.Errorf("%+v", events)
	}
}

// TestClientCertificate: it is sent when configured, and its absence is known.
func TestClientCertificate(t *testing.T) {
	ca, client := newAuthority(t, "ca"), newAuthority(t, "client")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server := serve(t, func() authority { return ca }, func(c *tls.Config) {
			c.MaxVersion, c.ClientAuth, c.ClientCAs = version, tls.RequireAndVerifyClientCert, x509.NewCertPool()
			c.ClientCAs.AddCert(client.cert)
		})
		dir := t.TempDir()
		o := Options{Proxy: noProxy, CAFile: filepath.Join(dir, "ca.pem")}
		write(t, o.CAFile, ca.pem())
		var failed *Error
		if err := get(t, New(o), server.URL); !errors.As(err, &failed) || !failed.ClientCertificate {
			t.Errorf("none: %v", err)
		}
		o.ClientCertFile, o.ClientKeyFile = filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key")
		write(t, o.ClientCertFile, client.pem())
		write(t, o.ClientKeyFile, ca.keyPEM(t))
		var file *FileError
		if err := get(t, New(o), server.URL); !errors.As(err, &file) || file.Key != KeyClientKeyFile {
			t.Errorf("the key of another certificate: %v", err)
		}
		write(t, o.ClientKeyFile, client.keyPEM(t))
		if err := get(t, New(o), server.URL); err != nil {
			t.Errorf("configured: %v", err)
		}
	}
}

// TestClientCertificateByPage: a server that completes the handshake, and refuses the
// request with a page.
func TestClientCertificateByPage(t *testing.T) {
	ca := newAuthority(t, "ca")
	for _, c := range []struct {
		asks   tls.ClientAuthType
		status int
		format string
		want   bool
	}{
		{tls.RequestClientCert, 400, "text/html", true},
		{tls.RequestClientCert, 403, "text/html", true},
		{tls.RequestClientCert, 496, "text/html", true},
		{tls.RequestClientCert, 403, "application/json", false}, // the orchestrator itself
		{tls.RequestClientCert, 404, "text/html", false},
		{tls.NoClientCert, 400, "text/html", false},
	} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.format)
			w.WriteHeader(c.status)
		}))
		server.Config.ErrorLog = quiet()
		server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.pair}, ClientAuth: c.asks}
		server.StartTLS()
		file := filepath.Join(t.TempDir(), "ca.pem")
		write(t, file, ca.pem())
		var failed *Error
		err := get(t, New(Options{Proxy: noProxy, CAFile: file}), server.URL)
		if got := errors.As(err, &failed) && failed.ClientCertificate && failed.Stage == StageTLS; got != c.want {
			t.Errorf("%+v: %v", c, err)
		}
		server.Close()
	}
}

// losesLargeHellos is a relay that loses a ClientHello of more than 1000 bytes.
func losesLargeHellos(t *testing.T, to string) (address string, hellos *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hellos = new(atomic.Int64)
	done := make(chan struct{})
	t.Cleanup(func() { close(done); _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				head := make([]byte, 5)
				if _, err := io.ReadFull(c, head); err != nil {
					return
				}
				if int(head[3])<<8|int(head[4]) > 1000 {
					hellos.Add(1)
					<-done
					return
				}
				up, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer up.Close()
				_, _ = up.Write(head)
				go func() { _, _ = io.Copy(up, c) }()
				_, _ = io.Copy(c, up)
			}()
		}
	}()
	return l.Addr().String(), hellos
}

// TestSmallHello: a middlebox that loses large hellos is noticed in the request itself,
// whether it may be repeated or not, and remembered.
func TestSmallHello(t *testing.T) {
	ca := newAuthority(t, "ca")
	server := serve(t, func() authority { return ca }, nil)
	address, lost := losesLargeHellos(t, server.Listener.Addr().String())
	path := filepath.Join(t.TempDir(), "ca.pem")
	write(t, path, ca.pem())
	for _, once := range []bool{false, true} {
		lost.Store(0)
		var events atomic.Int64
		tr := New(Options{Proxy: noProxy, CAFile: path, Notify: func(e Event) {
			if e.Kind == SmallHello {
				events.Add(1)
			}
		}})
		rt := http.RoundTripper(tr)
		if once {
			rt = tr.Once()
		}
		for range 3 {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+address, bytes.NewReader([]byte("{}")))
			if !once {
				req = req.WithContext(Repeatable(t.Context()))
			}
			res, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatalf("once %t: %v", once, err)
			}
			_ = res.Body.Close()
			tr.CloseIdleConnections()
		}
		if lost.Load() != 1 || events.Load() != 1 {
			t.Errorf("once %t: %d large hellos were lost, %d events, want one each", once, lost.Load(), events.Load())
		}
	}
}

// TestBundle: what is read whole, and what is refused by name.
func TestBundle(t *testing.T) {
	a, b := newAuthority(t, "a"), newAuthority(t, "b")
	one, two := string(a.pem()), string(a.pem())+string(b.pem())
	crlf := strings.ReplaceAll(two, "\n", "\r\n")
	trusted := string(pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: append(bytes.Clone(a.cert.Raw), 0x30, 0x00)}))
	negative := bytes.Clone(a.cert.Raw)
	negative[len(negative)/2] ^= 0xff
	negative[5] ^= 0xff
	for _, c := range []struct {
		name, text string
		certs      int
		fault      string
	}{
		{"one", one, 1, ""},
		{"two", two, 2, ""},
		{"byte order mark", "\ufeff" + two, 2, ""},
		{"CRLF", crlf, 2, ""},
		{"CR", strings.ReplaceAll(two, "\n", "\r"), 2, ""},
		{"comments and bag attributes", "# roots\nBag Attributes\n    friendlyName: x\n" + one + "subject=/CN=b\n" + string(b.pem()), 2, ""},
		{"indented", strings.ReplaceAll(two, "\n", "\n  "), 2, ""},
		{"a key next to it", one + string(a.keyPEM(t)), 1, ""},
		{"OpenSSL's form", trusted, 1, ""},
		{"another label", strings.ReplaceAll(one, "CERTIFICATE", "X509 CERTIFICATE"), 1, ""},
		{"DER", string(a.cert.Raw), 1, ""},
		{"two in DER", string(a.cert.Raw) + string(b.cert.Raw), 2, ""},
		{"empty", " \n", 0, "is empty"},
		{"text", "none\n", 0, "contains no certificate"},
		{"a key alone", string(a.keyPEM(t)), 0, "contains no certificate"},
		{"UTF-16", "\xff\xfe-\x00", 0, "UTF-16"},
		{"cut off", two[:len(two)-40], 0, "has no end"},
		{"cut off in the middle", one[:strings.LastIndex(one, "-----END")] + two, 0, "has no end"},
		{"cut off in a line", one[:100] + two, 0, "line 1: a PEM block that cannot be decoded"},
		{"a damaged block", strings.Replace(two, "MII", "M!I", 1), 0, "line 1: a PEM block that cannot be decoded"},
		{"another kind of block", one + string(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: a.cert.Raw})), 0, `"PKCS7" is not a certificate`},
		{"a lost marker", strings.Join(strings.Split(two, "\n")[1:], "\n"), 0, "base64 outside"},
		{"a broken marker", strings.Replace(two, "-----BEGIN", "----BEGIN", 1), 0, ""},
		{"not a certificate", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: negative})), 0, "line 1: a certificate that cannot be used"},
		{"other binary", "0\x82abc", 0, "PKCS#12"},
	} {
		certs, err := ParseBundle([]byte(c.text))
		switch {
		case c.certs > 0 && (err != nil || len(certs) != c.certs):
			t.Errorf("%s: %d certificates, %v, want %d", c.name, len(certs), err, c.certs)
		case c.certs == 0 && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%s: %v, want %q", c.name, err, c.fault)
		}
	}
}

// TestProxyVariables: which of them can be used, without their values.
func TestProxyVariables(t *testing.T) {
	const secret = "hunter2"
	for _, c := range []struct {
		name     string
		env      map[string]string
		variable string
		unusable string
		onlyAll  bool
	}{
		{"none", nil, "", "", false},
		{"usual", map[string]string{"HTTPS_PROXY": "http://u:" + secret + "@proxy:3128"}, "HTTPS_PROXY", "", false},
		{"without a scheme", map[string]string{"https_proxy": "proxy:3128"}, "https_proxy", "", false},
		{"SOCKS", map[string]string{"HTTPS_PROXY": "socks5h://proxy"}, "HTTPS_PROXY", "", false},
		{"a percent sign", map[string]string{"HTTPS_PROXY": "http://bob:" + secret + "%zz@proxy:9"}, "HTTPS_PROXY", "HTTPS_PROXY", false},
		{"another scheme", map[string]string{"HTTPS_PROXY": "socks4://u:" + secret + "@proxy:9"}, "HTTPS_PROXY", "HTTPS_PROXY", false},
		{"a bad port", map[string]string{"https_proxy": "http://u:" + secret + "@proxy:99999"}, "https_proxy", "https_proxy", false},
		{"a space", map[string]string{"https_proxy": "http://proxy:3128 "}, "https_proxy", "https_proxy", false},
		{"no host", map[string]string{"https_proxy": "http://"}, "https_proxy", "https_proxy", false},
		{"a path", map[string]string{"https_proxy": "http://proxy/pac/" + secret}, "https_proxy", "https_proxy", false},
		{"capitals first", map[string]string{"HTTPS_PROXY": "http://a:1", "https_proxy": "::"}, "HTTPS_PROXY", "", false},
		{"a bad network", map[string]string{"HTTPS_PROXY": "http://a:1", "no_proxy": "x.example,10.0.0.0/33"}, "HTTPS_PROXY", "no_proxy", false},
		{"only ALL_PROXY", map[string]string{"ALL_PROXY": "socks5://u:" + secret + "@a:1"}, "", "", true},
	} {
		p := ReadProxies("https", func(name string) string { return c.env[name] })
		unusable := ""
		if p.Unusable != nil {
			unusable = p.Unusable.Variable
			if strings.Contains(p.Unusable.Error(), secret) {
				t.Errorf("%s: the error shows the value: %v", c.name, p.Unusable)
			}
		}
		if p.Variable != c.variable || unusable != c.unusable || p.OnlyAll != c.onlyAll {
			t.Errorf("%s: %+v (%v)", c.name, p, p.Unusable)
		}
	}
}

// TestUnusableProxySendsNothing: the request fails before anything is sent, but a
// server on this machine is never reached through a proxy.
func TestUnusableProxySendsNothing(t *testing.T) {
	tr := New(Options{
		Getenv: func(name string) string { return map[string]string{"HTTPS_PROXY": "socks4://x"}[name] },
		Dial: func(context.Context, string, string) (net.Conn, error) {
			t.Error("connected")
			return nil, io.EOF
		},
	})
	var unusable *ProxyError
	if err := get(t, tr, "https://203.0.113.9/"); !errors.As(err, &unusable) {
		t.Errorf("%v", err)
	}
	if err := tr.proxyFault(mustParse("https://localhost:1")); err != nil {
		t.Errorf("loopback: %v", err)
	}
}
