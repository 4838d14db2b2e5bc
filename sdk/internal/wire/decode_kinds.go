package wire

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

func (r rules) string(c *Scanner, v reflect.Value) error {
	s, err := r.text(c)
	if err == nil {
		v.SetString(s)
	}
	return err
}

func (r rules) secret(c *Scanner, v reflect.Value) error {
	s, err := r.text(c)
	if err == nil {
		*v.Addr().Interface().(*Secret) = NewSecret(strings.Clone(s))
	}
	return err
}

func (r rules) text(c *Scanner) (string, error) {
	s, err := c.ReadString()
	if err == nil && r.nonEmpty && s == "" {
		err = MustBe("a non-empty string")
	}
	if err == nil && len(r.enum) > 0 && !slices.Contains(r.enum, s) {
		err = MustBe("one of " + strings.Join(r.enum, ", "))
	}
	return s, err
}

func (r rules) bool(c *Scanner, v reflect.Value) error {
	switch b := c.Peek(); {
	case b == 't' && !r.no:
		v.SetBool(true)
		return c.word("true")
	case b == 't':
		return MustBe("false")
	case b == 'f':
		v.SetBool(false)
		return c.word("false")
	}
	return MustBe("a boolean")
}

// int accepts 90.0 and 9e1 for 90, unless the rules require an integer literal.
func (r rules) int(c *Scanner, v reflect.Value) error {
	literal, err := number(c, "an integer")
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(literal, 10, 64)
	if err != nil {
		x, ferr := strconv.ParseFloat(literal, 64)
		if r.integer || ferr != nil || x > 1<<53 || x < -1<<53 || x != float64(int64(x)) {
			return MustBe("an integer")
		}
		n = int64(x)
	}
	if v.OverflowInt(n) {
		return MustBe("an integer")
	}
	v.SetInt(n)
	return nil
}

func decodeRaw(c *Scanner, v reflect.Value) error {
	raw, err := c.Raw()
	if err == nil {
		v.SetString(raw)
	}
	return err
}

// decodeNumber keeps the digits as received.
func decodeNumber(c *Scanner, v reflect.Value) error {
	literal, err := number(c, "a number")
	if err == nil {
		v.SetString(literal)
	}
	return err
}

func number(c *Scanner, want string) (string, error) {
	if b := c.Peek(); b != '-' && (b < '0' || b > '9') {
		return "", MustBe(want)
	}
	return c.number()
}

func (r rules) raw(c *Scanner, v reflect.Value) error {
	if r.object && c.Peek() != '{' {
		return MustBe("an object")
	}
	raw, err := c.Raw()
	if err != nil {
		return err
	}
	if r.loose && raw[0] != '{' {
		v.SetZero()
		return nil
	}
	v.SetBytes([]byte(raw))
	return nil
}

func (r rules) strings(c *Scanner, v reflect.Value) error {
	if c.Peek() != '[' {
		return MustBe("an array of strings")
	}
	one := rules{nonEmpty: r.each, enum: r.enum}
	out := []string{}
	err := c.Elements(func(i int) error {
		s, err := one.text(c)
		out = append(out, s)
		return At(i, err)
	})
	if err == nil && r.nonEmpty && len(out) == 0 {
		return MustBe("a non-empty array")
	}
	*v.Addr().Interface().(*[]string) = out
	return err
}

func decodeStringMap(c *Scanner, v reflect.Value) error {
	if c.Peek() != '{' {
		return MustBe("an object of strings")
	}
	out := map[string]string{}
	err := c.Members(func(name string) error {
		s, err := rules{}.text(c)
		out[name] = s
		return Inside(name, err)
	})
	*v.Addr().Interface().(*map[string]string) = out
	return err
}
