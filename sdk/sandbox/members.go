package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

const (
	maxText    = 4096 // bytes of every stored string, and of the names in an object of strings
	maxEntries = 1000 // of a list of strings or an object of strings
)

// members reads a JSON object member by member. It keeps the first error: a handler reads all it
// needs and checks err once. null means not sent.
type members struct {
	all  map[string]json.RawMessage
	path string // of this object in the body, with a trailing dot
	err  error
}

func (m *members) fault(name, why string) {
	if m.err == nil {
		m.err = invalid(m.path + name + " " + why)
	}
}

func (m *members) has(name string) bool {
	v, ok := m.all[name]
	return ok && string(v) != "null"
}

// decode decodes a member into v. It returns false when the member was not sent or has the wrong
// type.
func (m *members) decode(name string, v any, what string) bool {
	if !m.has(name) {
		return false
	}
	if json.Unmarshal(m.all[name], v) != nil {
		m.fault(name, "must be "+what)
		return false
	}
	return true
}

// text returns an optional string; "" when it was not sent.
func (m *members) text(name string) string {
	var s string
	m.decode(name, &s, "a string")
	if len(s) > maxText {
		m.fault(name, fmt.Sprintf("is longer than %d bytes", maxText))
		return ""
	}
	return s
}

// required returns a required string that is not blank.
func (m *members) required(name string) string {
	s := m.text(name)
	if strings.TrimSpace(s) == "" {
		m.fault(name, "must be a non-empty string")
	}
	return s
}

// requiredAny returns a required string that may be empty.
func (m *members) requiredAny(name string) string {
	if !m.has(name) {
		m.fault(name, "is required")
	}
	return m.text(name)
}

// long returns an optional string without a length limit of its own.
func (m *members) long(name string) string {
	var s string
	m.decode(name, &s, "a string")
	return s
}

// patch reads a string into to if it was sent; it must not be blank.
func (m *members) patch(name string, to *string) {
	if m.has(name) {
		*to = m.required(name)
	}
}

// patchAny is like patch for a string that may be empty.
func (m *members) patchAny(name string, to *string) {
	if m.has(name) {
		*to = m.text(name)
	}
}

// oneOf returns an optional string that must be one of allowed.
func (m *members) oneOf(name string, allowed ...string) string {
	s := m.text(name)
	if m.has(name) && !slices.Contains(allowed, s) {
		m.fault(name, "must be one of "+strings.Join(allowed, ", "))
	}
	return s
}

// choice returns a required string that must be one of allowed.
func (m *members) choice(name string, allowed ...string) string {
	if !m.has(name) {
		m.fault(name, "must be one of "+strings.Join(allowed, ", "))
	}
	return m.oneOf(name, allowed...)
}

// texts returns an optional list of strings; ok distinguishes an empty list from an absent one.
func (m *members) texts(name string) (list []string, ok bool) {
	list = []string{}
	var sent []*string
	if !m.decode(name, &sent, "an array of strings") {
		return list, false
	}
	if len(sent) > maxEntries {
		m.fault(name, fmt.Sprintf("has more than %d entries", maxEntries))
		return list, false
	}
	for _, s := range sent {
		if s == nil || len(*s) > maxText {
			m.fault(name, "must be an array of strings")
			return list, false
		}
		list = append(list, *s)
	}
	return list, true
}

// replace reads a list into to if it was sent; a list that was never sent is empty.
func (m *members) replace(name string, to *[]string) {
	if list, sent := m.texts(name); sent || *to == nil {
		*to = list
	}
}

// textMap returns an optional object of strings.
func (m *members) textMap(name string) (map[string]string, bool) {
	out := map[string]string{}
	var sent map[string]*string
	if !m.decode(name, &sent, "an object of strings") {
		return out, false
	}
	if len(sent) > maxEntries {
		m.fault(name, fmt.Sprintf("has more than %d entries", maxEntries))
		return out, false
	}
	for k, v := range sent {
		switch {
		case v == nil:
			m.fault(name, "must be an object of strings")
			return out, false
		case len(k) > maxText || len(*v) > maxText:
			m.fault(name, fmt.Sprintf("has a name or a value that is longer than %d bytes", maxText))
			return out, false
		}
		out[k] = *v
	}
	return out, true
}

// integer returns an optional integer between lowest and highest.
func (m *members) integer(name string, lowest, highest int) (int, bool) {
	f, ok := m.number(name)
	if !ok {
		return 0, false
	}
	if f != math.Trunc(f) || f < float64(lowest) || f > float64(highest) {
		m.fault(name, fmt.Sprintf("must be an integer between %d and %d", lowest, highest))
		return 0, false
	}
	return int(f), true
}

func (m *members) number(name string) (float64, bool) {
	var f float64
	ok := m.decode(name, &f, "a number")
	return f, ok
}

// maxAmount limits an amount of money, so that sums of amounts stay finite.
const maxAmount = 1e15

// amount returns an optional number that is not negative.
func (m *members) amount(name string) (*float64, bool) {
	f, ok := m.number(name)
	if !ok {
		return nil, false
	}
	if f < 0 || f > maxAmount {
		m.fault(name, "must be between 0 and 10^15")
		return nil, false
	}
	return &f, true
}

func (m *members) flag(name string) (value, ok bool) {
	ok = m.decode(name, &value, "a boolean")
	return value, ok
}

// object returns an optional object; nil when it was not sent. The caller takes over its errors
// with join.
func (m *members) object(name string) *members {
	in := &members{path: m.path + name + "."}
	if !m.decode(name, &in.all, "an object") {
		return nil
	}
	return in
}

// join takes over the error of an inner object.
func (m *members) join(in *members) {
	if m.err == nil && in != nil {
		m.err = in.err
	}
}

// objects returns an optional list of at most n objects.
func (m *members) objects(name string, n int) []*members {
	var sent []map[string]json.RawMessage
	if !m.decode(name, &sent, "an array of objects") {
		return nil
	}
	if len(sent) > n {
		m.fault(name, fmt.Sprintf("has more than %d entries", n))
		return nil
	}
	var out []*members
	for i, o := range sent {
		if o == nil {
			m.fault(name, "must be an array of objects")
			return nil
		}
		out = append(out, &members{all: o, path: fmt.Sprintf("%s%s[%d].", m.path, name, i)})
	}
	return out
}

// raw returns an optional object as it was sent, apart from space between its members.
func (m *members) raw(name string) json.RawMessage {
	var probe map[string]json.RawMessage
	if !m.decode(name, &probe, "an object") {
		return nil
	}
	return bytes.Clone(m.all[name])
}

// any returns an optional JSON value of any type, as it was sent.
func (m *members) any(name string) json.RawMessage {
	if !m.has(name) {
		return nil
	}
	return bytes.Clone(m.all[name])
}
