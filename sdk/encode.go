package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"
)

// encodeFunc appends one value as JSON.
type encodeFunc func(b []byte, v reflect.Value) ([]byte, error)

// slotted is an Optional of any type.
type slotted interface {
	slot() (value any, set *bool)
}

func slotType(t reflect.Type) reflect.Type {
	value, _ := reflect.New(t).Interface().(slotted).slot()
	return reflect.TypeOf(value).Elem()
}

// encode writes a request body. Unlike encoding/json it reveals secrets and
// leaves out what is unset.
func (k *codec) encode(v any) ([]byte, error) {
	if v == nil {
		return []byte("null"), nil
	}
	value := reflect.New(reflect.TypeOf(v)).Elem() // fields of an addressable copy need no copies of their own
	value.Set(reflect.ValueOf(v))
	return k.encoder(value.Type())(make([]byte, 0, 512), value)
}

// wired is a member of a union: what it looks like on the wire.
type wired interface{ wire() any }

func (k *codec) encoder(t reflect.Type) encodeFunc {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[slotted]()) {
		inner := k.encoder(slotType(t))
		return func(b []byte, v reflect.Value) ([]byte, error) { return encodeOptional(b, v, inner) }
	}
	switch t {
	case reflect.TypeFor[json.RawMessage]():
		return encodeRaw
	case reflect.TypeFor[json.Number]():
		return encodeNumber
	case reflect.TypeFor[Secret]():
		return func(b []byte, v reflect.Value) ([]byte, error) {
			return appendString(b, v.Interface().(Secret).Reveal()), nil
		}
	}
	switch t.Kind() {
	case reflect.String:
		return func(b []byte, v reflect.Value) ([]byte, error) { return appendString(b, v.String()), nil }
	case reflect.Bool:
		return func(b []byte, v reflect.Value) ([]byte, error) { return strconv.AppendBool(b, v.Bool()), nil }
	case reflect.Int, reflect.Int64:
		return func(b []byte, v reflect.Value) ([]byte, error) { return strconv.AppendInt(b, v.Int(), 10), nil }
	case reflect.Float64:
		return encodeFloat
	case reflect.Struct:
		return func(b []byte, v reflect.Value) ([]byte, error) { return k.encodeStruct(b, v) }
	case reflect.Pointer, reflect.Interface:
		return k.encodeIndirect
	case reflect.Slice:
		inner := k.encoder(t.Elem())
		return func(b []byte, v reflect.Value) ([]byte, error) { return encodeSlice(b, v, inner) }
	case reflect.Map:
		inner := k.encoder(t.Elem())
		return func(b []byte, v reflect.Value) ([]byte, error) { return encodeMap(b, v, inner) }
	}
	return func(b []byte, _ reflect.Value) ([]byte, error) {
		return b, &ValidationError{Constraint: fmt.Sprintf("of a type that JSON has, not %v", t)}
	}
}

// encodeIndirect writes what a pointer or an interface holds.
func (k *codec) encodeIndirect(b []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return append(b, "null"...), nil
	}
	if member, ok := v.Interface().(wired); ok {
		v = reflect.New(reflect.TypeOf(member.wire())).Elem()
		v.Set(reflect.ValueOf(member.wire()))
		return k.encoder(v.Type())(b, v)
	}
	inner := v.Elem()
	if v.Kind() == reflect.Interface {
		inner = reflect.New(inner.Type()).Elem()
		inner.Set(v.Elem())
	}
	return k.encoder(inner.Type())(b, inner)
}

func encodeFloat(b []byte, v reflect.Value) ([]byte, error) {
	out, err := json.Marshal(v.Float())
	if err != nil {
		return b, &ValidationError{Constraint: "a finite number"}
	}
	return append(b, out...), nil
}

func encodeOptional(b []byte, v reflect.Value, inner encodeFunc) ([]byte, error) {
	value, set := v.Addr().Interface().(slotted).slot()
	if !*set {
		return append(b, "null"...), nil
	}
	return inner(b, reflect.ValueOf(value).Elem())
}

func (k *codec) encodeStruct(b []byte, v reflect.Value) ([]byte, error) {
	b = append(b, '{')
	b, err := k.encodeFields(b, v, k.plan(v.Type()))
	return append(b, '}'), err
}

func (k *codec) encodeFields(b []byte, v reflect.Value, p *structPlan) ([]byte, error) {
	for i := range p.fields {
		f := &p.fields[i]
		field := v.Field(f.index)
		if f.inline != nil {
			var err error
			if b, err = k.encodeFields(b, field, f.inline); err != nil {
				return b, err
			}
			continue
		}
		if f.omitZero && isZero(field) {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(appendString(b, f.name), ':')
		var err error
		if b, err = f.encode(b, field); err != nil {
			return b, prefixField(f.name, err)
		}
	}
	return b, nil
}

func isZero(v reflect.Value) bool {
	if o, ok := v.Addr().Interface().(slotted); ok {
		_, set := o.slot()
		return !*set
	}
	return v.IsZero()
}

// prefixField puts a member's name before the field of a validation error.
func prefixField(name string, err error) error {
	fault, ok := err.(*ValidationError)
	if !ok {
		return err
	}
	if fault.Field != "" {
		name += "." + fault.Field
	}
	return &ValidationError{Field: name, Constraint: fault.Constraint}
}

func encodeSlice(b []byte, v reflect.Value, encode encodeFunc) ([]byte, error) {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = encode(b, v.Index(i)); err != nil {
			return b, prefixField(strconv.Itoa(i), err)
		}
	}
	return append(b, ']'), nil
}

// encodeMap writes members in the order of their names, so that the same request
// has the same bytes.
func encodeMap(b []byte, v reflect.Value, encode encodeFunc) ([]byte, error) {
	b = append(b, '{')
	names := v.MapKeys()
	slices.SortFunc(names, func(x, y reflect.Value) int {
		if x.String() < y.String() {
			return -1
		}
		return 1
	})
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name.String()), ':')
		var err error
		if b, err = encode(b, v.MapIndex(name)); err != nil {
			return b, prefixField(name.String(), err)
		}
	}
	return append(b, '}'), nil
}

// encodeRaw sends the caller's JSON as it is; nil is null.
func encodeRaw(b []byte, v reflect.Value) ([]byte, error) {
	raw := v.Bytes()
	if len(raw) == 0 {
		return append(b, "null"...), nil
	}
	if !validJSON(string(raw)) {
		return b, &ValidationError{Constraint: "valid JSON"}
	}
	return append(b, raw...), nil
}

// encodeNumber sends the digits as they are; "" is 0, as in encoding/json.
func encodeNumber(b []byte, v reflect.Value) ([]byte, error) {
	c := cursor{text: v.String()}
	if c.text == "" {
		return append(b, '0'), nil
	}
	if literal, err := c.number(); err != nil || literal != c.text {
		return b, &ValidationError{Constraint: "a number"}
	}
	return append(b, c.text...), nil
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string. Invalid UTF-8 becomes the replacement character.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		ch := s[i]
		if ch >= 0x20 && ch != '"' && ch != '\\' && ch < utf8.RuneSelf {
			i++
			continue
		}
		if ch >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[from:i]...), "\ufffd"...)
				from = i + 1
			}
			i += size
			continue
		}
		b = append(b, s[from:i]...)
		switch ch {
		case '"', '\\':
			b = append(b, '\\', ch)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[ch>>4], hexDigits[ch&15])
		}
		i++
		from = i
	}
	return append(append(b, s[from:]...), '"')
}
