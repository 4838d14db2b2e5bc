package wire

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

// TestDecodeRules has each rule of the tags, with the error of a value that breaks it.
func TestDecodeRules(t *testing.T) {
	type rules struct {
		Required string          `json:"required" wire:"req"`
		Optional string          `json:"optional" wire:"opt"`
		Nullable string          `json:"nullable" wire:"null"`
		Any      Optional[int]   `json:"any"`
		NonEmpty string          `json:"nonEmpty" wire:"opt,nonempty"`
		List     []string        `json:"list" wire:"optnull,nonempty"`
		Each     []string        `json:"each" wire:"optnull,each"`
		Enum     string          `json:"enum" wire:"opt" enum:"a b"`
		Enums    []string        `json:"enums" enum:"a b"`
		Object   json.RawMessage `json:"object" wire:"optnull,object"`
		Loose    json.RawMessage `json:"loose" wire:"optnull,loose"`
		Whole    int             `json:"whole" wire:"opt,int"`
		Lax      int             `json:"lax" wire:"opt"`
		No       bool            `json:"no" wire:"opt,false"`
		Unread   string          `json:"unread" wire:"-"`
		Inner    []part          `json:"inner"`
		Extra    ExtraFields     `json:"-" wire:"extra"`
	}
	for member, want := range map[string]string{
		``:                               "",
		`"any":null,"list":null`:         "",
		`"required":null`:                "required must be other than null",
		`"required":5`:                   "required must be a string",
		`"optional":null`:                "optional must be other than null",
		`"nonEmpty":""`:                  "nonEmpty must be a non-empty string",
		`"list":[]`:                      "list must be a non-empty array",
		`"list":"x"`:                     "list must be an array of strings",
		`"each":["x",""]`:                "each[1] must be a non-empty string",
		`"enum":"c"`:                     "enum must be one of a, b",
		`"enums":["a","c"]`:              "enums[1] must be one of a, b",
		`"object":[]`:                    "object must be an object",
		`"loose":[1]`:                    "",
		`"whole":1.0`:                    "whole must be an integer",
		`"lax":1.0`:                      "",
		`"lax":1.5`:                      "lax must be an integer",
		`"lax":9007199254740994e1`:       "lax must be an integer",
		`"no":true`:                      "no must be false",
		`"no":0`:                         "no must be a boolean",
		`"unread":[{}]`:                  "",
		`"inner":[{"size":1},{}]`:        "inner[1].size must be present",
		`"inner":[{"size":1},5]`:         "inner[1] must be an object",
		`"Required":"another case"`:      "",
		`"other":{"a":[1]},"other2":"x"`: "",
	} {
		text := `{"required":"r","nullable":null,` + member
		text = strings.TrimSuffix(text, ",") + `}`
		if strings.HasPrefix(member, `"required"`) {
			text = `{"nullable":null,` + member + `}`
		}
		out := new(rules)
		err := New(Options{}).Decode(text, out)
		if got := errorText(err); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
		if err == nil && (out.List == nil || out.Inner == nil) {
			t.Errorf("%s: an absent list is nil: %+v", text, out)
		}
	}
	for text, want := range map[string]string{
		`{"nullable":null}`:                "required must be present",
		`{"required":"r"}`:                 "nullable must be present",
		`[]`:                               "the body must be an object",
		`{"required":"r","nullable":"n"`:   "not JSON",
		`{"required":"r","nullable":"n"}x`: "not JSON",
	} {
		if got := errorText(New(Options{}).Decode(text, new(rules))); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestUnknownMembersAreKeptAsSecrets(t *testing.T) {
	var out record
	const text = `{"id":"r","kind":"a","token":"t","colour":"red","apiKey":"CANARY","deep":{"x":[{"token":"CANARY"}]}}`
	err := New(Options{}).Decode(text, &out)
	if err != nil || out.Extra["colour"].Reveal() != `"red"` || out.Extra["apiKey"].Reveal() != `"CANARY"` {
		t.Errorf("got %v, %v", out.Extra, err)
	}
	if text := out.Extra.String(); strings.Contains(text, "CANARY") || !strings.Contains(text, `"colour":"red"`) {
		t.Errorf("it prints as %s", text)
	}
	if text := (ExtraFields{"x": NewSecret("not JSON")}).String(); text != `"[REDACTED]"` {
		t.Errorf("text that is not JSON prints as %s", text)
	}
}

// TestStrictForm: a type with the second tag has two forms; every other type has one.
func TestStrictForm(t *testing.T) {
	type twoForms struct {
		ID   string `json:"id" wire:"opt" strict:"req"`
		Kind string `json:"kind" strict:"req" enum:"a"`
		Lax  string `json:"lax" wire:"req"`
	}
	for _, c := range []struct {
		text        string
		lax, strict string
	}{
		{`{"id":"i","kind":"a","lax":"l"}`, "", ""},
		{`{"id":"i","kind":"b","lax":"l"}`, "", "kind must be one of a"},
		{`{"kind":"a","lax":"l"}`, "", "id must be present"},
		{`{"id":"i","kind":"a"}`, "lax must be present", ""},
	} {
		for strict, want := range map[bool]string{false: c.lax, true: c.strict} {
			out := new(twoForms)
			err := New(Options{StrictTag: "strict", Strict: strict}).Decode(c.text, out)
			if errorText(err) != want {
				t.Errorf("%s, strict %t: %v, want %q", c.text, strict, err, want)
			}
			if strict && out.Lax != "" {
				t.Errorf("%s: the strict form read a field without its tag: %+v", c.text, out)
			}
		}
	}
}

// upper decodes in its own way and is encoded as a number.
type upper string

func TestCustomDecodersAndReplacements(t *testing.T) {
	k := New(Options{
		Decoder: func(t reflect.Type) DecodeFunc {
			if t != reflect.TypeFor[upper]() {
				return nil
			}
			return func(k *Codec, v any, raw string) error {
				var text string
				err := k.Decode(raw, &text)
				*v.(*upper) = upper(strings.ToUpper(text))
				return err
			}
		},
		Replace: func(v any) (any, bool) {
			u, ok := v.(*upper)
			if !ok {
				return nil, false
			}
			return len(*u), true
		},
	})
	var out struct {
		Direct  upper   `json:"direct"`
		Pointer *upper  `json:"pointer"`
		Many    []upper `json:"many"`
	}
	err := k.Decode(`{"direct":"a","pointer":"bb","many":["c","d"]}`, &out)
	if err != nil || out.Direct != "A" || *out.Pointer != "BB" || out.Many[1] != "D" {
		t.Errorf("got %+v, %v", out, err)
	}
	if err := k.Decode(`{"many":["c",5]}`, &out); errorText(err) != "many[1] must be a string" {
		t.Errorf("got %v", err)
	}
	if text, err := k.Encode(out); err != nil || !strings.Contains(string(text), `"pointer":2`) {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestMember(t *testing.T) {
	var item part
	for text, want := range map[string]string{
		`{"other":1,"item":{"size":1}}`:         "",
		`{"item":{"size":1},"item":{"size":2}}`: "",
		`{"item":null}`:                         "item must be an object",
		`{"item":{"size":"x"}}`:                 "item.size must be an integer",
		`{"other":1}`:                           "item must be present",
		`[]`:                                    "the body must be an object",
		`{"item":{"size":1}}}`:                  "not JSON",
	} {
		if got := errorText(New(Options{}).Member(text, "item", &item)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	var maybe *part
	if err := New(Options{}).Member(`{"item":null}`, "item", &maybe); err != nil || maybe != nil {
		t.Errorf("a null for a pointer: %v, %v", maybe, err)
	}
}

// TestEncodeErrorsNameTheField: what JSON cannot hold is an error with the field's path.
func TestEncodeErrorsNameTheField(t *testing.T) {
	for _, c := range []struct {
		value any
		field string
	}{
		{map[string]any{"a": []float64{0, math.Inf(1)}}, "a.1"},
		{struct {
			X json.Number `json:"x"`
		}{"1x"}, "x"},
		{struct {
			X json.RawMessage `json:"x"`
		}{json.RawMessage(`{`)}, "x"},
		{[]any{make(chan int)}, "0"},
	} {
		_, err := New(Options{}).Encode(c.value)
		var fault *FieldError
		if !errors.As(err, &fault) || fault.Field != c.field || !strings.HasPrefix(err.Error(), c.field+" must be ") {
			t.Errorf("%v: got %v, want the field %s", c.value, err, c.field)
		}
	}
}

func TestEncode(t *testing.T) {
	for want, value := range map[string]any{
		`null`: nil,
		`{"a":[],"b":null,"c":{"x":1,"y":2}}`: struct {
			A []string       `json:"a"`
			B *int           `json:"b"`
			C map[string]int `json:"c"`
			D Optional[int]  `json:"d,omitzero"`
			e int
		}{C: map[string]int{"y": 2, "x": 1}},
		`{"size":3,"unit":"\u0001\"\\\n"}`: part{3, "\x01\"\\\n"},
		`[true,1.5,"s",0]`:                 []any{true, 1.5, NewSecret("s"), json.Number("")},
	} {
		if got, err := New(Options{}).Encode(value); err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

func TestSecretsIn(t *testing.T) {
	type holder struct {
		A Secret
		B Optional[Secret]
		C []any
		D map[string]*Secret
		E Optional[string]
		f Secret
	}
	s := func(v string) *Secret { return new(NewSecret(v)) }
	v := holder{A: *s("a"), B: Some(*s("b")), C: []any{s("c"), 5, nil}, D: map[string]*Secret{"x": s("d"), "y": nil}, f: *s("hidden")}
	if got := strings.Join(SecretsIn(&v), " "); got != "a b c d" {
		t.Errorf("got %s", got)
	}
	if got := SecretsIn(nil); got != nil {
		t.Errorf("of nil: %v", got)
	}
}

func TestScannerRejectsDeepNesting(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	if !Valid(deep(MaxDepth)) || Valid(deep(MaxDepth+1)) {
		t.Error("MaxDepth is not the limit")
	}
	if !IsObject(` {} `) || IsObject(`[]`) || IsObject(`{`) {
		t.Error("IsObject is wrong")
	}
}
