package sdk

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a JSON answer; deeper is not JSON to us.
const maxDepth = 512

// errSyntax says that a text is not JSON. What is wrong with it is of no use to
// the caller: the text is not ours.
var errSyntax = errors.New("not JSON")

// cursor reads JSON (RFC 8259) from a string. Strings without escapes come out
// as parts of the text, without a copy.
type cursor struct {
	text string
	at   int
}

// space moves over white space.
func (c *cursor) space() {
	for c.at < len(c.text) {
		switch c.text[c.at] {
		case ' ', '\t', '\n', '\r':
			c.at++
		default:
			return
		}
	}
}

// peek returns the first byte of the next value, or 0 at the end.
func (c *cursor) peek() byte {
	c.space()
	if c.at < len(c.text) {
		return c.text[c.at]
	}
	return 0
}

// take moves over one expected byte.
func (c *cursor) take(want byte) bool {
	if c.peek() != want {
		return false
	}
	c.at++
	return true
}

// word moves over true, false or null.
func (c *cursor) word(want string) error {
	if !strings.HasPrefix(c.text[c.at:], want) {
		return errSyntax
	}
	c.at += len(want)
	return nil
}

// end checks that nothing but white space is left.
func (c *cursor) end() error {
	if c.peek() != 0 || c.at < len(c.text) {
		return errSyntax
	}
	return nil
}

// skip moves over one value of any kind and checks its grammar.
func (c *cursor) skip(depth int) error {
	switch b := c.peek(); {
	case b == '"':
		return c.skipString()
	case b == '{' && depth < maxDepth:
		return c.members(func(string) error { return c.skip(depth + 1) })
	case b == '[' && depth < maxDepth:
		return c.elements(func(int) error { return c.skip(depth + 1) })
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
	return errSyntax
}

// members calls each for every member of an object; each must read the value.
func (c *cursor) members(each func(name string) error) error {
	if !c.take('{') {
		return errSyntax
	}
	if c.take('}') {
		return nil
	}
	for {
		if c.peek() != '"' {
			return errSyntax
		}
		name, err := c.str()
		if err != nil {
			return err
		}
		if !c.take(':') {
			return errSyntax
		}
		if err := each(name); err != nil {
			return err
		}
		if c.take(',') {
			continue
		}
		if c.take('}') {
			return nil
		}
		return errSyntax
	}
}

// elements calls each for every element of an array; each must read the value.
func (c *cursor) elements(each func(index int) error) error {
	if !c.take('[') {
		return errSyntax
	}
	if c.take(']') {
		return nil
	}
	for i := 0; ; i++ {
		if err := each(i); err != nil {
			return err
		}
		if c.take(',') {
			continue
		}
		if c.take(']') {
			return nil
		}
		return errSyntax
	}
}

// number reads a number and returns it as written.
func (c *cursor) number() (string, error) {
	start := c.at
	if c.at < len(c.text) && c.text[c.at] == '-' {
		c.at++
	}
	if c.at < len(c.text) && c.text[c.at] == '0' {
		c.at++
	} else if !c.digits() {
		return "", errSyntax
	}
	if c.at < len(c.text) && c.text[c.at] == '.' {
		c.at++
		if !c.digits() {
			return "", errSyntax
		}
	}
	if c.at < len(c.text) && (c.text[c.at] == 'e' || c.text[c.at] == 'E') {
		c.at++
		if c.at < len(c.text) && (c.text[c.at] == '+' || c.text[c.at] == '-') {
			c.at++
		}
		if !c.digits() {
			return "", errSyntax
		}
	}
	return c.text[start:c.at], nil
}

func (c *cursor) digits() bool {
	start := c.at
	for c.at < len(c.text) && c.text[c.at] >= '0' && c.text[c.at] <= '9' {
		c.at++
	}
	return c.at > start
}

// skipString moves over a string. Escapes are checked, but not decoded.
func (c *cursor) skipString() error {
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
			return errSyntax
		default:
			c.at++
		}
	}
	return errSyntax
}

// str reads a string; the cursor stands on its first quote.
func (c *cursor) str() (string, error) {
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
			return "", errSyntax
		}
	}
	return "", errSyntax
}

// strEscaped is the slow road of str: the cursor stands on the first backslash.
func (c *cursor) strEscaped(start int) (string, error) {
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
			return "", errSyntax
		default:
			out = append(out, b)
			c.at++
		}
	}
	return "", errSyntax
}

// escape reads one escape sequence, a surrogate pair as one rune. A lone
// surrogate is the replacement character.
func (c *cursor) escape() (rune, error) {
	if c.at+1 >= len(c.text) {
		return 0, errSyntax
	}
	kind := c.text[c.at+1]
	if kind != 'u' {
		i := strings.IndexByte(`"\/bfnrt`, kind)
		if i < 0 {
			return 0, errSyntax
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

func (c *cursor) hex4(from int) (rune, error) {
	if from+4 > len(c.text) {
		return 0, errSyntax
	}
	n, err := strconv.ParseUint(c.text[from:from+4], 16, 16)
	if err != nil {
		return 0, errSyntax
	}
	return rune(n), nil
}

// validJSON reports whether the whole text is one JSON value in UTF-8.
func validJSON(text string) bool {
	c := cursor{text: text}
	return utf8.ValidString(text) && c.skip(0) == nil && c.end() == nil
}
