package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A table of fields is the contract's table of one response, with one line per field:
//
//	<path> <kind> <presence>
//
// Presence is as in the contract: R, O (may be absent), N (may be null), ON, and L for a
// list that reads as empty if it is absent or null. Kinds:
//
//	s     text            s+    text that is not empty
//	s=a|b text, these     w=a   text, these and unknown ones
//	d     decimal DID     b     boolean            f     only false
//	i     integer         n     number             x     any JSON
//	m     texts by name   ss    texts              ss+   at least one text
//	o     object          a     array of objects   a+    at least one object
//	r     any object      q     any object; other JSON reads as nil
//	c     object without other members
//	free  payment rails, all of them not-required
//
// The test builds a response from the lines, then breaks it field by field.
type fieldTable struct {
	name string
	call func(c *Client) error
	text string
}

type fieldLine struct {
	path           []string // "[]" is the first element
	kind, presence string
}

func parseFields(t *testing.T, text string) (lines []fieldLine) {
	t.Helper()
	for row := range strings.SplitSeq(text, "\n") {
		words := strings.Fields(row)
		if len(words) == 0 {
			continue
		}
		if len(words) < 3 {
			t.Fatalf("not a field: %q", row)
		}
		kind, presence := words[len(words)-2], words[len(words)-1]
		for _, path := range words[:len(words)-2] {
			lines = append(lines, fieldLine{strings.Split(strings.ReplaceAll(path, "[]", ".[]"), "."), kind, presence})
		}
	}
	return lines
}

// good returns a valid value of a kind.
func (l fieldLine) good() any {
	if _, values, ok := strings.Cut(l.kind, "="); ok {
		value, _, _ := strings.Cut(values, "|")
		return value
	}
	return map[string]any{
		"s": "x", "s+": "x", "d": "did:peaq:7", "b": true, "f": false, "i": 200, "n": 1.5,
		"x": map[string]any{"a_B": 1}, "r": map[string]any{"a_B": 1}, "q": map[string]any{"a_B": 1},
		"m": map[string]any{"a_B": "c"}, "ss": []any{"x"}, "ss+": []any{"x"}, "free": []any{"not-required"},
		"o": map[string]any{}, "c": map[string]any{}, "a": []any{map[string]any{}}, "a+": []any{map[string]any{}},
	}[l.kind]
}

// wrong returns invalid values of a kind, and valid ones at its limits.
func (l fieldLine) wrong() (wrong, right []any) {
	text := []any{7, true, []any{}, map[string]any{}}
	kind, values, _ := strings.Cut(l.kind, "=")
	switch {
	case values != "" && kind == "w":
		right = append(right, "another", "")
		wrong = text
	case values != "":
		wrong = append(text, "another", "")
	}
	for value := range strings.SplitSeq(values, "|") {
		if values != "" {
			right = append(right, value)
		}
	}
	list := []any{"x", 7, map[string]any{}, []any{7}, []any{nil}}
	object := []any{"x", 7, true, []any{}}
	switch l.kind {
	case "s":
		wrong, right = text, []any{"", "ü\u2028"}
	case "s+":
		wrong = append(text, "")
	case "d":
		wrong = append(text, "did:peaq:01", "did:peaq:0x52908400098527886E0F7030069857D2E4169EE7", "peaqos:machine:7", " did:peaq:7")
		right = []any{"did:peaq:0", "did:peaq:115792089237316195423570985008687907853269984665640564039457584007913129639935"}
	case "b":
		wrong, right = []any{"true", 1, []any{}, map[string]any{}}, []any{false}
	case "f":
		wrong = []any{true, "false", 0}
	case "i":
		wrong = []any{"200", true, 1.5, []any{}, map[string]any{}}
	case "n":
		wrong, right = []any{"1.5", true, []any{}, map[string]any{}}, []any{0, -1, 1e300}
	case "m":
		wrong, right = append(object, map[string]any{"a": 7}), []any{map[string]any{}}
	case "ss":
		wrong, right = list, []any{[]any{}}
	case "ss+":
		wrong = append(list, []any{})
	case "free":
		wrong, right = append(list, []any{}, []any{"x402"}), []any{[]any{"not-required", "not-required"}}
	case "o", "c", "r":
		wrong = object
	case "a":
		wrong, right = []any{"x", 7, map[string]any{}, []any{7}}, []any{[]any{}}
	case "a+":
		wrong = []any{"x", 7, map[string]any{}, []any{7}, []any{}}
	case "x", "q":
		right = []any{"x", 7, false, []any{nil}}
	}
	return wrong, right
}

