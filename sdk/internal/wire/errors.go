package wire

import (
	"errors"
	"strconv"
	"strings"
)

// ErrSyntax reports text that is not JSON. It holds no detail: the text is untrusted.
var ErrSyntax = errors.New("not JSON")

// ShapeError reports JSON that does not have the shape its type requires. It holds
// the path of the member and never a value.
type ShapeError struct {
	Path string // such as ".item.endpoints[2].status"; empty for the whole text
	Want string // what the member must be, such as "a string"
}

// Error is one line, such as "item.endpoints[2].status must be a string".
func (e *ShapeError) Error() string {
	if e.Path == "" {
		return "the body must be " + e.Want
	}
	return strings.TrimPrefix(OneLine(e.Path), ".") + " must be " + e.Want
}

// MustBe returns a *ShapeError for the value being read. Callers add its path with
// [Inside] and [At] on the way out.
func MustBe(want string) error { return &ShapeError{Want: want} }

// Inside adds a member name to the front of a ShapeError's path. Other errors, and
// nil, pass through.
func Inside(name string, err error) error { return within("."+name, err) }

// At is [Inside] for an array index.
func At(index int, err error) error {
	if err == nil {
		return nil
	}
	return within("["+strconv.Itoa(index)+"]", err)
}

func within(step string, err error) error {
	if shape, ok := err.(*ShapeError); ok {
		return &ShapeError{step + shape.Path, shape.Want}
	}
	return err
}

// FieldError reports a value that cannot be encoded.
type FieldError struct {
	Field      string // wire name, such as "endpoints.2.label"; empty for the whole value
	Constraint string // what it must be, such as "a finite number"
}

func (e *FieldError) Error() string { return e.Field + " must be " + e.Constraint }

// prefixField adds a member name to the front of a FieldError's field.
func prefixField(name string, err error) error {
	fault, ok := err.(*FieldError)
	if !ok {
		return err
	}
	if fault.Field != "" {
		name += "." + fault.Field
	}
	return &FieldError{Field: name, Constraint: fault.Constraint}
}

// OneLine makes untrusted text safe to print: control characters and line
// separators become spaces, so that it cannot forge a log line, and everything
// after 500 bytes is cut.
func OneLine(s string) string {
	const limit = 500
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
