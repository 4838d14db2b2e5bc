package agent

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// TestFindSecrets: the owner of the store finds its token and its controller key in a
// text, under the lock and over the socket, also where the parts of a long text meet.
func TestFindSecrets(t *testing.T) {
	l, admin := overSocket(t)
	l.mustEnroll()
	key, err := keystore.ParseKey([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.agent.PutController(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	record, err := l.agent.store.Agent("main")
	if err != nil {
		t.Fatal(err)
	}
	token := string(record.Token.Reveal())
	const ofToken, ofKey = "the agent token of machine main", "the controller key"
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", strings.Repeat("all is well ", 3000), nil},
		{"the token", "token=" + token, []string{ofToken}},
		{"at a seam", strings.Repeat("x", maxSecretText-len(token)/2) + token + strings.Repeat("y", maxSecretText), []string{ofToken}},
		{"the key in hex", "0X" + strings.ToUpper(testKey[2:]), []string{ofKey}},
		{"the key's bytes", strings.Repeat("\x11", 32), []string{ofKey}},
		{"both, encoded", base64.StdEncoding.EncodeToString([]byte("u:"+token)) + " " + testKey, []string{ofToken, ofKey}},
	} {
		for name, find := range map[string]func() (SecretSearch, error){
			"agent":  func() (SecretSearch, error) { return l.agent.FindSecrets(t.Context(), []byte(c.text)) },
			"socket": func() (SecretSearch, error) { return admin.FindSecrets(t.Context(), []byte(c.text)) },
		} {
			got, err := find()
			if err != nil || got.Unread != "" || !slices.Equal(got.Found, c.want) && len(got.Found)+len(c.want) > 0 {
				t.Errorf("%s, %s: %+v, %v, want %v", c.name, name, got, err, c.want)
			}
		}
	}
}
