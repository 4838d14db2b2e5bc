package sdk

import (
	"encoding/json"
	"log/slog"
	"strings"
	"unicode"
)

// p2pScheme opens an address that is itself a credential (contract §1.9).
const p2pScheme = "peaqos-p2p://"

// sensitiveKey tells whether an object's member of this name is hidden whole
// (contract §1.9), signatures included.
func sensitiveKey(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"token", "key", "secret", "password", "credential", "auth", "signature"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// redactText hides p2p addresses, up to the next white space. Like every scheme,
// theirs may come in capitals.
func redactText(s string) string {
	i := indexP2P(s)
	if i < 0 {
		return s
	}
	var b strings.Builder
	for i >= 0 {
		b.WriteString(s[:i] + redacted)
		s = s[i+len(p2pScheme):]
		end := strings.IndexFunc(s, unicode.IsSpace)
		if end < 0 {
			end = len(s)
		}
		s = s[end:]
		i = indexP2P(s)
	}
	b.WriteString(s)
	return b.String()
}

// indexP2P finds the next p2p address.
func indexP2P(s string) int {
	const name = len(p2pScheme) - len("://")
	for from := 0; ; {
		i := strings.Index(s[from:], "://")
		if i < 0 {
			return -1
		}
		if i += from; i >= name && strings.EqualFold(s[i-name:i], p2pScheme[:name]) {
			return i - name
		}
		from = i + 1
	}
}

// redactor rewrites a JSON text: what hide says of a member's name is hidden
// whole, the url of a member connect is hidden, and every string goes through text.
type redactor struct {
	hide func(name string) bool
	text func(string) string
}

// serverDetails is the rule for what a server adds to an error.
func serverDetails() redactor {
	return redactor{hide: func(string) bool { return false }, text: redactText}
}

// byKey hides every sensitive member besides.
func byKey() redactor { return redactor{hide: sensitiveKey, text: redactText} }

// apply rewrites raw. It must be JSON, and what is not is dropped; what is not UTF-8
// is replaced.
func (r redactor) apply(raw string) json.RawMessage {
	c := cursor{text: raw}
	out, err := r.value(&c, make([]byte, 0, len(raw)), "", 0)
	if err != nil || c.end() != nil {
		return nil
	}
	return out
}

func (r redactor) value(c *cursor, out []byte, parent string, depth int) ([]byte, error) {
	if depth >= maxDepth {
		return nil, errSyntax
	}
	switch c.peek() {
	case '"':
		s, err := c.str()
		return appendString(out, r.text(s)), err
	case '{':
		return r.object(c, out, parent, depth)
	case '[':
		out = append(out, '[')
		err := c.elements(func(i int) (err error) {
			if i > 0 {
				out = append(out, ',')
			}
			out, err = r.value(c, out, "", depth+1)
			return err
		})
		return append(out, ']'), err
	}
	start := c.at
	if err := c.skip(depth); err != nil {
		return nil, err
	}
	return append(out, c.text[start:c.at]...), nil
}

func (r redactor) object(c *cursor, out []byte, parent string, depth int) ([]byte, error) {
	out = append(out, '{')
	first := true
	err := c.members(func(name string) (err error) {
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(appendString(out, r.text(name)), ':')
		if r.hide(name) || (parent == "connect" && name == "url") {
			out = append(out, `"`+redacted+`"`...)
			return c.skip(depth + 1)
		}
		out, err = r.value(c, out, name, depth+1)
		return err
	})
	return append(out, '}'), err
}

// shown is the printed form of JSON whose members are not all known.
func shown(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	if clean := byKey().apply(string(raw)); clean != nil {
		return clean
	}
	return json.RawMessage(`"` + redacted + `"`)
}

// Extra holds the members of an answer that this package does not model, each as
// its JSON. What they are is not known, so each is a [Secret] until Reveal is
// called. The printed form is the JSON without the values of sensitive names, at
// any depth.
type Extra map[string]Secret

// String is the redacted JSON.
func (e Extra) String() string {
	members := make(map[string]json.RawMessage, len(e))
	for name, value := range e {
		members[name] = json.RawMessage(value.Reveal())
	}
	raw, err := json.Marshal(members)
	if err != nil { // a caller put in what is no JSON
		return `"` + redacted + `"`
	}
	return string(shown(raw))
}

// GoString is String.
func (e Extra) GoString() string { return "sdk.Extra(" + e.String() + ")" }

// LogValue makes slog print String.
func (e Extra) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalJSON is the redacted form too: results are logged as JSON.
func (e Extra) MarshalJSON() ([]byte, error) { return []byte(e.String()), nil }
