package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

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

// reference is the release whose recordings a client must match; the others show what older
// clients send to a server.
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

// TestWireCases makes every recorded call of the reference client with this client, against
// a server that sends the recorded responses. It compares requests and results by the rules
// of the recordings. The last line of the output is always the count.
func TestWireCases(t *testing.T) {
	passed, failed := 0, 0
	defer func() { fmt.Printf("wire cases: %d passed, %d failed\n", passed, failed) }()
	dir := wireCases(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings in %s", dir)
	}
	for _, file := range files {
		cases, err := readWireCases(file)
		if err != nil {
			failed++
			t.Errorf("%s: %v", file, err)
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
}

func readWireCases(file string) (cases []json.RawMessage, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(text, &cases)
	return cases, err
}

func caseName(raw json.RawMessage) string {
	var c struct {
		Name string `json:"name"`
	}
	json.Unmarshal(raw, &c)
	return c.Name
}

// runWireCase runs one recording. counted is false if it is not of the reference release.
func runWireCase(t *testing.T, raw json.RawMessage) (faults []string, counted bool) {
	var of struct {
		SDK string `json:"sdk"`
	}
	if json.Unmarshal(raw, &of) == nil && of.SDK != reference {
		return nil, false
	}
	var c wireCase
	if err := json.Unmarshal(raw, &c); err != nil {
		return []string{"the case cannot be read: " + err.Error()}, true
	}
	method, ok := wireMethods()[c.Call.Method]
	if !ok {
		return []string{"the method " + c.Call.Method + " is not known to this test"}, true
	}
	server := newWireServer(c.Exchanges)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	result, crash := c.perform(ctx, server.url, method)
	seen := server.close()
	if crash != "" {
		return []string{crash}, true
	}
	return c.compare(result, seen), true
}

// perform makes the call. A panic of the client fails the case.
func (c *wireCase) perform(ctx context.Context, server string, method wireMethod) (result wireResult, crash string) {
	defer func() {
		if r := recover(); r != nil {
			crash = fmt.Sprintf("the call panics: %v\n%s", r, debug.Stack())
		}
	}()
	client, err := c.newClient(server)
	if err == nil || string(c.Client.BaseURL) == "null" && offline[c.Call.Method] {
		return method(&wireArgs{ctx, client, c.Call.Args}), ""
	}
	if c.Outcome.ErrorClass == "OrchestrationValidationError" {
		return c.refusedBefore(ctx, method, err), ""
	}
	return wireResult{err: err}, ""
}

// refusedBefore reports whether the reference rejects an argument in a case without a valid
// base URL. The reference checks arguments first; this client cannot be made without a base
// URL. Both reject before anything is sent.
func (c *wireCase) refusedBefore(ctx context.Context, method wireMethod, fault error) wireResult {
	var config *sdk.ConfigError
	if errors.As(fault, &config) && plainField(config.Field) == plainField(c.Outcome.Field) {
		return wireResult{err: &sdk.ValidationError{Field: config.Field, Constraint: config.Message}}
	}
	elsewhere, err := sdk.New("http://127.0.0.1:9")
	if err != nil {
		return wireResult{err: err}
	}
	if result := method(&wireArgs{ctx, elsewhere, c.Call.Args}); result.err != nil {
		return result
	}
	return wireResult{err: fault}
}

// offline lists the methods that need no client.
var offline = map[string]bool{"parse_x402_payment_requirements": true, "sign_x402_payment": true}

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
