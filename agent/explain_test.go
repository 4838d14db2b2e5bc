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
	refused := func(dir string) string {
		return Explain(&os.PathError{Op: "mkdir", Path: dir + "/volume/keystore", Err: fs.ErrPermission}).Detail
	}
	if detail := refused(dir); strings.Contains(detail, "belongs") {
		t.Errorf("its owner: %s", detail)
	}
	owner := 65532
	if err := os.Chown(dir, owner, owner); err != nil { // only root can give a directory away
		dir, owner = "/proc", 0
	}
	want := fmt.Sprintf("; %s belongs to user %d, and this process runs as user %d", dir, owner, os.Geteuid())
	if detail := refused(dir); !strings.HasSuffix(detail, want) {
		t.Errorf("%s, want …%s", detail, want)
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
