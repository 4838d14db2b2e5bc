package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
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
	return strings.TrimPrefix(e.path, ".") + " must be " + e.want
}

// inside puts a member's name before the path of an error.
func inside(name string, err error) error {
	if shape, ok := err.(*shapeError); ok {
		return &shapeError{"." + name + shape.path, shape.want}
	}
	return err
}

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

// decode reads one JSON text into the struct that v points to.
func (k *codec) decode(text string, v any) error {
	c := cursor{text: text}
	if err := k.into(&c, reflect.ValueOf(v).Elem()); err != nil {
		return err
	}
	return c.end()
}

// into reads the next value, which may not be null, into v.
func (k *codec) into(c *cursor, v reflect.Value) error {
	return k.decoder(v.Type(), &fieldPlan{})(c, v)
}

// decoder makes the function that reads a type. f carries the rules of the field.
func (k *codec) decoder(t reflect.Type, f *fieldPlan) decodeFunc {
	nonEmpty, enum, integer, object := f.nonEmpty, f.enum, f.integer, f.object
	if reflect.PointerTo(t).Implements(reflect.TypeFor[selfDecoder]()) {
		return k.decodeSelf
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[slotted]()) {
		inner := k.decoder(slotType(t), f)
		return func(c *cursor, v reflect.Value) error {
			value, set := v.Addr().Interface().(slotted).slot()
			*set = true
			return inner(c, reflect.ValueOf(value).Elem())
		}
	}
	switch t {
	case reflect.TypeFor[json.RawMessage]():
		return func(c *cursor, v reflect.Value) error { return decodeRaw(c, v, object) }
	case reflect.TypeFor[json.Number]():
		return decodeNumber
	case reflect.TypeFor[Secret]():
		return func(c *cursor, v reflect.Value) error { return decodeSecret(c, v, nonEmpty) }
	case reflect.TypeFor[[]string]():
		return func(c *cursor, v reflect.Value) error { return decodeStrings(c, v, nonEmpty) }
	case reflect.TypeFor[map[string]string]():
		return decodeStringMap
	}
	switch t.Kind() {
	case reflect.String:
		return func(c *cursor, v reflect.Value) error { return decodeString(c, v, nonEmpty, enum) }
	case reflect.Bool:
		return decodeBool
	case reflect.Int, reflect.Int64:
		return func(c *cursor, v reflect.Value) error { return decodeInt(c, v, integer) }
	case reflect.Struct:
		return func(c *cursor, v reflect.Value) error { return k.decodeStruct(c, v, k.plan(t)) }
	case reflect.Pointer:
		return func(c *cursor, v reflect.Value) error {
			v.Set(reflect.New(t.Elem()))
			return k.into(c, v.Elem())
		}
	case reflect.Slice:
		return k.sliceDecoder(t, f)
	case reflect.Map:
		return k.mapDecoder(t)
	}
	panic(fmt.Sprintf("sdk: %v cannot be read from an answer", t))
}

func (k *codec) decodeSelf(c *cursor, v reflect.Value) error {
	c.space()
	start := c.at
	if err := c.skip(0); err != nil {
		return err
	}
	return v.Addr().Interface().(selfDecoder).decodeWire(k, c.text[start:c.at])
}

func decodeString(c *cursor, v reflect.Value, nonEmpty bool, enum []string) error {
	if c.peek() != '"' {
		return mustBe("a string")
	}
	s, err := c.str()
	if err != nil {
		return err
	}
	if nonEmpty && s == "" {
		return mustBe("a non-empty string")
	}
	if len(enum) > 0 && !slices.Contains(enum, s) {
		return mustBe("one of " + strings.Join(enum, ", "))
	}
	v.SetString(s)
	return nil
}

func decodeBool(c *cursor, v reflect.Value) error {
	switch c.peek() {
	case 't':
		v.SetBool(true)
		return c.word("true")
	case 'f':
		v.SetBool(false)
		return c.word("false")
	}
	return mustBe("a boolean")
}

// decodeInt takes 90.0 and 9e1 for 90 unless strict.
func decodeInt(c *cursor, v reflect.Value, strict bool) error {
	if b := c.peek(); b != '-' && (b < '0' || b > '9') {
		return mustBe("an integer")
	}
	literal, err := c.number()
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(literal, 10, 64)
	if err != nil {
		x, ferr := strconv.ParseFloat(literal, 64)
		if strict || ferr != nil || x != float64(int64(x)) || x > 1<<53 || x < -1<<53 {
			return mustBe("an integer")
		}
		n = int64(x)
	}
	v.SetInt(n)
	return nil
}

func decodeNumber(c *cursor, v reflect.Value) error {
	if b := c.peek(); b != '-' && (b < '0' || b > '9') {
		return mustBe("a number")
	}
	literal, err := c.number()
	v.SetString(literal)
	return err
}

