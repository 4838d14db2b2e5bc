package telemetry

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"gopkg.in/yaml.v3"
)

// The web configuration is a file in the format of Prometheus' exporters
// (https://prometheus.io/docs/prometheus/latest/configuration/https/). Their library
// would bring 13 modules and 0.7 MB; this is the part of the format that a device needs.
// Every other key is refused by name.

// webFile is the content of the file.
type webFile struct {
	TLS   *webTLS           `yaml:"tls_server_config"`
	Users map[string]string `yaml:"basic_auth_users"` // name to bcrypt hash
	HTTP  struct {
		HTTP2 bool `yaml:"http2"`
	} `yaml:"http_server_config"`
}

type webTLS struct {
	CertFile       string `yaml:"cert_file"`
	KeyFile        string `yaml:"key_file"`
	ClientAuthType string `yaml:"client_auth_type"`
	ClientCAFile   string `yaml:"client_ca_file"`
	MinVersion     string `yaml:"min_version"`
	MaxVersion     string `yaml:"max_version"`
}

// webSettings are a web configuration that was read and checked.
type webSettings struct {
	tls    *tls.Config // nil: not encrypted
	users  map[string][]byte
	proves bool     // every client proves who it is, by password or certificate
	files  []string // that it was read from
}

// CheckWebConfig reads a web configuration and the files that it names, as the listener
// does, and reports why they cannot be used.
func CheckWebConfig(path string) error {
	_, err := readWebConfig(path)
	return err
}

const maxWebFile = 1 << 20

func readWebConfig(path string) (*webSettings, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	file, err := parseWebConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &webSettings{users: map[string][]byte{}, files: []string{path}}
	for name, hash := range file.Users {
		s.users[name] = []byte(hash)
	}
	if file.TLS != nil {
		if err := s.loadTLS(*file.TLS, filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	s.proves = len(s.users) > 0 || s.tls != nil && s.tls.ClientAuth == tls.RequireAndVerifyClientCert
	return s, nil
}

// parseWebConfig decodes and checks what needs no other file. No error has a hash in it.
func parseWebConfig(text []byte) (*webFile, error) {
	file := &webFile{}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	err := decoder.Decode(file)
	var fault *yaml.TypeError
	switch {
	case errors.As(err, &fault):
		line, what, _ := strings.Cut(fault.Errors[0], ": ")
		if key, found := strings.CutPrefix(what, "field "); found { // how the library reports a key that a struct does not have
			key, _, _ = strings.Cut(key, " not found in type ")
			return nil, fmt.Errorf("%s: the key %.100q is not supported here", line, key)
		}
		return nil, errors.New(line + ": this value has the wrong type") // the rest may be a part of the file
	case err != nil && !errors.Is(err, io.EOF):
		return nil, errors.New("it is not valid YAML")
	}
	switch {
	case file.HTTP.HTTP2:
		return nil, errors.New("http_server_config.http2: this listener speaks HTTP/1.1 only; set it to false")
	case file.TLS == nil && len(file.Users) == 0:
		return nil, errors.New("it has neither tls_server_config nor basic_auth_users")
	}
	for name, hash := range file.Users {
		if _, err := bcrypt.Cost([]byte(hash)); err != nil || name == "" {
			return nil, fmt.Errorf("basic_auth_users: the value of %.100q is not a bcrypt hash; make one with htpasswd -nBC 10 NAME", name)
		}
	}
	return file, nil
}

// loadTLS reads the certificates. Relative paths start at the directory of the file.
func (s *webSettings) loadTLS(c webTLS, dir string) error {
	if c.CertFile == "" || c.KeyFile == "" {
		return errors.New("tls_server_config needs cert_file and key_file")
	}
	within := func(name string) string {
		if name == "" || filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	minimum, ok := tlsVersion(c.MinVersion, tls.VersionTLS12)
	maximum, ok2 := tlsVersion(c.MaxVersion, tls.VersionTLS13)
	if !ok || !ok2 || minimum > maximum {
		return errors.New("min_version and max_version must be TLS12 or TLS13")
	}
	certFile, keyFile, roots := within(c.CertFile), within(c.KeyFile), within(c.ClientCAFile)
	s.files = append(s.files, certFile, keyFile)
	cert, err := readBounded(certFile)
	if err != nil {
		return err
	}
	key, err := readBounded(keyFile)
	if err != nil {
		return err
	}
	defer clear(key)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("cert_file and key_file cannot be used together: %w", err)
	}
	s.tls = &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: minimum, MaxVersion: maximum, NextProtos: []string{"http/1.1"},
	}
	return s.loadClientRoots(c.ClientAuthType, roots)
}

// loadClientRoots reads which client certificates are wanted.
func (s *webSettings) loadClientRoots(kind, roots string) error {
	kinds := map[string]tls.ClientAuthType{
		"": tls.NoClientCert, "NoClientCert": tls.NoClientCert, "RequestClientCert": tls.RequestClientCert,
		"RequireAnyClientCert": tls.RequireAnyClientCert, "VerifyClientCertIfGiven": tls.VerifyClientCertIfGiven,
		"RequireAndVerifyClientCert": tls.RequireAndVerifyClientCert,
	}
	auth, known := kinds[kind]
	verifies := auth == tls.VerifyClientCertIfGiven || auth == tls.RequireAndVerifyClientCert
	switch {
	case !known:
		return fmt.Errorf("client_auth_type %.60q is unknown; RequireAndVerifyClientCert is the strict one", kind)
	case verifies && roots == "":
		return errors.New("client_auth_type " + kind + " needs client_ca_file")
	case roots != "" && auth == tls.NoClientCert:
		return errors.New("client_ca_file has no effect without client_auth_type")
	}
	s.tls.ClientAuth = auth
	if roots == "" {
		return nil
	}
	s.files = append(s.files, roots)
	text, err := readBounded(roots)
	if err != nil {
		return err
	}
	s.tls.ClientCAs = x509.NewCertPool()
	if !s.tls.ClientCAs.AppendCertsFromPEM(text) {
		return errors.New("client_ca_file has no certificate in PEM form")
	}
	return nil
}

func tlsVersion(name string, otherwise uint16) (version uint16, known bool) {
	switch name {
	case "":
		return otherwise, true
	case "TLS12":
		return tls.VersionTLS12, true
	case "TLS13":
		return tls.VersionTLS13, true
	}
	return 0, false
}

// readBounded reads a file of a reasonable size.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxWebFile+1))
	if err == nil && len(text) > maxWebFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxWebFile)
	}
	return text, err
}

// stampOf is what changes when one of the files does.
func stampOf(files []string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(slices.Values(files)) {
		if info, err := os.Stat(name); err == nil {
			fmt.Fprintf(&b, "%s %d %d;", name, info.ModTime().UnixNano(), info.Size())
		}
	}
	return b.String()
}
