// The tests of the repository's root hold what no compiler holds: which room may
// import what, the rules of the house, and that documents tell the truth.
package peaqosagent_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/peaqnetwork/peaqos-agent"

// room is one directory of the house: what it may import beside the standard
// library, and why not more. An entry allows a package and what lies below it.
type room struct {
	dir   string
	allow []string
	why   string
}

const (
	geth = "github.com/ethereum/go-ethereum/crypto"
	ws   = "github.com/coder/websocket"
	zap  = "go.uber.org/zap"
)

func rooms() []room {
	return []room{
		{"sdk", []string{module + "/sdk/internal/wire", ws, "golang.org/x/crypto/sha3"}, "the SDK is for other people's programs: it knows nothing of the agent, of logs, metrics or go-ethereum"},
		{"sdk/internal/wire", nil, "the codec knows no API and no network: the standard library is enough"},
		{"sdk/x402", []string{module + "/sdk", geth, "golang.org/x/crypto/sha3"}, "payment signing stands apart, and needs only the curve"},
		{"sdk/sandbox", []string{geth, "github.com/golang-jwt/jwt/v5", ws}, "a fake that shares the client's structs cannot catch a wrong JSON name"},
		{"keystore", []string{"golang.org/x/crypto", "golang.org/x/sys/unix", geth}, "the store of secrets is small enough to read whole; go-ethereum's keystore would bring 59 packages"},
		{"agent/config", []string{"gopkg.in/yaml.v3"}, "the configuration needs nothing of ours, so that every package may read it"},
		{"agent/status", []string{module + "/agent/config"}, "the state is facts and sentences: no network, no disk, no logger"},
		{"agent/status/statustest", []string{module + "/agent/config", module + "/agent/status"}, "example states for the tests of status and telemetry"},
		{"agent/telemetry", []string{
			module + "/agent/config", module + "/agent/status", zap, "github.com/prometheus/client_golang",
		}, "the listener only reads the state"},
		{"agent", []string{
			module + "/agent/config", module + "/agent/status", module + "/agent/telemetry", module + "/sdk", module + "/keystore", zap,
			"github.com/coreos/go-systemd/v22/daemon", "golang.org/x/sys/unix",
		}, "the daemon knows no command line and no service manager"},
		{"internal/golden", []string{"github.com/google/go-cmp"}, "a helper of tests"},
		{"agent/fleet", []string{module + "/agent", module + "/sdk/sandbox"}, "a fleet is the daemon's own code, many times, against the sandbox"},
		{"deploy/systemd", nil, "one file that embeds the unit"},
		{"cmd/peaqos-agent", []string{
			module + "/agent", module + "/keystore", module + "/sdk", module + "/deploy/systemd",
			"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/kardianos/service", zap, "golang.org/x/sys/unix",
		}, "the command ties the rooms together and adds only flags, verbs and the service manager"},
		{"configs", nil, "example files and the test that loads them"},
		{"check/faults", []string{module + "/keystore", module + "/sdk/sandbox", "golang.org/x/sys/unix"}, "faults break the built binary from outside; the sandbox is the witness, and the keystore reads what a fault left"},
		{"check/realclient", nil, "tests only"},
		{"check/bench", []string{module + "/check/bench/measure"}, "the conductor knows no client: each is a process of its own"},
		{"check/bench/measure", nil, "what measures weighs nothing"},
		{"check/bench/turn", []string{module + "/sdk", module + "/check/bench/measure"}, "a client that carries more than a client would be measured with it"},
		{"check/bench/sign", []string{module + "/keystore", module + "/check/bench/measure"}, "signing alone"},
	}
}

// never are packages that must not even be reached through others.
var never = []struct{ from, to, why string }{
	{"agent", module + "/sdk/x402", "the daemon must have no path to payment signing"},
	{"agent", "github.com/spf13/cobra", "the daemon knows no command line"},
	{"sdk", "github.com/ethereum/go-ethereum", "the SDK works without go-ethereum"},
	{"sdk/sandbox", module, "the sandbox shares nothing with the client that it judges"},
	{"cmd/peaqos-agent", "github.com/ethereum/go-ethereum/accounts", "it brings 59 packages and 0.8 MB for a file format"},
	{"cmd/peaqos-agent", "net/http/pprof", "a profile holds the token"},
	{"cmd/peaqos-agent", "testing", "test code does not belong into the program"},
}

// listed is what go list says of a package.
type listed struct {
	ImportPath    string
	GoFiles       []string
	Imports, Deps []string
}

// packages lists the module's packages as they are built for a robot.
func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,GoFiles,Imports,Deps", "./...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// within reports whether a package is dir or lies below it.
func within(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

// standard reports whether a package is of the standard library: its first
// element has no dot.
func standard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".")
}

// permitted reports whether a room may import a package.
func (r room) permitted(pkg string) bool {
	return standard(pkg) || slices.ContainsFunc(r.allow, func(allowed string) bool {
		if strings.HasPrefix(allowed, module+"/") && allowed != module+"/sdk" {
			return within(pkg, allowed)
		}
		if allowed == module+"/sdk" { // x402 has an arrow of its own
			return pkg == allowed || (r.dir == "cmd/peaqos-agent" && within(pkg, allowed))
		}
		return within(pkg, allowed)
	})
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	byDir := map[string]room{}
	for _, r := range rooms() {
		byDir[r.dir] = r
	}
	seen := 0
	for _, p := range packages(t) {
		dir := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if len(p.GoFiles) == 0 {
			continue // tests alone: nobody can import it
		}
		r, known := byDir[dir]
		if !known {
			t.Errorf("%s is no room of the house; a new one gets its line, with a reason, in this test", dir)
			continue
		}
		seen++
		for _, imported := range p.Imports {
			if !r.permitted(imported) {
				t.Errorf("%s must not import %s: %s", dir, imported, r.why)
			}
		}
	}
	if seen < 5 {
		t.Errorf("only %d rooms were looked at; is this the module's root?", seen)
	}
}

func TestRoomsNeverReachEvenThroughOthers(t *testing.T) {
	all := packages(t)
	for _, rule := range never {
		i := slices.IndexFunc(all, func(p listed) bool { return p.ImportPath == module+"/"+rule.from })
		if i < 0 {
			t.Errorf("%s was not found", rule.from)
			continue
		}
		for _, dep := range all[i].Deps {
			if within(dep, rule.to) {
				t.Errorf("%s reaches %s: %s", rule.from, dep, rule.why)
			}
		}
	}
}

func TestArrowsCatchAForbiddenImport(t *testing.T) {
	for _, c := range []struct {
		dir, pkg string
		want     bool
	}{
		{"sdk", "net/http", true},
		{"sdk", module + "/agent", false},
		{"sdk", zap, false},
		{"sdk/sandbox", module + "/sdk", false},
		{"agent", module + "/sdk", true},
		{"agent", module + "/sdk/x402", false},
		{"agent", module + "/sdk/sandbox", false},
		{"agent", zap + "/zapcore", true},
		{"keystore", module + "/sdk", false},
		{"cmd/peaqos-agent", module + "/sdk/sandbox", true},
	} {
		i := slices.IndexFunc(rooms(), func(r room) bool { return r.dir == c.dir })
		if got := rooms()[i].permitted(c.pkg); got != c.want {
			t.Errorf("%s may import %s = %t, want %t", c.dir, c.pkg, got, c.want)
		}
	}
}