func decodeSecret(c *cursor, v reflect.Value, nonEmpty bool) error {
	if c.peek() != '"' {
		return mustBe("a string")
	}
	s, err := c.str()
	if err != nil {
		return err
	}
	if nonEmpty && s == "" {
		return mustBe("a non-empty string")
	}
	*v.Addr().Interface().(*Secret) = NewSecret(strings.Clone(s))
	return nil
}

func decodeRaw(c *cursor, v reflect.Value, object bool) error {
	if object && c.peek() != '{' {
		return mustBe("an object")
	}
	c.space()
	start := c.at
	if err := c.skip(0); err != nil {
		return err
	}
	v.SetBytes([]byte(c.text[start:c.at]))
	return nil
}

func decodeStrings(c *cursor, v reflect.Value, nonEmpty bool) error {
	if c.peek() != '[' {
		return mustBe("an array of strings")
	}
	out := []string{}
	err := c.elements(func(int) error {
		if c.peek() != '"' {
			return mustBe("an array of strings")
		}
		s, err := c.str()
		out = append(out, s)
		return err
	})
	if err == nil && nonEmpty && len(out) == 0 {
		return mustBe("an array of at least one string")
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
		if c.peek() != '"' {
			return inside(name, mustBe("a string"))
		}
		s, err := c.str()
		out[name] = s
		return err
	})
	*v.Addr().Interface().(*map[string]string) = out
	return err
}

func (k *codec) sliceDecoder(t reflect.Type, f *fieldPlan) decodeFunc {
	element, nonEmpty := t.Elem(), f.nonEmpty
	return func(c *cursor, v reflect.Value) error {
		if c.peek() != '[' {
			return mustBe("an array")
		}
		decode := k.decoder(element, &fieldPlan{enum: f.enum})
		out := reflect.MakeSlice(t, 0, 0)
		err := c.elements(func(i int) error {
			item := reflect.New(element).Elem()
			if err := decode(c, item); err != nil {
				return at(i, err)
			}
			out = reflect.Append(out, item)
			return nil
		})
		if err == nil && nonEmpty && out.Len() == 0 {
			return mustBe("an array of at least one element")
		}
		v.Set(out)
		return err
	}
}

func (k *codec) mapDecoder(t reflect.Type) decodeFunc {
	return func(c *cursor, v reflect.Value) error {
		if c.peek() != '{' {
			return mustBe("an object")
		}
		out := reflect.MakeMap(t)
		err := c.members(func(name string) error {
			item := reflect.New(t.Elem()).Elem()
			if err := k.into(c, item); err != nil {
				return inside(name, err)
			}
			out.SetMapIndex(reflect.ValueOf(name), item)
			return nil
		})
		v.Set(out)
		return err
	}
}

func (k *codec) decodeStruct(c *cursor, v reflect.Value, p *structPlan) error {
	if c.peek() != '{' {
		return mustBe("an object")
	}
	start, nested := *c, false
	var seen uint64
	next := 0
	err := c.members(func(name string) error {
		i := p.find(name, next)
		if i < 0 {
			return k.unknown(c, v, p, name)
		}
		next = i + 1
		seen |= 1 << i
		return decodeField(c, v, &p.fields[i])
	})
	if err != nil {
		return err
	}
	for i := range p.fields {
		f := &p.fields[i]
		nested = nested || f.inline != nil
		if f.many && seen&(1<<i) == 0 {
			emptyMany(v.Field(f.index))
		}
	}
	if missing := p.needs &^ seen; missing != 0 {
		for i := range p.fields {
			if missing&(1<<i) != 0 {
				return inside(p.fields[i].name, mustBe("present"))
			}
		}
	}
	if !nested {
		return nil
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

func decodeField(c *cursor, v reflect.Value, f *fieldPlan) error {
	if c.peek() == 'n' {
		if err := c.word("null"); err != nil {
			return err
		}
		if f.presence == required || f.presence == optional {
			return inside(f.name, mustBe("other than null"))
		}
		if f.many {
			emptyMany(v.Field(f.index))
		}
		return nil
	}
	if err := f.decode(c, v.Field(f.index)); err != nil {
		return inside(f.name, err)
	}
	return nil
}

// emptyMany makes an absent array or map empty rather than nil, so that it prints
// and encodes as what the contract says it is.
func emptyMany(v reflect.Value) {
	if v.Kind() == reflect.Map {
		v.Set(reflect.MakeMap(v.Type()))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
}

// unknown keeps or drops a member that the struct does not name.
func (k *codec) unknown(c *cursor, v reflect.Value, p *structPlan, name string) error {
	c.space()
	start := c.at
	if err := c.skip(0); err != nil {
		return err
	}
	if p.extra < 0 {
		return nil
	}
	extra := v.Field(p.extra).Addr().Interface().(*Extra)
	if *extra == nil {
		*extra = Extra{}
	}
	(*extra)[strings.Clone(name)] = json.RawMessage(c.text[start:c.at])
	return nil
}
