// The tests of the repository's root check what no compiler checks: which package
// may import what, the rules of the layout, the language, and that the documents
// name commands, targets and tests that exist.
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

// importRule is what one package may import in addition to the standard library,
// and why not more. One of our own packages is allowed by its exact path, or with
// everything below it when the entry ends in "/..."; a package of another module is
// allowed with everything below it. A rule may name a package that does not exist.
type importRule struct {
	dir   string
	allow []string
	why   string
}

const (
	bcrypt    = "golang.org/x/crypto/bcrypt"
	geth      = "github.com/ethereum/go-ethereum/crypto"
	websocket = "github.com/coder/websocket"
	zap       = "go.uber.org/zap"
	sha3      = "golang.org/x/crypto/sha3"
	unix      = "golang.org/x/sys/unix"
	yaml      = "gopkg.in/yaml.v3"
	metrics   = "github.com/prometheus/client_golang"
	systemd   = "github.com/coreos/go-systemd/v22/daemon"
)

func importRules() []importRule {
	const (
		sdk, wire, sandbox        = module + "/sdk", module + "/sdk/internal/wire", module + "/sdk/sandbox"
		agent, keystore           = module + "/agent", module + "/keystore"
		config, status, telemetry = module + "/agent/config", module + "/agent/status", module + "/agent/telemetry"
		ownname, connect          = module + "/agent/ownname", module + "/agent/connect"
		discover                  = module + "/agent/discover"
		measure, lab              = module + "/check/bench/measure", module + "/check/lab"
	)
	return []importRule{
		{
			"sdk",
			[]string{wire, websocket, sha3},
			"the SDK is for other people's programs: it does not depend on the agent, logs, metrics or go-ethereum",
		},
		{"sdk/internal/wire", nil, "the codec of the SDK needs the standard library alone"},
		{"sdk/eip191", []string{sdk, geth}, "signing needs a curve, which sdk does without"},
		{"examples/onboard", []string{sdk + "/..."}, "an example uses what any other program can use: the SDK and the sandbox"},
		{"examples/fleet", []string{sdk + "/..."}, "an example uses what any other program can use: the SDK and the sandbox"},
		{"check/differential", []string{sdk}, "it compares the client with the Python SDK"},
		{"sdk/x402", []string{sdk, geth, sha3}, "payment signing is separate, and needs only the curve"},
		{
			"sdk/sandbox",
			[]string{geth, websocket},
			"a fake that shares the client's structs cannot catch a wrong JSON name",
		},
		{
			"keystore",
			[]string{"golang.org/x/crypto", unix, geth},
			"the store of secrets is small enough to read as a whole; go-ethereum's keystore would bring 59 packages",
		},
		{"agent/connect", nil, "how to connect needs the standard library alone, and no idea of what is sent"},
		{"agent/config", []string{yaml}, "the configuration needs nothing of ours, so that every package may read it"},
		{"agent/status", []string{config}, "the state is data and its words: no network, no disk, no logger"},
		{"agent/status/statustest", []string{config, status}, "example states for the tests of status and telemetry"},
		{"agent/discover", []string{config}, "what a runtime is follows from its responses alone: no daemon, no store"},
		{"agent/ownname", nil, "probes and the listener share it; it reads the system's files alone"},
		{"agent/telemetry", []string{config, status, ownname, zap, metrics, yaml, bcrypt}, "the listener only reads the state"},
		{
			"agent",
			[]string{config, connect, discover, status, telemetry, ownname, sdk, keystore, zap, systemd, unix},
			"the daemon does not depend on the command line or a service manager",
		},
		{
			"agent/doctor",
			[]string{agent, config, connect, status, telemetry, sdk, keystore},
			"a diagnosis uses what the daemon uses, and neither logs nor parses flags",
		},
		{"agent/fleet", []string{agent, sandbox}, "a fleet is the daemon's own code, many times, against the sandbox"},
		{"internal/golden", []string{"github.com/google/go-cmp"}, "a helper of tests"},
		{"deploy/systemd", nil, "one file that embeds the unit"},
		{"cmd/peaqos-agent", []string{
			agent + "/...", keystore, sdk + "/...", module + "/deploy/systemd",
			"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/kardianos/service", zap, unix,
		}, "the program connects the packages and adds only flags, commands and the service manager"},
		{"configs", nil, "example files and the test that loads them"},
		{"check/lab", nil, "what the process tests share has no dependency that the agent could share"},
		{"check/testreport", nil, "it reads the output of go test"},
		{
			"check/faults",
			[]string{lab, keystore, sandbox, unix},
			"faults break the built binary from outside; the sandbox is the witness, and the keystore reads what a fault left",
		},
		{"check/realclient", nil, "tests only"},
		{"check/services", nil, "tests only"},
		{"check/bench/atrest", []string{lab}, "it measures processes from outside"},
		{"check/bench/atrest/floor", []string{metrics}, "a floor that has more in it is not one"},
		{"check/bench", []string{measure}, "the comparison contains no client: each is a process of its own"},
		{"check/bench/measure", nil, "it must not add to the memory that it measures"},
		{"check/bench/client", []string{sdk, measure}, "anything that a client does not need would be measured with it"},
		{"check/bench/sign", []string{keystore, measure}, "signing alone"},
	}
}

