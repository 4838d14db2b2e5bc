package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// texts seeds the fuzz targets with JSON and near-JSON.
func texts(f *testing.F) {
	f.Helper()
	for _, s := range []string{
		``, ` `, `null`, `true`, `-0`, `1e5`, `01`, `-`, `1.`, `.5`, `1e`, `"a"`, `"\u00e9\ud83d\ude00"`,
		`"\ud800"`, `"\ud800\u0041"`, `"\x"`,
		"\"\t\"", `"\u12"`, `[]`, `[1,]`, `[,1]`, `{}`, `{"a":1,}`, `{"a"}`, `{a:1}`, `{"a":1}{`, "\ufeff{}",
		"{\"a\":\"\xff\"}", `{"a":NaN}`,
		`[[[[[[[[1]]]]]]]]`, strings.Repeat("[", 600) + strings.Repeat("]", 600), recordJSON,
		`{"items":[` + recordJSON + `],"nextCursor":"c"}`,
		`{"id":"a","id":"b","note":"x","note":null}`,
	} {
		f.Add(s)
	}
}

// record has a field of every kind that the codec knows.
type record struct {
	ID     string            `json:"id" wire:"req,nonempty"`
	Note   Optional[string]  `json:"note,omitzero"`
	Count  Optional[int]     `json:"count,omitzero"`
	Kind   string            `json:"kind" enum:"a b"`
	On     bool              `json:"on" wire:"opt"`
	Amount json.Number       `json:"amount"`
	Names  []string          `json:"names" wire:"optnull,each"`
	Labels map[string]string `json:"labels"`
	Parts  []part            `json:"parts"`
	Main   *part             `json:"main"`
	Token  Secret            `json:"token"`
	Open   json.RawMessage   `json:"open,omitzero" wire:"optnull,object"`
	Extra  ExtraFields       `json:"-" wire:"extra"`
}

type part struct {
	Size int    `json:"size" wire:"req,int"`
	Unit string `json:"unit"`
}

const recordJSON = `{"id":"r1","note":"n","count":9e1,"kind":"a","on":true,"amount":1.50,"names":["x","y"],"labels":{"site":"berlin"},` +
	`"parts":[{"size":1,"unit":"m"},{"size":2,"unit":"s"}],"main":{"size":3,"unit":"m"},"token":"t","open":{"free":[1]},"colour":"red"}`

// depth returns the nesting of a JSON text.
func depth(text string) int {
	now, most, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			now++
			most = max(most, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return most
}

// FuzzValid: Valid agrees with encoding/json, except for text that is not UTF-8 and
// nesting beyond MaxDepth.
func FuzzValid(f *testing.F) {
	texts(f)
	f.Fuzz(func(t *testing.T, text string) {
		want := json.Valid([]byte(text)) && utf8.ValidString(text)
		if got := Valid(text); got != want && (got || depth(text) <= MaxDepth) {
			t.Errorf("valid = %v, encoding/json says %v", got, want)
		}
	})
}

// FuzzStrings: a string reads as it does with encoding/json, and is written so that
// both read it back.
func FuzzStrings(f *testing.F) {
	texts(f)
	f.Fuzz(func(t *testing.T, text string) {
		var want string
		isString := strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), `"`)
		if err := json.Unmarshal([]byte(text), &want); err == nil && isString && utf8.ValidString(text) {
			if got, err := NewScanner(text).ReadString(); err != nil || got != want {
				t.Errorf("read %q, %v; encoding/json reads %q", got, err, want)
			}
		}
		written := AppendString(nil, text)
		if ofBytes := AppendString(nil, []byte(text)); !bytes.Equal(written, ofBytes) {
			t.Errorf("%q was written as %s, its bytes as %s", text, written, ofBytes)
		}
		var back string
		if err := json.Unmarshal(written, &back); err != nil || back != strings.ToValidUTF8(text, "\ufffd") && utf8.ValidString(text) {
			t.Errorf("%q was written as %s: %v", text, written, err)
		}
		c := NewScanner(string(written))
		if got, err := c.ReadString(); err != nil || got != back || c.End() != nil {
			t.Errorf("%s reads as %q, %v", written, got, err)
		}
	})
}

