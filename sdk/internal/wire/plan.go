package wire

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Codec encodes request structs and decodes result structs, by plans that are made
// once per type from the struct's own tags:
//
//	json:"name"            the wire name; "-" is not part of the wire form
//	json:"name,omitzero"   omitted from a request when zero
//	wire:"req"             must be present and not null
//	wire:"opt"             may be absent, not null
//	wire:"null"            must be present, may be null
//	wire:"optnull"         may be absent or null; the default
//	wire:"-"               not read: the member counts as unknown
//	wire:"extra"           receives the members that no field names
//	wire:"…,nonempty"      a string is not empty, an array has an element
//	wire:"…,each"          the strings of an array are not empty
//	wire:"…,object"        a raw value is an object
//	wire:"…,loose"         a raw value that is not an object reads as nil
//	wire:"…,int"           an integer is written without fraction or exponent
//	wire:"…,false"         a boolean is false
//	wire:"…,open"          the enum is not checked with [Options.OpenStatus]
//	enum:"a b c"           a string, or each string of an array, is one of these
//
// A field may have a second tag with the rules of a stricter form, see
// [Options.StrictTag].
//
// A Codec is safe for concurrent use.
type Codec struct {
	options Options
	plans   sync.Map // reflect.Type → *structPlan
	whole   sync.Map // reflect.Type → decodeFunc, for values that are decoded on their own
}

// Options configure a [Codec].
type Options struct {
	// StrictTag is a second tag with the syntax of wire. If a type has it on any field,
	// the type has two forms: the lax form follows wire and ignores enum; the strict
	// form follows StrictTag and enum, and does not read fields without it.
	StrictTag string

	// Strict selects the strict form of such types.
	Strict bool

	// OpenStatus accepts any string that is not empty for a field with the rule open, whose known values are
	// in its enum.
	OpenStatus bool

	// RefuseEmptyNumbers makes an empty json.Number an error instead of 0, which is a limit
	// of nothing where no limit was meant.
	RefuseEmptyNumbers bool

	// Decoder returns the function that decodes values of type t, or nil for types that
	// are decoded by their tags. It is called when a plan is made, not for every value. The
	// function receives a pointer to the value, and the text of one JSON value that is not
	// null.
	Decoder func(t reflect.Type) DecodeFunc

	// Replace returns the value to encode instead of v and true, or false to encode v
	// itself. It is called for values in pointers and interfaces.
	Replace func(v any) (any, bool)
}

// DecodeFunc decodes raw into v, a pointer. k decodes the parts of the value.
type DecodeFunc func(k *Codec, v any, raw string) error

// New makes a Codec.
func New(o Options) *Codec { return &Codec{options: o} }

// Raw is the text of a JSON value of any kind. Absent and null are "".
type Raw string

type presence uint8

const (
	optNull presence = iota
	required
	optional
	nullable
)

// rules are the rules in the tags of one field.
type rules struct {
	presence                                   presence
	nonEmpty, each, object, loose, integer, no bool
	open                                       bool
	enum                                       []string
}

type fieldPlan struct {
	rules
	name     string
	index    int
	omitZero bool
	skipRead bool
	many     bool        // an array or map: absent and null read as empty
	inline   *structPlan // an embedded struct, whose members belong to this one
	decode   decodeFunc
	encode   encodeFunc
}

type structPlan struct {
	fields []fieldPlan
	extra  int    // index of the field for unknown members, or -1
	needs  uint64 // bits of the fields that must be present
	inline bool   // some field is embedded
}

func (k *Codec) plan(t reflect.Type) *structPlan {
	if p, ok := k.plans.Load(t); ok {
		return p.(*structPlan)
	}
	tag := "wire"
	twoForms := k.hasTwoForms(t)
	strict := twoForms && k.options.Strict
	if strict {
		tag = k.options.StrictTag
	}
	p := &structPlan{extra: -1}
	for i := range t.NumField() {
		k.addField(p, t.Field(i), i, tag, strict || !twoForms)
	}
	if len(p.fields) > 64 {
		panic(fmt.Sprintf("wire: %v has more than 64 fields", t))
	}
	for i, f := range p.fields {
		if f.presence == required || f.presence == nullable {
			p.needs |= 1 << i
		}
		p.inline = p.inline || f.inline != nil
	}
	actual, _ := k.plans.LoadOrStore(t, p)
	return actual.(*structPlan)
}

// hasTwoForms reports whether any field of t has the strict form's tag.
func (k *Codec) hasTwoForms(t reflect.Type) bool {
	if k.options.StrictTag == "" {
		return false
	}
	for i := range t.NumField() {
		if _, ok := t.Field(i).Tag.Lookup(k.options.StrictTag); ok {
			return true
		}
	}
	return false
}

func (k *Codec) addField(p *structPlan, field reflect.StructField, i int, tag string, checkEnum bool) {
	name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
	if field.Tag.Get("wire") == "extra" {
		p.extra = i
		return
	}
	if name == "-" || !field.IsExported() {
		return
	}
	f := fieldPlan{name: name, index: i, omitZero: options == "omitzero"}
	if field.Anonymous && name == "" {
		f.inline = k.plan(field.Type)
		p.fields = append(p.fields, f)
		return
	}
	text, tagged := field.Tag.Lookup(tag)
	f.skipRead = text == "-" || (tag != "wire" && !tagged)
	if !f.skipRead {
		f.rules = parseRules(text)
	}
	switch {
	case f.open && k.options.OpenStatus:
		f.nonEmpty = true
	case checkEnum:
		f.enum = strings.Fields(field.Tag.Get("enum"))
	}
	kind := field.Type.Kind()
	f.many = (kind == reflect.Slice || kind == reflect.Map) && field.Type != reflect.TypeFor[json.RawMessage]()
	f.decode = k.decoder(field.Type, f.rules)
	f.encode = k.encoder(field.Type)
	p.fields = append(p.fields, f)
}

func parseRules(text string) rules {
	var r rules
	for rule := range strings.SplitSeq(text, ",") {
		switch rule {
		case "req":
			r.presence = required
		case "opt":
			r.presence = optional
		case "null":
			r.presence = nullable
		case "optnull", "":
		case "nonempty":
			r.nonEmpty = true
		case "each":
			r.each = true
		case "object":
			r.object = true
		case "loose":
			r.loose = true
		case "int":
			r.integer = true
		case "false":
			r.no = true
		case "open":
			r.open = true
		default:
			panic("wire: unknown rule " + rule)
		}
	}
	return r
}

// find returns the index of a member's field, or -1. Members mostly come in the order
// of the struct, so the search starts where the last one ended.
func (p *structPlan) find(name string, from int) int {
	for i := from; i < len(p.fields); i++ {
		if p.fields[i].name == name && !p.fields[i].skipRead && p.fields[i].inline == nil {
			return i
		}
	}
	return slices.IndexFunc(p.fields[:min(from, len(p.fields))], func(f fieldPlan) bool {
		return f.name == name && !f.skipRead && f.inline == nil
	})
}

// owns reports whether the struct, or one that it embeds, names a member.
func (p *structPlan) owns(name string) bool {
	return slices.ContainsFunc(p.fields, func(f fieldPlan) bool {
		return f.inline != nil && f.inline.owns(name) || f.inline == nil && f.name == name && !f.skipRead
	})
}
