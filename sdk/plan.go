package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// codec turns request structs into JSON and JSON into result structs, by plans
// that are made once per type from the struct's own tags:
//
//	json:"name"            the wire name; "-" is not of the wire
//	json:"name,omitzero"   left out of a request when zero
//	wire:"req"             must be there and not null
//	wire:"opt"             may be absent, not null
//	wire:"null"            must be there, may be null
//	wire:"optnull"         may be absent or null; what a field without a tag is
//	wire:"-"               not read: the member goes where unknown ones go
//	wire:"extra"           takes the members that no field names
//	wire:"…,nonempty"      a string is not empty, an array has an element
//	wire:"…,each"          the strings of an array are not empty
//	wire:"…,object"        a raw value is an object
//	wire:"…,loose"         a raw value that is no object reads as none
//	wire:"…,int"           an integer is written without fraction or exponent
//	wire:"…,false"         a boolean is false
//	enum:"a b c"           a string, or each string of an array, is one of these
//	onem2m:"…"             the rules of wire for the strict oneM2M form (contract §2.18)
//
// A type with onem2m tags has its enum values checked in that form alone.
//
// The codec exists because encoding/json cannot tell what the contract asks to
// tell (absent, null, missing, another spelling), and because reading a page with
// it takes three times as long.
type codec struct {
	strict bool     // follows the onem2m tags of types that have them
	plans  sync.Map // reflect.Type → *structPlan
	whole  sync.Map // reflect.Type → decodeFunc, for what is decoded by itself
}

type presence uint8

const (
	optNull presence = iota
	required
	optional
	nullable
)

// rules are what the tags of one field ask for.
type rules struct {
	presence                                   presence
	nonEmpty, each, object, loose, integer, no bool
	enum                                       []string
}

type fieldPlan struct {
	rules
	name     string
	index    int
	omitZero bool
	skipRead bool
	many     bool        // an array or map: absent and null read as empty
	inline   *structPlan // an embedded struct, whose members are ours
	decode   decodeFunc
	encode   encodeFunc
}

type structPlan struct {
	fields []fieldPlan
	extra  int    // index of the field that takes what is left over, or -1
	needs  uint64 // bits of the fields that must be there
	inline bool   // some field is embedded
}

func (k *codec) plan(t reflect.Type) *structPlan {
	if p, ok := k.plans.Load(t); ok {
		return p.(*structPlan)
	}
	tag := "wire"
	twofold := false
	for i := range t.NumField() {
		if _, ok := t.Field(i).Tag.Lookup("onem2m"); ok {
			twofold = true
		}
	}
	if twofold && k.strict {
		tag = "onem2m"
	}
	p := &structPlan{extra: -1}
	for i := range t.NumField() {
		k.addField(p, t.Field(i), i, tag, !twofold || k.strict)
	}
	if len(p.fields) > 64 {
		panic(fmt.Sprintf("sdk: %v has more than 64 fields", t))
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

func (k *codec) addField(p *structPlan, field reflect.StructField, i int, tag string, checkEnum bool) {
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
	f.skipRead = text == "-" || (tag == "onem2m" && !tagged)
	if !f.skipRead {
		f.rules = parseRules(text)
	}
	if checkEnum {
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
		default:
			panic("sdk: unknown rule " + rule)
		}
	}
	return r
}

// find looks a member's name up. Members mostly come in the order of the struct,
// so the search starts where the last one ended.
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

// owns tells whether the struct or one that it embeds names a member.
func (p *structPlan) owns(name string) bool {
	return slices.ContainsFunc(p.fields, func(f fieldPlan) bool {
		return f.inline != nil && f.inline.owns(name) || f.inline == nil && f.name == name && !f.skipRead
	})
}