// unreachable are packages that must not be reached, not even through others.
func unreachable() []struct{ from, to, why string } {
	return []struct{ from, to, why string }{
		{"agent", module + "/sdk/x402", "the daemon must have no path to payment signing"},
		{"agent", module + "/sdk/eip191", "the daemon must have no path to a signer"},
		{"agent", "github.com/spf13/cobra", "the daemon does not depend on the command line"},
		{"sdk", "github.com/ethereum/go-ethereum", "the SDK works without go-ethereum"},
		{"sdk/sandbox", module, "the sandbox shares nothing with the client that it tests"},
		{"cmd/peaqos-agent", "github.com/ethereum/go-ethereum/accounts", "it brings 59 packages and 0.8 MB for a file format"},
		{"cmd/peaqos-agent", "net/http/pprof", "a profile contains the token"},
		{"cmd/peaqos-agent", "testing", "test code does not belong in the program"},
	}
}

// listed is what go list reports about a package.
type listed struct {
	Dir, ImportPath string
	Name            string
	GoFiles         []string
	Imports, Deps   []string
}

// listPackages lists the module's packages as they are built for a robot.
func listPackages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=Dir,ImportPath,Name,GoFiles,Imports,Deps", "./...")
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

// within reports whether a package is dir or below it.
func within(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

// standard reports whether a package is of the standard library: its first
// element has no dot.
func standard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".")
}

// permits reports whether a rule allows an import.
func (r importRule) permits(pkg string) bool {
	return standard(pkg) || slices.ContainsFunc(r.allow, func(allowed string) bool {
		dir, below := strings.CutSuffix(allowed, "/...")
		if within(allowed, module) && !below {
			return pkg == allowed
		}
		return within(pkg, dir)
	})
}

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	rules := map[string]importRule{}
	for _, r := range importRules() {
		rules[r.dir] = r
	}
	seen := 0
	for _, p := range listPackages(t) {
		dir := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if len(p.GoFiles) == 0 {
			continue // tests alone: no package can import it
		}
		r, known := rules[dir]
		if !known {
			t.Errorf("%s has no import rule; a new package gets one, with a reason, in this test", dir)
			continue
		}
		seen++
		for _, imported := range p.Imports {
			if !r.permits(imported) {
				t.Errorf("%s must not import %s: %s", dir, imported, r.why)
			}
		}
	}
	if seen < 5 {
		t.Errorf("only %d packages were checked; is this the module's root?", seen)
	}
}

func TestPackagesNeverReachEvenThroughOthers(t *testing.T) {
	all := listPackages(t)
	for _, rule := range unreachable() {
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

func TestImportRulesCatchAForbiddenImport(t *testing.T) {
	rules := importRules()
	for _, c := range []struct {
		dir, pkg string
		want     bool
	}{
		{"sdk", "net/http", true},
		{"sdk", module + "/sdk/internal/wire", true},
		{"sdk", module + "/agent", false},
		{"sdk", geth, false},
		{"sdk", module + "/sdk/eip191", false},
		{"sdk/eip191", geth, true},
		{"sdk/eip191", module + "/keystore", false},
		{"sdk", zap, false},
		{"sdk/sandbox", module + "/sdk", false},
		{"agent/config", module + "/agent/status", false},
		{"agent/status", module + "/agent/config", true},
		{"agent/status", module + "/agent/telemetry", false},
		{"agent/telemetry", module + "/agent", false},
		{"agent", module + "/sdk", true},
		{"agent", module + "/sdk/x402", false},
		{"agent", module + "/sdk/sandbox", false},
		{"agent", module + "/agent/telemetry", true},
		{"agent", module + "/agent/fleet", false},
		{"agent", zap + "/zapcore", true},
		{"keystore", module + "/sdk", false},
		{"check/lab", module + "/keystore", false},
		{"cmd/peaqos-agent", module + "/sdk/sandbox", true},
	} {
		i := slices.IndexFunc(rules, func(r importRule) bool { return r.dir == c.dir })
		if got := rules[i].permits(c.pkg); got != c.want {
			t.Errorf("%s may import %s = %t, want %t", c.dir, c.pkg, got, c.want)
		}
	}
}
