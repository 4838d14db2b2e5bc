package sdk

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

func (r rules) string(c *cursor, v reflect.Value) error {
	s, err := r.text(c)
	if err == nil {
		v.SetString(s)
	}
	return err
}

func (r rules) secret(c *cursor, v reflect.Value) error {
	s, err := r.text(c)
	if err == nil {
		*v.Addr().Interface().(*Secret) = NewSecret(strings.Clone(s))
	}
	return err
}

func (r rules) text(c *cursor) (string, error) {
	if c.peek() != '"' {
		return "", mustBe("a string")
	}
	s, err := c.str()
	if err == nil && r.nonEmpty && s == "" {
		err = mustBe("a non-empty string")
	}
	if err == nil && len(r.enum) > 0 && !slices.Contains(r.enum, s) {
		err = mustBe("one of " + strings.Join(r.enum, ", "))
	}
	return s, err
}

func (r rules) bool(c *cursor, v reflect.Value) error {
	switch b := c.peek(); {
	case b == 't' && !r.no:
		v.SetBool(true)
		return c.word("true")
	case b == 't':
		return mustBe("false")
	case b == 'f':
		v.SetBool(false)
		return c.word("false")
	}
	return mustBe("a boolean")
}

// int takes 90.0 and 9e1 for 90, unless the rules ask for an integer.
func (r rules) int(c *cursor, v reflect.Value) error {
	literal, err := number(c, "an integer")
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(literal, 10, 64)
	if err != nil {
		x, ferr := strconv.ParseFloat(literal, 64)
		if r.integer || ferr != nil || x > 1<<53 || x < -1<<53 || x != float64(int64(x)) {
			return mustBe("an integer")
		}
		n = int64(x)
	}
	if v.OverflowInt(n) {
		return mustBe("an integer")
	}
	v.SetInt(n)
	return nil
}

// decodeNumber keeps the digits as they came.
func decodeNumber(c *cursor, v reflect.Value) error {
	literal, err := number(c, "a number")
	if err == nil {
		v.SetString(literal)
	}
	return err
}

func number(c *cursor, want string) (string, error) {
	if b := c.peek(); b != '-' && (b < '0' || b > '9') {
		return "", mustBe(want)
	}
	return c.number()
}

func (r rules) raw(c *cursor, v reflect.Value) error {
	if r.object && c.peek() != '{' {
		return mustBe("an object")
	}
	c.space()
	start := c.at
	if err := c.skip(0); err != nil {
		return err
	}
	if r.loose && c.text[start] != '{' {
		v.SetZero()
		return nil
	}
	v.SetBytes([]byte(c.text[start:c.at]))
	return nil
}

func (r rules) strings(c *cursor, v reflect.Value) error {
	if c.peek() != '[' {
		return mustBe("an array of strings")
	}
	one := rules{nonEmpty: r.each, enum: r.enum}
	out := []string{}
	err := c.elements(func(i int) error {
		s, err := one.text(c)
		out = append(out, s)
		return at(i, err)
	})
	if err == nil && r.nonEmpty && len(out) == 0 {
		return mustBe("a non-empty array")
	}
	*v.Addr().Interface().(*[]string) = out
	return err
}

func decodeStringMap(c *cursor, v reflect.Value) error {
	if c.peek() != '{' {
		return mustBe("an object of strings")
	}
	out := map[string]string{}
	err := c.members(func(name string) error {
		s, err := rules{}.text(c)
		out[name] = s
		return inside(name, err)
	})
	*v.Addr().Interface().(*map[string]string) = out
	return err
}
