//go:build realclient

package peaqosagent_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

// TestDocumentedSandboxRuns runs the commands under "Four processes" in docs/sandbox.md
// as they are written, except that the ports are free ones. They need bash and Python,
// hence the build tag.
func TestDocumentedSandboxRuns(t *testing.T) {
	dir := t.TempDir()
	if _, err := lab.Build(t.Context(), filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(read(t, "docs/sandbox.md"), "## Four processes\n")
	if !found {
		t.Fatal("docs/sandbox.md has no section Four processes")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	script := "set -eu\n"
	for _, line := range indented.FindAllStringSubmatch(text, -1) {
		script += line[1] + "\n"
	}
	for old, with := range map[string]string{
		"127.0.0.1:8787": freeAddress(t), "127.0.0.1:8788": freeAddress(t), "9000": port(freeAddress(t)),
	} {
		if !strings.Contains(script, old) {
			t.Fatalf("docs/sandbox.md does not use %s", old)
		}
		script = strings.ReplaceAll(script, old, with)
		if old == "127.0.0.1:8787" { // the sandbox's default
			script = strings.ReplaceAll(script, "peaqos-agent sandbox ", "peaqos-agent sandbox --listen "+with+" ")
		}
	}
	script = strings.ReplaceAll(script, "keystore: {dir: store}", "keystore: {dir: store, volatile: true}\ntelemetry: {listen: \""+freeAddress(t)+"\"}")

	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	for _, want := range []string{"listening on http://", "Enrolled", "yes, lease until", "Effect:"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output has no %q", want)
		}
	}
	if _, missing := os.Stat(filepath.Join(dir, "try")); err != nil || missing == nil {
		t.Errorf("%v; left behind: %t", err, missing == nil)
	}
	if t.Failed() {
		t.Logf("%s\n%s", script, out)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := lab.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func port(address string) string {
	_, port, _ := strings.Cut(address, ":")
	return port
}
