//go:build realclient

package realclient

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// python is the interpreter of the virtual environment, which the first call makes.
func python(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "./venv.sh")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the virtual environment cannot be made: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// pythonEnv is the environment of a script: it inherits nothing else of ours.
func pythonEnv(pairs ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PYTHONDONTWRITEBYTECODE=1", "API_KEY=" + lab.APIKey}
	return append(env, pairs...)
}

// runScript runs one of the Python programs in this directory and reads what it
// saw, as JSON, into got.
func runScript(t *testing.T, got any, script string, env ...string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), python(t), script)
	cmd.Env = pythonEnv(env...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the real client stopped: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(out, got); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
}

// machineSaw is what machine_client.py prints.
type machineSaw struct {
	Health        bool                 `json:"health"`
	WrongAPIKey   string               `json:"wrong_api_key"`
	Controllers   []string             `json:"controllers"`
	ForgedProof   string               `json:"forged_proof"`
	Machine       string               `json:"machine"`
	CreatedAs     string               `json:"created_as"`
	ProofTwice    string               `json:"proof_used_twice"`
	EnrollDraft   string               `json:"enroll_draft"`
	ActivatedAs   string               `json:"activated_as"`
	Machines      []string             `json:"machines"`
	Agent         string               `json:"agent"`
	AgentBefore   string               `json:"agent_before"`
	Token         string               `json:"token"`
	WrongToken    string               `json:"wrong_token"`
	Lease         int                  `json:"lease"`
	BeatStatus    string               `json:"beat_status"`
	Agents        []seen               `json:"agents"`
	Endpoints     map[string][3]string `json:"endpoints"`
	Deleted       string               `json:"deleted"`
	BeatOfRevoked string               `json:"beat_of_revoked"`
}

type seen struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Seen   string `json:"seen"`
	Token  string `json:"token"`
}

func TestRealClientRunsAMachineOnTheSandbox(t *testing.T) {
	server := sandbox.New(sandbox.WithAPIKey(lab.APIKey), sandbox.WithController("", lab.ControllerAddress))
	defer server.Close()
	web := httptest.NewServer(server)
	defer web.Close()

	var got machineSaw
	runScript(t, &got, "machine_client.py", "BASE_URL="+web.URL, "CONTROLLER_KEY="+lab.ControllerKey)

	if got.Token == "" || got.Machine == "" || got.Agent == "" {
		t.Fatalf("the client got no token, machine or agent: %+v", got)
	}
	if len(got.Agents) != 1 || !fresh(got.Agents[0].Seen, time.Minute) {
		t.Fatalf("agents as listed = %+v, want one that was seen just now", got.Agents)
	}
	got.Agents[0].Seen = ""
	want := machineSaw{
		Health: true, WrongAPIKey: "AUTH_INVALID", Controllers: []string{lab.ControllerAddress},
		ForgedProof: "MACHINE_IDENTITY_PROOF_INVALID", Machine: got.Machine, CreatedAs: "draft",
		ProofTwice: got.ProofTwice, EnrollDraft: "MACHINE_NOT_ACTIVE", ActivatedAs: "active",
		Machines: []string{got.Machine}, Agent: got.Agent, AgentBefore: "provisioned", Token: got.Token,
		WrongToken: "AGENT_AUTH_INVALID", Lease: 30, BeatStatus: "active",
		Agents: []seen{{ID: got.Agent, Status: "active"}},
		Endpoints: map[string][3]string{
			"qvac":   {"agent", "active", "http://127.0.0.1:11434"},
			"camera": {"manual", got.Endpoints["camera"][1], "http://10.0.0.7:80"},
		},
		Deleted: "NOT_FOUND", BeatOfRevoked: "AGENT_PAIRING_INACTIVE",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the real client saw (-want +got):\n%s", diff)
	}
	if got.ProofTwice != "MACHINE_IDENTITY_PROOF_INVALID" && got.ProofTwice != "MACHINE_IDENTITY_EXISTS" {
		t.Errorf("a proof used twice was answered with %s", got.ProofTwice)
	}
	compareWithServer(t, server, got)
}

// compareWithServer compares what the client saw with what the server has stored.
func compareWithServer(t *testing.T, server *sandbox.Server, got machineSaw) {
	t.Helper()
	agents := server.Agents(got.Machine)
	if len(agents) != 1 || agents[0].ID != got.Agent || agents[0].Status != "revoked" {
		t.Errorf("the server has agents %+v, want %s alone, revoked", agents, got.Agent)
	} else if agents[0].TokenHash != sha256.Sum256([]byte(got.Token)) {
		t.Errorf("the server's hash %s is not of the token that it issued", hex.EncodeToString(agents[0].TokenHash[:]))
	}
	if n := server.Beats(); n != 1 {
		t.Errorf("the server accepted %d beats, want 1", n)
	}
	endpoints := server.Endpoints(got.Machine)
	if len(endpoints) != 1 || endpoints[0].ProviderKey != "qvac" || endpoints[0].Source != "agent" {
		t.Errorf("the server has endpoints %+v, want qvac alone, from the agent", endpoints)
	}
}

// fresh reports whether a timestamp of the API is at most d from now.
func fresh(stamp string, d time.Duration) bool {
	at, err := time.Parse(time.RFC3339, stamp)
	return err == nil && time.Since(at).Abs() < d
}
