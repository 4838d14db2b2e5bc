package wire

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// decodeFunc reads one value that is not null into v.
type decodeFunc func(c *Scanner, v reflect.Value) error

// Decode reads one JSON text, which must not be null, into what v points to. Errors:
// ErrSyntax, *ShapeError.
func (k *Codec) Decode(text string, v any) error {
	c := Scanner{text: text}
	if err := k.into(&c, reflect.ValueOf(v).Elem()); err != nil {
		return err
	}
	return c.End()
}

// into reads the next value, which may not be null, into v.
func (k *Codec) into(c *Scanner, v reflect.Value) error {
	decode, ok := k.whole.Load(v.Type())
	if !ok {
		decode, _ = k.whole.LoadOrStore(v.Type(), k.decoder(v.Type(), rules{}))
	}
	return decode.(decodeFunc)(c, v)
}

// Member decodes one member of a JSON object into what out points to. The member is
// required; it may be null only if out points to a pointer, which is then left nil.
func (k *Codec) Member(body, name string, out any) error {
	c := Scanner{text: body}
	if c.Peek() != '{' {
		return MustBe("an object")
	}
	found := -1 // where the value begins; if the name occurs twice, the last one wins
	err := c.Members(func(n string) error {
		if c.space(); n == name {
			found = c.at
		}
		return c.skip(0)
	})
	if err = cmp.Or(err, c.End()); err != nil {
		return err
	}
	if found < 0 {
		return Inside(name, MustBe("present"))
	}
	c.at = found
	value := reflect.ValueOf(out).Elem()
	if value.Kind() == reflect.Pointer && c.Peek() == 'n' {
		return nil
	}
	return Inside(name, k.into(&c, value))
}

// decoder returns the function that reads a type under the rules of its field.
func (k *Codec) decoder(t reflect.Type, r rules) decodeFunc {
	if k.options.Decoder != nil {
		if decode := k.options.Decoder(t); decode != nil {
			return k.custom(decode)
		}
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[slotted]()) {
		inner := k.decoder(slotType(t), r)
		return func(c *Scanner, v reflect.Value) error {
			value, set := v.Addr().Interface().(slotted).slot()
			*set = true
			return inner(c, reflect.ValueOf(value).Elem())
		}
	}
	switch t {
	case reflect.TypeFor[json.RawMessage]():
		return r.raw
	case reflect.TypeFor[Raw]():
		return decodeRaw
	case reflect.TypeFor[json.Number]():
		return decodeNumber
	case reflect.TypeFor[Secret]():
		return r.secret
	case reflect.TypeFor[[]string]():
		return r.strings
	case reflect.TypeFor[map[string]string]():
		return decodeStringMap
	}
	switch t.Kind() {
	case reflect.String:
		return r.string
	case reflect.Bool:
		return r.bool
	case reflect.Int, reflect.Int64:
		return r.int
	case reflect.Struct:
		return func(c *Scanner, v reflect.Value) error { return k.decodeStruct(c, v, k.plan(t)) }
	case reflect.Pointer:
		inner := k.decoder(t.Elem(), r)
		return func(c *Scanner, v reflect.Value) error {
			v.Set(reflect.New(t.Elem()))
			return inner(c, v.Elem())
		}
	case reflect.Slice:
		return k.sliceDecoder(t, r)
	}
	return func(*Scanner, reflect.Value) error { panic(fmt.Sprintf("wire: %v cannot be decoded", t)) }
}

func (k *Codec) custom(decode DecodeFunc) decodeFunc {
	return func(c *Scanner, v reflect.Value) error {
		raw, err := c.Raw()
		if err != nil {
			return err
		}
		return decode(k, v.Addr().Interface(), raw)
	}
}

func (k *Codec) sliceDecoder(t reflect.Type, r rules) decodeFunc {
	decode := k.decoder(t.Elem(), rules{enum: r.enum})
	return func(c *Scanner, v reflect.Value) error {
		if c.Peek() != '[' {
			return MustBe("an array")
		}
		out := reflect.MakeSlice(t, 0, 0)
		err := c.Elements(func(i int) error {
			item := reflect.New(t.Elem()).Elem()
			if err := decode(c, item); err != nil {
				return At(i, err)
			}
			out = reflect.Append(out, item)
			return nil
		})
		if err == nil && r.nonEmpty && out.Len() == 0 {
			return MustBe("a non-empty array")
		}
		v.Set(out)
		return err
	}
}

func (k *Codec) decodeStruct(c *Scanner, v reflect.Value, p *structPlan) error {
	if c.Peek() != '{' {
		return MustBe("an object")
	}
	start := *c
	var seen uint64
	next := 0
	err := c.Members(func(name string) error {
		i := p.find(name, next)
		if i < 0 {
			return p.unknown(c, v, name)
		}
		next = i + 1
		if seen&(1<<i) != 0 {
			v.Field(p.fields[i].index).SetZero() // if a name occurs twice, the last one wins
		}
		seen |= 1 << i
		return p.fields[i].read(c, v)
	})
	if err != nil {
		return err
	}
	if err := p.complete(v, seen); err != nil || !p.inline {
		return err
	}
	for _, f := range p.fields {
		if f.inline != nil {
			again := start
			if err := k.decodeStruct(&again, v.Field(f.index), f.inline); err != nil {
				return err
			}
		}
	}
	return nil
}

// complete handles absent members: a required one is an error; lists and maps become
// empty rather than nil, so that they print and encode as what they are.
func (p *structPlan) complete(v reflect.Value, seen uint64) error {
	missing := p.needs &^ seen
	for i := range p.fields {
		f := &p.fields[i]
		if missing&(1<<i) != 0 {
			return Inside(f.name, MustBe("present"))
		}
		if f.many && seen&(1<<i) == 0 {
			emptyMany(v.Field(f.index))
		}
	}
	return nil
}

// read reads one member, null included.
func (f *fieldPlan) read(c *Scanner, v reflect.Value) error {
	field := v.Field(f.index)
	if c.Peek() != 'n' {
		return Inside(f.name, f.decode(c, field))
	}
	if err := c.word("null"); err != nil {
		return err
	}
	if f.presence == required || f.presence == optional {
		return Inside(f.name, MustBe("other than null"))
	}
	if f.many {
		emptyMany(field)
		return nil
	}
	field.SetZero() // null does not keep the default for an absent member
	return nil
}

func emptyMany(v reflect.Value) {
	if v.Kind() == reflect.Map {
		v.Set(reflect.MakeMap(v.Type()))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
}

// unknown keeps or drops a member that no field names.
func (p *structPlan) unknown(c *Scanner, v reflect.Value, name string) error {
	raw, err := c.Raw()
	if err != nil {
		return err
	}
	if p.extra < 0 || p.owns(name) {
		return nil
	}
	extra := v.Field(p.extra).Addr().Interface().(*ExtraFields)
	if *extra == nil {
		*extra = ExtraFields{}
	}
	(*extra)[strings.Clone(name)] = NewSecret(strings.Clone(raw))
	return nil
}