// put sets a field of a response, or removes it.
func put(root any, path []string, value any, absent bool) any {
	if path[0] == "[]" {
		list := append([]any{}, root.([]any)...)
		if len(path) == 1 {
			list[0] = value
		} else {
			list[0] = put(list[0], path[1:], value, absent)
		}
		return list
	}
	object := map[string]any{}
	for name, v := range root.(map[string]any) {
		object[name] = v
	}
	switch {
	case len(path) > 1:
		object[path[0]] = put(object[path[0]], path[1:], value, absent)
	case absent:
		delete(object, path[0])
	default:
		object[path[0]] = value
	}
	return object
}

// fieldBench responds to a call with any body.
type fieldBench struct {
	client *Client
	body   []byte
	frame  string // how the body is sent in an event stream; empty for plain JSON
}

func newFieldBench(t *testing.T) *fieldBench {
	t.Helper()
	b := &fieldBench{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		if b.frame != "" {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = fmt.Fprintf(w, b.frame, b.body)
			return
		}
		_, _ = w.Write(b.body)
	}))
	t.Cleanup(server.Close)
	c, err := New(server.URL, WithAPIKey(NewSecret("pk_canary")), WithStrictStatus())
	if err != nil {
		t.Fatal(err)
	}
	b.client = c
	return b
}

// expect makes the call and expects a result, or the code of a malformed response.
func (b *fieldBench) expect(t *testing.T, table fieldTable, what string, response any, good bool) {
	t.Helper()
	var err error
	if b.body, err = json.Marshal(response); err != nil {
		t.Fatal(err)
	}
	err = table.call(b.client)
	var api *APIError
	switch {
	case good && err != nil:
		t.Errorf("%s: got %v for %.600s", what, err, b.body)
	case !good && (!errors.As(err, &api) || api.Code != CodeInvalidResponseShape || !errors.Is(err, ErrMalformed)):
		t.Errorf("%s: got %v, want %s", what, err, CodeInvalidResponseShape)
	}
}

func (table fieldTable) run(t *testing.T) { table.runFramed(t, "") }

func (table fieldTable) runFramed(t *testing.T, frame string) {
	lines := parseFields(t, table.text)
	var response any = map[string]any{}
	for _, l := range lines {
		response = put(response, l.path, l.good(), false)
	}
	b := newFieldBench(t)
	b.frame = frame
	if b.expect(t, table, "whole", response, true); t.Failed() {
		return
	}
	for _, l := range lines {
		path := strings.Join(l.path, ".")
		if l.path[len(l.path)-1] != "[]" {
			b.expect(t, table, path+" absent", put(response, l.path, nil, true), l.presence != "R" && l.presence != "N")
		}
		b.expect(t, table, path+" null", put(response, l.path, nil, false), l.presence != "R" && l.presence != "O")
		wrong, right := l.wrong()
		for _, value := range wrong {
			text, _ := json.Marshal(value)
			b.expect(t, table, path+" is "+string(text), put(response, l.path, value, false), false)
		}
		for _, value := range right {
			text, _ := json.Marshal(value)
			b.expect(t, table, path+" is "+string(text), put(response, l.path, value, false), true)
		}
		if l.kind == "o" || l.kind == "c" {
			b.expect(
				t, table, path+" with an unknown member",
				put(response, append(append([]string{}, l.path...), "zz_Future"), []any{1, nil}, false),
				l.kind == "o",
			)
		}
	}
	b.expect(t, table, "an unknown member of the envelope", put(response, []string{"zz_Future"}, "x", false), true)
}

// under puts a path in place of the X in the table of a type.
func under(path, text string) string {
	return "\n" + strings.NewReplacer("X.", path+".", "X ", path+" ").Replace(text)
}

func runTables(t *testing.T, tables []fieldTable) {
	for _, table := range tables {
		t.Run(table.name, table.run)
	}
}
