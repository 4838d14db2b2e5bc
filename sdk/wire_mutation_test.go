package sdk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// replay is a transport that sends the recorded responses, with each body changed.
type replay struct {
	exchanges []exchange
	change    func(body string) string
	next      int
}

func (r *replay) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.next >= len(r.exchanges) {
		return nil, errors.New("one request too many")
	}
	a := r.exchanges[r.next].Response
	r.next++
	res := &http.Response{StatusCode: a.Status, Header: http.Header{"Content-Type": {"application/json"}}, Request: req, ContentLength: -1}
	body := ""
	if a.Body != nil {
		body = r.change(string(a.Body))
	}
	res.Body = io.NopCloser(strings.NewReader(body))
	return res, nil
}

// wireSuccesses returns the recorded calls that succeeded with only JSON responses.
func wireSuccesses(t *testing.T) []wireCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(wireCases(t), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var found []wireCase
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []wireCase
		if err := json.Unmarshal(text, &cases); err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			good := func(e exchange) bool { return e.Response.Body != nil && e.Response.Status/100 == 2 }
			if c.SDK == reference && c.Outcome.OK && !c.Lenient && len(c.Exchanges) > 0 &&
				!slices.ContainsFunc(c.Exchanges, func(e exchange) bool { return !good(e) }) {
				found = append(found, c)
			}
		}
	}
	if len(found) < 100 {
		t.Fatalf("only %d recorded successes", len(found))
	}
	return found
}

// played makes the recorded call with changed responses.
func (c *wireCase) played(t *testing.T, change func(body string) string) error {
	t.Helper()
	client, err := sdk.New(
		"http://replay.example", sdk.WithAPIKey(sdk.NewSecret("k")),
		sdk.WithHTTPClient(&http.Client{Transport: &replay{exchanges: c.Exchanges, change: change}}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return wireMethods()[c.Call.Method](&wireArgs{t.Context(), client, c.Call.Args}).err
}

// parsedJSON keeps the text of numbers.
func parsedJSON(t *testing.T, text string) any {
	t.Helper()
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func writtenJSON(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// withMore adds an unknown member to every object, except the stored input of a device
// order, which may not have any (contract §2.18).
func withMore(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if name != "input" && name != "inputPayload" {
				v[name] = withMore(value)
			}
		}
		v["zzNews"] = "unknown"
	case []any:
		for i := range v {
			v[i] = withMore(v[i])
		}
	}
	return v
}

// TestUnknownMembersAreAccepted: a newer server sends members that this release does not
// know, in the envelope and in every object.
func TestUnknownMembersAreAccepted(t *testing.T) {
	for _, c := range wireSuccesses(t) {
		if err := c.played(t, func(body string) string { return writtenJSON(t, withMore(parsedJSON(t, body))) }); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// TestTruncatedBodiesAreBadResponses: a body that is truncated anywhere is not a response of
// the API, whatever could be read before.
func TestTruncatedBodiesAreBadResponses(t *testing.T) {
	for _, c := range wireSuccesses(t) {
		for _, tenths := range []int{1, 3, 5, 7, 9, 10} {
			err := c.played(t, func(body string) string {
				body = strings.TrimSpace(body)
				return body[:min(len(body)*tenths/10, len(body)-1)]
			})
			var api *sdk.APIError
			if !errors.As(err, &api) || api.Code != sdk.CodeBadResponse {
				t.Errorf("%s, %d tenths: got %v", c.Name, tenths, err)
			}
		}
	}
}

// places returns the paths of all values below v, including containers.
func places(v any, at []any, found *[][]any) {
	*found = append(*found, slices.Clone(at))
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			places(v[name], append(at, name), found)
		}
	case []any:
		for i := range v {
			places(v[i], append(at, i), found)
		}
	}
}

// replaced returns v with the value at a path replaced.
func replaced(v any, at []any, with any) any {
	if len(at) == 0 {
		return with
	}
	switch v := v.(type) {
	case map[string]any:
		v[at[0].(string)] = replaced(v[at[0].(string)], at[1:], with)
	case []any:
		v[at[0].(int)] = replaced(v[at[0].(int)], at[1:], with)
	}
	return v
}

// TestValuesOfAnotherKindAreMalformed replaces every value of every recorded response by one
// of another kind, which varies from case to case. The call still succeeds, or it reports
// the wrong shape. There is no other outcome, and no crash.
func TestValuesOfAnotherKindAreMalformed(t *testing.T) {
	tried, refused := 0, 0
	kinds := []any{json.Number("1e400"), "text", true, []any{}, []any{[]any{}}, map[string]any{}, nil}
	for n, c := range wireSuccesses(t) {
		first := string(c.Exchanges[0].Response.Body)
		var all [][]any
		places(parsedJSON(t, first), nil, &all)
		for i, at := range all {
			other := kinds[(n+i)%len(kinds)]
			if len(at) == 0 && other == nil {
				continue // a body of null is not a response
			}
			changed := writtenJSON(t, replaced(parsedJSON(t, first), at, other))
			err := c.played(t, func(body string) string {
				if body == first {
					return changed
				}
				return body
			})
			tried++
			if err == nil {
				continue
			}
			refused++
			var api *sdk.APIError
			var missing *sdk.MissingTokenError
			if !errors.As(err, &missing) && (!errors.As(err, &api) || api.Code != sdk.CodeInvalidResponseShape) &&
				!strings.Contains(err.Error(), "one request too many") {
				t.Errorf("%s: %s at %v: got %v", c.Name, fmt.Sprint(other), at, err)
			}
		}
	}
	t.Logf("%d responses tried, %d rejected", tried, refused)
	if refused < 1000 {
		t.Error("too few values were rejected: are the checks still effective?")
	}
}
