package agent

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// TestExplainKeepsTheStep: the detail has the step that failed and the response of the server.
func TestExplainKeepsTheStep(t *testing.T) {
	api := &sdk.APIError{StatusCode: 401, Code: sdk.CodeAuthInvalid, Envelope: true}
	p := Explain(&stepError{"the new agent a is in use, but the previous one could not be revoked yet; run peaqos-agent rotate again", api})
	if p.Exit != status.ExitRejected || !strings.HasPrefix(p.Detail, "the new agent a is in use") || !strings.Contains(p.Detail, "HTTP 401") {
		t.Errorf("%+v", p)
	}
	p = Explain(fmt.Errorf("keystore: %w", &os.PathError{Op: "open", Path: "/var/lib/peaqos-agent/keystore", Err: fs.ErrPermission}))
	if p.Code != "not_permitted" || p.Next != "run the command with sudo" {
		t.Errorf("%+v", p)
	}
}

// TestExplainWhoseFile: a file that may not be used is explained by its owner.
func TestExplainWhoseFile(t *testing.T) {
	dir := t.TempDir()
	refused := &os.PathError{Op: "mkdir", Path: dir + "/volume/keystore", Err: fs.ErrPermission}
	if p := Explain(refused); strings.Contains(p.Detail, "belongs") {
		t.Errorf("its owner: %s", p.Detail)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	if err := os.Chown(dir, 65532, 65532); err != nil {
		t.Fatal(err)
	}
	if p := Explain(refused); !strings.HasSuffix(p.Detail, dir+" belongs to user 65532, and this process runs as user 0") {
		t.Errorf("%s", p.Detail)
	}
}

// TestGrantOfALongToken: the length of a token is not specified.
func TestGrantOfALongToken(t *testing.T) {
	token := strings.Repeat("t", 1500)
	g := Grant{keystore.Agent{Origin: "https://o.example", MachineID: "m", AgentID: "a", Label: "l#aaaaaaaa", Token: keystore.NewSecret(token)}}
	document, err := g.Document()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseGrant(document)
	if err != nil || string(back.record.Token.Reveal()) != token {
		t.Errorf("%v", err)
	}
}
