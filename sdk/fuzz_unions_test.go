package sdk

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// recorded are the response bodies of the recordings, and the values in their envelopes.
func recorded(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "wire", "*.json"))
	if err != nil {
		tb.Fatal(err)
	}
	seen := map[string]bool{}
	var all []string
	add := func(raw json.RawMessage) {
		if text := string(raw); len(raw) > 0 && !seen[text] {
			seen[text] = true
			all = append(all, text)
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		var cases []struct {
			Exchanges []struct {
				Response struct{ Body json.RawMessage }
			}
		}
		if err := json.Unmarshal(text, &cases); err != nil {
			tb.Fatal(err)
		}
		for _, c := range cases {
			for _, e := range c.Exchanges {
				var envelope struct {
					Item, Order, Execution json.RawMessage
					Items                  []json.RawMessage
				}
				add(e.Response.Body)
				if json.Unmarshal(e.Response.Body, &envelope) == nil {
					for _, raw := range append(envelope.Items, envelope.Item, envelope.Order, envelope.Execution) {
						add(raw)
					}
				}
			}
		}
	}
	if len(all) < 100 {
		tb.Fatalf("only %d recorded responses", len(all))
	}
	return all
}

// FuzzUnions: the decoders that select a type by content, seeded with every recorded
// response. They decode JSON or reject it with one of two errors.
func FuzzUnions(f *testing.F) {
	for _, text := range recorded(f) {
		f.Add(text)
	}
	c, err := New("http://h.example")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		raw = strings.TrimSpace(raw)
		if !wire.Valid(raw) {
			return // they get what is JSON already
		}
		for name, decode := range map[string]func() (any, error){
			"transport": func() (any, error) { return c.deliveryTransport(raw) },
			"rail":      func() (any, error) { return c.paymentRail(raw) },
			"service":   func() (any, error) { return c.scopedService(raw) },
			"strict":    func() (any, error) { return c.strictService(raw) },
			"order":     func() (any, error) { return c.plainOrder(raw) },
			"created":   func() (any, error) { return c.createdOrder(raw) },
			"stored":    func() (any, error) { o, _, err := c.strictOrder(raw); return o, err },
			"execution": func() (any, error) { return c.executionKind(raw) },
			"revert":    func() (any, error) { return revertData(raw), nil },
			"list": func() (any, error) {
				return readList(raw, func() {}, func(item string) error {
					if !wire.Valid(item) {
						t.Errorf("the item %q", item)
					}
					return nil
				})
			},
		} {
			got, err := decode()
			var shape *wire.ShapeError
			if err != nil && !errors.As(err, &shape) && !errors.Is(err, wire.ErrSyntax) {
				t.Errorf("%s: %v", name, err)
			}
			if shape != nil && !utf8.ValidString(shape.Error()) {
				t.Errorf("%s: %q", name, shape.Error())
			}
			if revert, ok := got.(string); ok && name == "revert" && revert != "" && !isHex(revert) {
				t.Errorf("the revert is %q", revert)
			}
		}
	})
}

// TestFormsDecodeRecordings checks that FuzzResponses tests what it should: each of its
// types decodes some recorded response, except those that no recording has.
func TestFormsDecodeRecordings(t *testing.T) {
	unrecorded := 0
	for _, form := range forms() {
		read := false
		for _, text := range recorded(t) {
			read = read || newCodec(false).Decode(text, form) == nil
		}
		if !read {
			unrecorded++
			t.Logf("no recorded response is a %T", form)
		}
	}
	if unrecorded > 10 {
		t.Errorf("%d forms read nothing", unrecorded)
	}
}
