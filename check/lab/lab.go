package lab

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Throw-away secrets. ControllerAddress is what ControllerKey signs as. The texts
// are unusual, so that a test can search for them where they must not be.
const (
	APIKey            = "canary-api-key-5b1f0c77"
	ControllerKey     = "0x4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b"
	ControllerAddress = "0x504e4FbaB7bC2962b361E3730B965E61F289d0cC"
)

// IdentityRef is the machine that [Lab.EnrollArgs] enrolls.
const IdentityRef = "did:peaq:42"

// LeaseTTL is the lease that the configuration asks for; short, so that a test can
// wait until it expires.
const LeaseTTL = 6 * time.Second

//go:embed config.yaml
var configText string

// Config is the configuration of an agent with one machine and one endpoint.
type Config struct {
	Orchestrator     string // URL
	OrchestratorKeys string // further keys, such as "allow_plain_http: true"
	KeystoreKeys     string // further keys, such as "passphrase_file: /run/passphrase"
	Runtime          string // URL of the endpoint
	State            string // keystore.dir
	Telemetry        string // host:port, or "" for none
	More             []string
}

// YAML is the text of the configuration file; each of More is appended as a line.
func (c Config) YAML() string {
	values := map[string]string{
		"ORCHESTRATOR": c.Orchestrator, "RUNTIME": c.Runtime, "STATE": c.State, "TELEMETRY": c.Telemetry, "PROVIDER": "demo",
	}
	if c.OrchestratorKeys != "" {
		values["ORCHESTRATOR_KEYS"] = ", " + c.OrchestratorKeys
	}
	if c.KeystoreKeys != "" {
		values["KEYSTORE_KEYS"] = ", " + c.KeystoreKeys
	}
	text := os.Expand(configText, func(name string) string { return values[name] })
	for _, line := range c.More {
		text += line + "\n"
	}
	return text
}

// Lab is what an agent needs around it: the binary, the files of its keys, and a
// runtime endpoint.
type Lab struct {
	Binary            string // path of the agent
	Dir               string // work directory, the HOME of every process
	APIKeyFile        string
	ControllerKeyFile string
	Runtime           *Runtime
}

// New makes a lab in a directory that exists.
func New(binary, dir string) (*Lab, error) {
	l := &Lab{Binary: binary, Dir: dir, APIKeyFile: filepath.Join(dir, "key"), ControllerKeyFile: filepath.Join(dir, "ctl.hex")}
	err := WriteSecrets(dir, map[string]string{"key": APIKey, "ctl.hex": ControllerKey})
	if err == nil {
		l.Runtime, err = StartRuntime("127.0.0.1:0")
	}
	return l, err
}

// Close stops the runtime endpoint. The directory is the caller's.
func (l *Lab) Close() { l.Runtime.Stop() }

// EnrollArgs are the arguments of an enroll that registers the machine.
func (l *Lab) EnrollArgs() []string {
	return []string{
		"enroll", "--identity-ref", IdentityRef,
		"--controller-key-file", l.ControllerKeyFile, "--api-key-file", l.APIKeyFile, "--json",
	}
}

// RotateArgs are the arguments of a rotate.
func (l *Lab) RotateArgs() []string {
	return []string{"rotate", "--api-key-file", l.APIKeyFile, "--json"}
}

// WriteSecrets writes files that only the owner may read, as the agent demands of
// a key file; each content gets a newline.
func WriteSecrets(dir string, files map[string]string) error {
	var failed error
	for name, content := range files {
		failed = errors.Join(failed, os.WriteFile(filepath.Join(dir, name), []byte(content+"\n"), 0o600))
	}
	return failed
}

// Runtime is an HTTP server that responds to GET /health, as the runtime of a
// machine does.
type Runtime struct {
	URL    string
	server *http.Server
}

// StartRuntime starts one on host:port; port 0 is a free one.
func StartRuntime(address string) (*Runtime, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintln(w, "{}")
	})
	r := &Runtime{"http://" + listener.Addr().String(), &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

// Stop closes the server and its connections; further calls do nothing.
func (r *Runtime) Stop() { _ = r.server.Close() }

// FreeAddress is a loopback address on which nothing listens.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
