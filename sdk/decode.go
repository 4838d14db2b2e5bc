package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// shapeError says which member of an answer has not its form. It holds no value
// of the answer.
type shapeError struct {
	path string
	want string
}

func (e *shapeError) Error() string {
	if e.path == "" {
		return "the body must be " + e.want
	}
	return strings.TrimPrefix(oneLine(e.path), ".") + " must be " + e.want
}

// inside puts a member's name before the path of an error.
func inside(name string, err error) error {
	if shape, ok := err.(*shapeError); ok {
		return &shapeError{"." + name + shape.path, shape.want}
	}
	return err
}

// at puts an index before the path of an error.
func at(index int, err error) error {
	if shape, ok := err.(*shapeError); ok {
		return &shapeError{"[" + strconv.Itoa(index) + "]" + shape.path, shape.want}
	}
	return err
}

func mustBe(want string) error { return &shapeError{want: want} }

// decodeFunc reads one value that is not null into v.
type decodeFunc func(c *cursor, v reflect.Value) error

// selfDecoder is a type that reads its own form: a union, or a member that comes
// in two shapes.
type selfDecoder interface {
	decodeWire(k *codec, raw string) error
}

// decode reads one JSON text into what v points to.
func (k *codec) decode(text string, v any) error {
	c := cursor{text: text}
	if err := k.into(&c, reflect.ValueOf(v).Elem()); err != nil {
		return err
	}
	return c.end()
}

// into reads the next value, which may not be null, into v.
func (k *codec) into(c *cursor, v reflect.Value) error {
	decode, ok := k.whole.Load(v.Type())
	if !ok {
		decode, _ = k.whole.LoadOrStore(v.Type(), k.decoder(v.Type(), rules{}))
	}
	return decode.(decodeFunc)(c, v)
}

// decoder makes the function that reads a type under the rules of its field.
func (k *codec) decoder(t reflect.Type, r rules) decodeFunc {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[selfDecoder]()) {
		return k.decodeSelf
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[slotted]()) {
		inner := k.decoder(slotType(t), r)
		return func(c *cursor, v reflect.Value) error {
			value, set := v.Addr().Interface().(slotted).slot()
			*set = true
			return inner(c, reflect.ValueOf(value).Elem())
		}
	}
	switch t {
	case reflect.TypeFor[json.RawMessage]():
		return r.raw
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
		return func(c *cursor, v reflect.Value) error { return k.decodeStruct(c, v, k.plan(t)) }
	case reflect.Pointer:
		inner := k.decoder(t.Elem(), r)
		return func(c *cursor, v reflect.Value) error {
			v.Set(reflect.New(t.Elem()))
			return inner(c, v.Elem())
		}
	case reflect.Slice:
		return k.sliceDecoder(t, r)
	}
	return func(*cursor, reflect.Value) error { panic(fmt.Sprintf("sdk: %v cannot be read from an answer", t)) }
}

func (k *codec) decodeSelf(c *cursor, v reflect.Value) error {
	c.space()
	start := c.at
	if err := c.skip(0); err != nil {
		return err
	}
	return v.Addr().Interface().(selfDecoder).decodeWire(k, c.text[start:c.at])
}

func (k *codec) sliceDecoder(t reflect.Type, r rules) decodeFunc {
	decode := k.decoder(t.Elem(), rules{enum: r.enum})
	return func(c *cursor, v reflect.Value) error {
		if c.peek() != '[' {
			return mustBe("an array")
		}
		out := reflect.MakeSlice(t, 0, 0)
		err := c.elements(func(i int) error {
			item := reflect.New(t.Elem()).Elem()
			if err := decode(c, item); err != nil {
				return at(i, err)
			}
			out = reflect.Append(out, item)
			return nil
		})
		if err == nil && r.nonEmpty && out.Len() == 0 {
			return mustBe("a non-empty array")
		}
		v.Set(out)
		return err
	}
}

func (k *codec) decodeStruct(c *cursor, v reflect.Value, p *structPlan) error {
	if c.peek() != '{' {
		return mustBe("an object")
	}
	start := *c
	var seen uint64
	next := 0
	err := c.members(func(name string) error {
		i := p.find(name, next)
		if i < 0 {
			return p.unknown(c, v, name)
		}
		next = i + 1
		if seen&(1<<i) != 0 {
			v.Field(p.fields[i].index).SetZero() // of a name that comes twice, the last counts
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

// complete checks what was not there: required members are missed, lists and maps
// become empty rather than nil, so that they print and encode as what they are.
func (p *structPlan) complete(v reflect.Value, seen uint64) error {
	missing := p.needs &^ seen
	for i := range p.fields {
		f := &p.fields[i]
		if missing&(1<<i) != 0 {
			return inside(f.name, mustBe("present"))
		}
		if f.many && seen&(1<<i) == 0 {
			emptyMany(v.Field(f.index))
		}
	}
	return nil
}

// read reads one member, null included.
func (f *fieldPlan) read(c *cursor, v reflect.Value) error {
	field := v.Field(f.index)
	if c.peek() != 'n' {
		return inside(f.name, f.decode(c, field))
	}
	if err := c.word("null"); err != nil {
		return err
	}
	if f.presence == required || f.presence == optional {
		return inside(f.name, mustBe("other than null"))
	}
	if f.many {
		emptyMany(field)
		return nil
	}
	field.SetZero() // null is not the default of what is absent
	return nil
}

func emptyMany(v reflect.Value) {
	if v.Kind() == reflect.Map {
		v.Set(reflect.MakeMap(v.Type()))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
}

// unknown keeps or drops a member that the struct does not name.
func (p *structPlan) unknown(c *cursor, v reflect.Value, name string) error {
	c.space()
	start := c.at
	if err := c.skip(0); err != nil {
		return err
	}
	if p.extra < 0 || p.owns(name) {
		return nil
	}
	extra := v.Field(p.extra).Addr().Interface().(*Extra)
	if *extra == nil {
		*extra = Extra{}
	}
	(*extra)[strings.Clone(name)] = NewSecret(strings.Clone(c.text[start:c.at]))
	return nil
}
