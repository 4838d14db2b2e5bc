package wire

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is the deepest nesting that is accepted as JSON.
const MaxDepth = 512

// Scanner reads JSON (RFC 8259) from a string. Strings without escapes are returned
// as parts of the text, without a copy.
type Scanner struct {
	text string
	at   int
}

// NewScanner returns a Scanner at the start of text.
func NewScanner(text string) *Scanner { return &Scanner{text: text} }

// Valid reports whether the whole text is one JSON value in UTF-8.
func Valid(text string) bool {
	c := Scanner{text: text}
	return utf8.ValidString(text) && c.skip(0) == nil && c.End() == nil
}

// IsObject reports whether the whole text is one JSON object in UTF-8.
func IsObject(text string) bool {
	c := Scanner{text: text}
	return Valid(text) && c.Peek() == '{'
}

// space skips white space.
func (c *Scanner) space() {
	for c.at < len(c.text) {
		switch c.text[c.at] {
		case ' ', '\t', '\n', '\r':
			c.at++
		default:
			return
		}
	}
}

// Peek returns the first byte of the next value, or 0 at the end.
func (c *Scanner) Peek() byte {
	c.space()
	if c.at < len(c.text) {
		return c.text[c.at]
	}
	return 0
}

// accept skips the byte want, if it is next.
func (c *Scanner) accept(want byte) bool {
	if c.Peek() != want {
		return false
	}
	c.at++
	return true
}

// word skips true, false or null.
func (c *Scanner) word(want string) error {
	if !strings.HasPrefix(c.text[c.at:], want) {
		return ErrSyntax
	}
	c.at += len(want)
	return nil
}

// End returns ErrSyntax unless only white space is left.
func (c *Scanner) End() error {
	if c.Peek() != 0 || c.at < len(c.text) {
		return ErrSyntax
	}
	return nil
}

// Skip skips one value of any kind and checks its grammar.
func (c *Scanner) Skip() error { return c.skip(0) }

// Raw is Skip that returns the value's text.
func (c *Scanner) Raw() (string, error) {
	c.space()
	start := c.at
	err := c.skip(0)
	return c.text[start:c.at], err
}

func (c *Scanner) skip(depth int) error {
	switch b := c.Peek(); {
	case b == '"':
		return c.skipString()
	case b == '{' && depth < MaxDepth:
		return c.Members(func(string) error { return c.skip(depth + 1) })
	case b == '[' && depth < MaxDepth:
		return c.Elements(func(int) error { return c.skip(depth + 1) })
	case b == 't':
		return c.word("true")
	case b == 'f':
		return c.word("false")
	case b == 'n':
		return c.word("null")
	case b == '-' || (b >= '0' && b <= '9'):
		_, err := c.number()
		return err
	}
	return ErrSyntax
}

// Members calls each for every member of an object; each must read the value.
func (c *Scanner) Members(each func(name string) error) error {
	if !c.accept('{') {
		return ErrSyntax
	}
	if c.accept('}') {
		return nil
	}
	for {
		if c.Peek() != '"' {
			return ErrSyntax
		}
		name, err := c.str()
		if err != nil {
			return err
		}
		if !c.accept(':') {
			return ErrSyntax
		}
		if err := each(name); err != nil {
			return err
		}
		if c.accept(',') {
			continue
		}
		if c.accept('}') {
			return nil
		}
		return ErrSyntax
	}
}

// Elements calls each for every element of an array; each must read the value.
func (c *Scanner) Elements(each func(index int) error) error {
	if !c.accept('[') {
		return ErrSyntax
	}
	if c.accept(']') {
		return nil
	}
	for i := 0; ; i++ {
		if err := each(i); err != nil {
			return err
		}
		if c.accept(',') {
			continue
		}
		if c.accept(']') {
			return nil
		}
		return ErrSyntax
	}
}

