package sdk_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// wireCase is one recorded call of the reference client (testdata/wire/README.md).
type wireCase struct {
	Name string `json:"name"`
	SDK  string `json:"sdk"`
	Call struct {
		Method string                     `json:"method"`
		Args   map[string]json.RawMessage `json:"args"`
	} `json:"call"`
	Client struct {
		APIKey  *string         `json:"api_key"`
		BaseURL json.RawMessage `json:"base_url"`
	} `json:"client"`
	Exchanges []exchange `json:"exchanges"`
	Outcome   struct {
		OK                   bool            `json:"ok"`
		Value                json.RawMessage `json:"value"`
		ErrorClass           string          `json:"error_class"`
		Code                 string          `json:"code"`
		Status               int             `json:"status"`
		Details              json.RawMessage `json:"details"`
		DetailsSource        string          `json:"details_source"`
		Field                string          `json:"field"`
		DeliveredBeforeError *int            `json:"delivered_before_error"`
	} `json:"outcome"`
	Lenient bool `json:"lenient"`
	Expect  struct {
		OK   bool   `json:"ok"`
		Code string `json:"code"`
	} `json:"expect"`
	BodyAlt          json.RawMessage `json:"body_alt"`
	PathAlt          string          `json:"path_alt"`
	NullEqualsAbsent bool            `json:"null_equals_absent"`
	MustNotPrint     []string        `json:"must_not_print"`
	ValueKeysOnly    []string        `json:"value_keys_only"`
}

type exchange struct {
	Request struct {
		Method  string            `json:"method"`
		Path    string            `json:"path"`
		Query   map[string]string `json:"query"`
		Headers map[string]string `json:"headers"`
		Body    json.RawMessage   `json:"body"`
		NoBody  bool              `json:"no_body"`
	} `json:"request"`
	Response struct {
		Network  string            `json:"network"`
		Status   int               `json:"status"`
		Headers  map[string]string `json:"headers"`
		Body     json.RawMessage   `json:"body"`
		BodyText *string           `json:"body_text"`
	} `json:"response"`
}

// reference is the release whose recordings are for clients; others show to a
// server what older clients send.
const reference = "peaq-os-sdk 0.12.1"

// wireCases is the directory of the recordings.
func wireCases(t *testing.T) string {
	if dir := os.Getenv("PEAQOS_WIRE_CASES"); dir != "" {
		return dir
	}
	if dir := filepath.Join("..", "..", "shared", "wire-cases"); isDir(dir) {
		return dir
	}
	return filepath.Join("testdata", "wire")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Every recorded call of the reference client is made with this one, against a
// server that answers as recorded. What is sent and what comes back is compared by
// the rules that come with the recordings.
func TestWireCases(t *testing.T) {
	dir := wireCases(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings in %s", dir)
	}
	passed, failed := 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []json.RawMessage
		if err := json.Unmarshal(text, &cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, raw := range cases {
			faults, counted := runWireCase(t, raw)
			switch {
			case !counted:
			case len(faults) == 0:
				passed++
			default:
				failed++
				t.Errorf("%s\n\t%s", caseName(raw), strings.Join(faults, "\n\t"))
			}
		}
	}
	if passed+failed == 0 {
		t.Errorf("no recording of %s in %s", reference, dir)
	}
	fmt.Printf("wire cases: %d passed, %d failed\n", passed, failed)
}

func caseName(raw json.RawMessage) string {
	var c struct {
		Name string `json:"name"`
	}
	json.Unmarshal(raw, &c)
	return c.Name
}

// runWireCase plays one recording. counted is false for one that is not of the
// reference's release.
func runWireCase(t *testing.T, raw json.RawMessage) (faults []string, counted bool) {
	var c wireCase
	if err := json.Unmarshal(raw, &c); err != nil {
		return []string{"the case cannot be read: " + err.Error()}, true
	}
	if c.SDK != reference {
		return nil, false
	}
	method, ok := wireMethods()[c.Call.Method]
	if !ok {
		return []string{"the method " + c.Call.Method + " is not known to this test"}, true
	}
	server := newWireServer(t, c.Exchanges)
	client, err := c.newClient(server.url)
	result := wireResult{err: err}
	if err == nil {
		result = method(&wireArgs{t.Context(), client, c.Call.Args})
	}
	seen := server.close()
	return c.compare(result, seen), true
}

func (c *wireCase) newClient(server string) (*sdk.Client, error) {
	base := server
	if raw := c.Client.BaseURL; raw != nil {
		base = ""
		var text *string
		if json.Unmarshal(raw, &text) == nil && text != nil {
			base = strings.ReplaceAll(*text, "{server}", server)
		}
	}
	var options []sdk.Option
	if c.Client.APIKey != nil {
		options = append(options, sdk.WithAPIKey(sdk.NewSecret(*c.Client.APIKey)))
	}
	return sdk.New(base, options...)
}