// FuzzDecode: text is decoded, or rejected with one of two errors. What was decoded
// was JSON, reads as encoding/json reads it, and survives encoding.
func FuzzDecode(f *testing.F) {
	texts(f)
	f.Fuzz(func(t *testing.T, text string) {
		k, in := New(Options{}), new(record)
		err := k.Decode(text, in)
		var shape *ShapeError
		switch {
		case err != nil && !errors.As(err, &shape) && !errors.Is(err, ErrSyntax):
			t.Fatal(err)
		case shape != nil && strings.ContainsAny(shape.Error(), "\r\n"):
			t.Fatalf("%q", shape.Error())
		case err != nil || !utf8.ValidString(text):
			return
		case !json.Valid([]byte(text)):
			t.Fatalf("decoded text that is not JSON: %q", text)
		}
		var members map[string]any
		if json.Unmarshal([]byte(text), &members) == nil && members["id"] != in.ID {
			t.Errorf("id is %q, encoding/json says %q", in.ID, members["id"])
		}
		written, err := k.Encode(in)
		if err != nil {
			t.Fatal(err)
		}
		if in.Kind == "" {
			return // an absent enum is written as "", which is not one of its values
		}
		again := new(record)
		if err := k.Decode(string(written), again); err != nil {
			t.Fatalf("%v in %s", err, written)
		}
		if twice, err := k.Encode(again); err != nil || !bytes.Equal(written, twice) {
			t.Errorf("%s became %s, %v", written, twice, err)
		}
	})
}

// FuzzEncode: encoding/json reads what was encoded as it was set, whatever the strings.
func FuzzEncode(f *testing.F) {
	f.Add("mach_1", "token", `{"a":1}`, 90, true)
	f.Add("\x00", "\xff", `nope`, -1, false)
	f.Fuzz(func(t *testing.T, id, token, open string, count int, set bool) {
		clean := func(s string) string { // as encoding/json replaces what is not UTF-8
			b, _ := json.Marshal(s)
			_ = json.Unmarshal(b, &s)
			return s
		}
		in := struct {
			ID     string           `json:"id"`
			Count  Optional[int]    `json:"count,omitzero"`
			Token  Secret           `json:"token"`
			Late   Secret           `json:"late"`
			Nested Optional[Secret] `json:"nested,omitzero"`
		}{ID: id, Token: NewSecret(token), Late: NewSecretFunc(func() []byte { return []byte(token) })}
		want := map[string]any{"id": clean(id), "token": clean(token), "late": clean(token)}
		if set {
			in.Count, in.Nested = Some(count), Some(NewSecret(id))
			want["count"], want["nested"] = float64(count), clean(id)
		}
		body, err := New(Options{}).Encode(in)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		// The caller's own JSON is sent unchanged, or not at all.
		out, err := New(Options{}).Encode(struct {
			Open json.RawMessage `json:"open"`
		}{json.RawMessage(open)})
		if err == nil && open != "" && !bytes.Contains(out, []byte(open)) || err == nil && !json.Valid(out) {
			t.Errorf("%q was sent as %s", open, out)
		}
	})
}

// FuzzRedactor: no text brings a canary through a sensitive member, a connect url or a
// p2p address, and nothing else changes.
func FuzzRedactor(f *testing.F) {
	for _, s := range []string{`{}`, `[1,"x"]`, `"s"`, `null`, `{"a":{"b":[1.50,"\u0041"]}}`} {
		f.Add(s, "access", "X", "see ", " now")
	}
	f.Fuzz(func(t *testing.T, raw, before, after, lead, trail string) {
		if !Valid(raw) || depth(raw) > MaxDepth-10 {
			if out := ByKey().Apply(raw); out != nil && !json.Valid(out) {
				t.Errorf("%q came out as %s", raw, out)
			}
			return
		}
		none := Redactor{Hide: func(string) bool { return false }, Text: func(s string) string { return s }}
		sameJSON(t, raw, string(none.Apply(raw)))

		const secret = "c4n4ry"
		quoted := func(s string) string { return string(AppendString(nil, s)) }
		name := before + "To" + "kEn" + after
		carrier := `{"safe":` + raw + `,` + quoted(name) + `:{"x":[` + quoted(secret) + `,` + raw + `]},"connect":{"url":` +
			quoted(secret) + `,"type":1},"note":` +
			quoted(lead+"PeaqOS-p2p://h/"+secret+"?a="+secret) + `,"list":[{"connect":{"url":[` + quoted(secret) + `]}}]}`
		if strings.Contains(raw+before+after+lead+trail, secret) {
			return
		}
		out := string(ByKey().Apply(carrier))
		if out == "" || strings.Contains(out, secret) || !json.Valid([]byte(out)) {
			t.Errorf("the secret is not redacted: %s", out)
		}
		if text := RedactText(lead + P2PScheme + secret + " " + trail); strings.Contains(text, secret) ||
			!strings.HasSuffix(text, " "+RedactText(trail)) {
			t.Errorf("the text was redacted to %q", text)
		}
	})
}

func sameJSON(t *testing.T, x, y string) {
	t.Helper()
	read := func(s string) (v any) {
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%v in %s", err, s)
		}
		return v
	}
	if !reflect.DeepEqual(read(x), read(y)) {
		t.Errorf("%s became %s", x, y)
	}
}