// number returns a number as written.
func (c *Scanner) number() (string, error) {
	start := c.at
	if c.at < len(c.text) && c.text[c.at] == '-' {
		c.at++
	}
	if c.at < len(c.text) && c.text[c.at] == '0' {
		c.at++
	} else if !c.digits() {
		return "", ErrSyntax
	}
	if c.at < len(c.text) && c.text[c.at] == '.' {
		c.at++
		if !c.digits() {
			return "", ErrSyntax
		}
	}
	if c.at < len(c.text) && (c.text[c.at] == 'e' || c.text[c.at] == 'E') {
		c.at++
		if c.at < len(c.text) && (c.text[c.at] == '+' || c.text[c.at] == '-') {
			c.at++
		}
		if !c.digits() {
			return "", ErrSyntax
		}
	}
	return c.text[start:c.at], nil
}

func (c *Scanner) digits() bool {
	start := c.at
	for c.at < len(c.text) && c.text[c.at] >= '0' && c.text[c.at] <= '9' {
		c.at++
	}
	return c.at > start
}

// skipString skips a string. Escapes are checked, but not decoded.
func (c *Scanner) skipString() error {
	c.at++
	for c.at < len(c.text) {
		switch b := c.text[c.at]; {
		case b == '"':
			c.at++
			return nil
		case b == '\\':
			if _, err := c.escape(); err != nil {
				return err
			}
		case b < 0x20:
			return ErrSyntax
		default:
			c.at++
		}
	}
	return ErrSyntax
}

// ReadString reads the next value, which must be a string.
func (c *Scanner) ReadString() (string, error) {
	if c.Peek() != '"' {
		return "", MustBe("a string")
	}
	return c.str()
}

// str reads a string that starts at the current byte, a quote.
func (c *Scanner) str() (string, error) {
	start := c.at + 1
	for i := start; i < len(c.text); i++ {
		switch b := c.text[i]; {
		case b == '"':
			c.at = i + 1
			return c.text[start:i], nil
		case b == '\\':
			c.at = i
			return c.strEscaped(start)
		case b < 0x20:
			return "", ErrSyntax
		}
	}
	return "", ErrSyntax
}

// strEscaped is the slow path of str; the current byte is the first backslash.
func (c *Scanner) strEscaped(start int) (string, error) {
	out := make([]byte, 0, 2*(c.at-start)+16)
	out = append(out, c.text[start:c.at]...)
	for c.at < len(c.text) {
		switch b := c.text[c.at]; {
		case b == '"':
			c.at++
			return string(out), nil
		case b == '\\':
			r, err := c.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		case b < 0x20:
			return "", ErrSyntax
		default:
			out = append(out, b)
			c.at++
		}
	}
	return "", ErrSyntax
}

// escape reads one escape sequence, a surrogate pair as one rune. A lone
// surrogate is the replacement character.
func (c *Scanner) escape() (rune, error) {
	if c.at+1 >= len(c.text) {
		return 0, ErrSyntax
	}
	kind := c.text[c.at+1]
	if kind != 'u' {
		i := strings.IndexByte(`"\/bfnrt`, kind)
		if i < 0 {
			return 0, ErrSyntax
		}
		c.at += 2
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	high, err := c.hex4(c.at + 2)
	if err != nil {
		return 0, err
	}
	c.at += 6
	if !utf16.IsSurrogate(high) {
		return high, nil
	}
	if strings.HasPrefix(c.text[c.at:], `\u`) {
		if low, err := c.hex4(c.at + 2); err == nil {
			if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
				c.at += 6
				return r, nil
			}
		}
	}
	return utf8.RuneError, nil
}

func (c *Scanner) hex4(from int) (rune, error) {
	if from+4 > len(c.text) {
		return 0, ErrSyntax
	}
	n, err := strconv.ParseUint(c.text[from:from+4], 16, 16)
	if err != nil {
		return 0, ErrSyntax
	}
	return rune(n), nil
}
