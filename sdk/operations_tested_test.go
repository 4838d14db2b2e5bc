package sdk_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// recordings returns the recorded cases of the reference release.
func recordings(t testing.TB) []wireCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "wire", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	var all []wireCase
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []wireCase
		if err := json.Unmarshal(text, &cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range cases {
			if c.SDK == reference {
				all = append(all, c)
			}
		}
	}
	return all
}

// byPython maps the calls of the Python SDK to operations.
func byPython(t testing.TB) map[string]operation {
	t.Helper()
	out := map[string]operation{}
	for _, o := range operations(t) {
		for _, call := range o.Calls {
			if call.Python != "" {
				out[call.Python] = o
			}
		}
	}
	return out
}

// TestRecordingsMatchTheOperationsTable: the Python SDK sent the method, path and
// authentication that the table lists.
func TestRecordingsMatchTheOperationsTable(t *testing.T) {
	table, requests := byPython(t), 0
	for _, c := range recordings(t) {
		o, ok := table[c.Call.Method]
		if !ok {
			t.Errorf("%s calls %s, which is not an operation", c.Name, c.Call.Method)
			continue
		}
		path := regexp.MustCompile("/api/v1" + regexp.MustCompile(`\{[A-Za-z]+\}`).ReplaceAllString(o.Path, "[^/]+") + "$")
		for _, x := range c.Exchanges {
			requests++
			sent := x.Request.Path
			if c.PathAlt != "" {
				sent = c.PathAlt
			}
			if x.Request.Method != o.Method || !path.MatchString(sent) {
				t.Errorf("%s sent %s %s, the table says %s %s", c.Name, x.Request.Method, sent, o.Method, o.Path)
			}
			_, given := c.Call.Args["pairingToken"]
			hasKey := c.Client.APIKey != nil && *c.Client.APIKey != ""
			wantToken := o.Auth == "pairing" || (o.Auth == "optional-pairing" && given)
			wantKey := hasKey && o.Auth != "none" && o.Auth != "agent-body"
			_, token := x.Request.Headers["x-agent-pairing-token"]
			_, key := x.Request.Headers["x-api-key"]
			if token != wantToken || key != wantKey {
				t.Errorf("%s sent a pairing token: %t, an API key: %t; the table says %s", c.Name, token, key, o.Auth)
			}
		}
	}
	if requests < 300 {
		t.Errorf("only %d requests were checked", requests)
	}
}

// TestEveryOperationIsTested: each operation of the Python SDK has a successful recording,
// and each Go method is called by a test.
func TestEveryOperationIsTested(t *testing.T) {
	good := map[string]int{}
	for _, c := range recordings(t) {
		if c.Outcome.OK {
			good[c.Call.Method]++
		}
	}
	tests := testSource(t)
	for _, o := range operations(t) {
		recorded := 0
		for _, call := range o.Calls {
			recorded += good[call.Python]
			where, pattern := "", `\b`+strings.ReplaceAll(call.Go, ".", `\.`)+`\(`
			if o.Service != "orchestration" { // called on a variable, in tests of their own
				where, pattern = o.Service, `\.`+call.Go[strings.Index(call.Go, ".")+1:]+`\(`
			}
			if !slices.ContainsFunc(tests, func(f testFile) bool {
				return strings.HasPrefix(f.name, where) && regexp.MustCompile(pattern).MatchString(f.text)
			}) {
				t.Errorf("no test calls %s", call.Go)
			}
		}
		if recorded == 0 && o.Service == "orchestration" && o.Unknown == "" && o.Method != "WS" {
			t.Errorf("%s has no successful recording", o.Name)
		}
	}
}
