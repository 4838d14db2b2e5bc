//go:build realclient

package realclient

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestRealClientSeesPresence: the real client finds the agent online, and its own pushes
// and opt-ins work with the sandbox.
func TestRealClientSeesPresence(t *testing.T) {
	server := sandbox.New(sandbox.WithAPIKey(lab.APIKey), sandbox.WithController("", lab.ControllerAddress))
	defer server.Close()
	web := httptest.NewServer(server)
	defer web.Close()
	dir := t.TempDir()
	binary, err := lab.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(binary, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	config := filepath.Join(dir, "config.yaml")
	text := lab.Config{Orchestrator: web.URL, Runtime: l.Runtime.URL, State: dir, More: []string{
		fmt.Sprintf("presence: {enabled: true, url: %q, interval: 1s}", web.URL),
	}}.YAML()
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	enroll(t, l, config)
	if o, err := lab.Run(l.Command(t.Context(), nil, "identity", "import", l.ControllerKeyFile, "--config", config)); err != nil || o.Exit != 0 {
		t.Fatalf("%s, %v", o, err)
	}
	agent, err := lab.Start(l.Command(t.Context(), nil, "run", "--config", config))
	if err != nil {
		t.Fatal(err)
	}
	err = lab.Until(t.Context(), 30*time.Second, "a push of the agent", func() bool { return server.Online(lab.IdentityRef) })
	if err != nil {
		t.Fatalf("%v\n%s", err, agent.Output)
	}

	var got map[string]any
	runScript(t, &got, "presence_client.py", "BASE_URL="+web.URL, "CONTROLLER_KEY="+lab.ControllerKey)
	want := normal(t, map[string]any{
		"agent": []any{true, "42", true, true}, "unknown": []any{false, "4711", false, false},
		"pushed": []any{[]any{true, true}}, "own": []any{true, "43", true, true},
		"before": []any{"PENDING", nil}, "in": []any{"OPTED_IN", lab.ControllerAddress},
		"again": []any{"OPTED_IN", lab.ControllerAddress}, "out": []any{"OPTED_OUT", lab.ControllerAddress},
	})
	if diff := cmp.Diff(want, any(got)); diff != "" {
		t.Errorf("what the real client saw (-want +got):\n%s", diff)
	}
	if err := agent.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("run ended with %v", err)
	}
}
