package wire

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// encodeFunc appends one value as JSON.
type encodeFunc func(b []byte, v reflect.Value) ([]byte, error)

// Encode returns v as JSON. Unlike encoding/json it writes the values of secrets and
// omits unset fields. Errors: *FieldError.
func (k *Codec) Encode(v any) ([]byte, error) {
	if v == nil {
		return []byte("null"), nil
	}
	value := reflect.New(reflect.TypeOf(v)).Elem() // fields of an addressable copy need no copies of their own
	value.Set(reflect.ValueOf(v))
	return k.encoder(value.Type())(make([]byte, 0, 512), value)
}

func (k *Codec) encoder(t reflect.Type) encodeFunc {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[slotted]()) {
		inner := k.encoder(slotType(t))
		return func(b []byte, v reflect.Value) ([]byte, error) { return encodeOptional(b, v, inner) }
	}
	switch t {
	case reflect.TypeFor[json.RawMessage]():
		return encodeRaw
	case reflect.TypeFor[json.Number]():
		return k.encodeNumber
	case reflect.TypeFor[Secret]():
		return func(b []byte, v reflect.Value) ([]byte, error) { return appendSecret(b, v.Interface().(Secret)), nil }
	}
	switch t.Kind() {
	case reflect.String:
		return func(b []byte, v reflect.Value) ([]byte, error) { return AppendString(b, v.String()), nil }
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
		return b, &FieldError{Constraint: fmt.Sprintf("a type that JSON has, not %v", t)}
	}
}

// encodeIndirect writes the value in a pointer or an interface.
func (k *Codec) encodeIndirect(b []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return append(b, "null"...), nil
	}
	if k.options.Replace != nil {
		if other, ok := k.options.Replace(v.Interface()); ok {
			v = reflect.New(reflect.TypeOf(other)).Elem()
			v.Set(reflect.ValueOf(other))
			return k.encoder(v.Type())(b, v)
		}
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
		return b, &FieldError{Constraint: "a finite number"}
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

func (k *Codec) encodeStruct(b []byte, v reflect.Value) ([]byte, error) {
	b = append(b, '{')
	b, err := k.encodeFields(b, v, k.plan(v.Type()))
	return append(b, '}'), err
}

func (k *Codec) encodeFields(b []byte, v reflect.Value, p *structPlan) ([]byte, error) {
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
		b = append(AppendString(b, f.name), ':')
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

// encodeMap writes members in the order of their names, so that the same request has
// the same bytes.
func encodeMap(b []byte, v reflect.Value, encode encodeFunc) ([]byte, error) {
	b = append(b, '{')
	names := v.MapKeys()
	slices.SortFunc(names, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendString(b, name.String()), ':')
		var err error
		if b, err = encode(b, v.MapIndex(name)); err != nil {
			return b, prefixField(name.String(), err)
		}
	}
	return append(b, '}'), nil
}

// encodeRaw writes the caller's JSON unchanged; nil is null.
func encodeRaw(b []byte, v reflect.Value) ([]byte, error) {
	raw := v.Bytes()
	if len(raw) == 0 {
		return append(b, "null"...), nil
	}
	if !Valid(string(raw)) {
		return b, &FieldError{Constraint: "valid JSON"}
	}
	return append(b, raw...), nil
}

// encodeNumber writes the digits unchanged; "" is 0, as in encoding/json, unless it is
// refused.
func (k *Codec) encodeNumber(b []byte, v reflect.Value) ([]byte, error) {
	c := Scanner{text: v.String()}
	if c.text == "" && !k.options.RefuseEmptyNumbers {
		return append(b, '0'), nil
	}
	if literal, err := c.number(); err != nil || literal != c.text {
		return b, &FieldError{Constraint: "a number"}
	}
	return append(b, c.text...), nil
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Invalid UTF-8 becomes the replacement
// character.
func AppendString[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		ch := s[i]
		if ch >= 0x20 && ch != '"' && ch != '\\' && ch < utf8.RuneSelf {
			i++
			continue
		}
		if ch >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
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
