package wire

import (
	"encoding/json"
	"strings"
	"unicode"
)

// P2PScheme begins an address that is itself a credential (contract §1.9).
const P2PScheme = "peaqos-p2p://"

// SensitiveKey reports whether a member of this name is hidden whole (contract §1.9).
// Signatures are included.
func SensitiveKey(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"token", "key", "secret", "password", "credential", "auth", "signature"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// RedactText hides p2p addresses, up to the next white space. As in every URL, the case
// of the scheme does not matter.
func RedactText(s string) string {
	i := indexP2P(s)
	if i < 0 {
		return s
	}
	var b strings.Builder
	for i >= 0 {
		b.WriteString(s[:i] + Redacted)
		s = s[i+len(P2PScheme):]
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

// indexP2P returns the index of the first p2p address, or -1.
func indexP2P(s string) int {
	const name = len(P2PScheme) - len("://")
	for from := 0; ; {
		i := strings.Index(s[from:], "://")
		if i < 0 {
			return -1
		}
		if i += from; i >= name && strings.EqualFold(s[i-name:i], P2PScheme[:name]) {
			return i - name
		}
		from = i + 1
	}
}

// Redactor rewrites JSON text: members that Hide selects by name are hidden whole, the
// url of every member connect is hidden, and all other strings and names go through Text.
type Redactor struct {
	Hide func(name string) bool
	Text func(string) string
}

// ServerDetails is the Redactor for the details that a server adds to an error: names
// alone hide nothing.
func ServerDetails() Redactor {
	return Redactor{Hide: func(string) bool { return false }, Text: RedactText}
}

// ByKey is the Redactor that also hides every sensitive member, see [SensitiveKey].
func ByKey() Redactor { return Redactor{Hide: SensitiveKey, Text: RedactText} }

// Apply returns raw rewritten, or nil if it is not JSON. Bytes that are not UTF-8 are
// replaced.
func (r Redactor) Apply(raw string) json.RawMessage {
	c := Scanner{text: raw}
	out, err := r.value(&c, make([]byte, 0, len(raw)), "", 0)
	if err != nil || c.End() != nil {
		return nil
	}
	return out
}

func (r Redactor) value(c *Scanner, out []byte, parent string, depth int) ([]byte, error) {
	if depth >= MaxDepth {
		return nil, ErrSyntax
	}
	switch c.Peek() {
	case '"':
		s, err := c.str()
		return AppendString(out, r.Text(s)), err
	case '{':
		return r.object(c, out, parent, depth)
	case '[':
		out = append(out, '[')
		err := c.Elements(func(i int) (err error) {
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

func (r Redactor) object(c *Scanner, out []byte, parent string, depth int) ([]byte, error) {
	out = append(out, '{')
	first := true
	err := c.Members(func(name string) (err error) {
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(AppendString(out, r.Text(name)), ':')
		if r.Hide(name) || (parent == "connect" && name == "url") {
			out = append(out, `"`+Redacted+`"`...)
			return c.skip(depth + 1)
		}
		out, err = r.value(c, out, name, depth+1)
		return err
	})
	return append(out, '}'), err
}

// Shown returns raw as it may be printed: without the values of sensitive members. Empty
// text is null, and text that is not JSON is hidden whole.
func Shown(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	if clean := ByKey().Apply(string(raw)); clean != nil {
		return clean
	}
	return json.RawMessage(`"` + Redacted + `"`)
}
