package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"
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
//	wire:"optnull"         may be absent or null
//	wire:"…,nonempty"      a string that is there is not empty, an array has an element
//	wire:"…,object"        a raw value that is there is an object
//	wire:"…,int"           an integer written without fraction or exponent
//	wire:"extra"           takes the members that no field names
//	enum:"a b c"           one of these, in answers that the contract decodes strictly
//
// A field without a wire tag is optnull. The codec exists because encoding/json
// cannot tell what the contract asks to tell (absent, null, missing, another
// spelling), and because reading a page with it costs three times as much.
type codec struct {
	plans sync.Map // reflect.Type → *structPlan
}

type presence uint8

const (
	optNull presence = iota
	required
	optional
	nullable
)

type fieldPlan struct {
	name     string
	index    int
	presence presence
	nonEmpty bool
	object   bool
	integer  bool
	omitZero bool
	enum     []string
	decode   decodeFunc
	encode   encodeFunc
	inline   *structPlan // an embedded struct: its members are ours
	many     bool        // an array or map: null reads as empty
}

type structPlan struct {
	fields []fieldPlan
	extra  int // index of the field that takes what is left over, or -1
	needs  uint64
}

// rawMessage, number and secret are types with a form of their own.
func (c *codec) plan(t reflect.Type) *structPlan {
	if p, ok := c.plans.Load(t); ok {
		return p.(*structPlan)
	}
	p := &structPlan{extra: -1}
	for i := range t.NumField() {
		c.addField(p, t, i)
	}
	if len(p.fields) > 64 {
		panic(fmt.Sprintf("sdk: %v has more than 64 fields", t))
	}
	for i, f := range p.fields {
		if f.presence == required || f.presence == nullable {
			p.needs |= 1 << i
		}
	}
	actual, _ := c.plans.LoadOrStore(t, p)
	return actual.(*structPlan)
}

func (c *codec) addField(p *structPlan, t reflect.Type, i int) {
	field := t.Field(i)
	name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
	rules := strings.Split(field.Tag.Get("wire"), ",")
	if rules[0] == "extra" {
		p.extra = i
		return
	}
	if name == "-" || !field.IsExported() {
		return
	}
	f := fieldPlan{name: name, index: i, omitZero: options == "omitzero", enum: strings.Fields(field.Tag.Get("enum"))}
	if field.Anonymous && name == "" {
		f.inline = c.plan(field.Type)
		p.fields = append(p.fields, f)
		return
	}
	for _, rule := range rules {
		switch rule {
		case "req":
			f.presence = required
		case "opt":
			f.presence = optional
		case "null":
			f.presence = nullable
		case "optnull", "":
			f.presence = optNull
		case "nonempty":
			f.nonEmpty = true
		case "object":
			f.object = true
		case "int":
			f.integer = true
		default:
			panic(fmt.Sprintf("sdk: %v.%s has the unknown rule %q", t, field.Name, rule))
		}
	}
	kind := field.Type.Kind()
	f.many = (kind == reflect.Slice || kind == reflect.Map) && field.Type != reflect.TypeFor[json.RawMessage]()
	f.decode = c.decoder(field.Type, &f)
	f.encode = c.encoder(field.Type)
	p.fields = append(p.fields, f)
}

// find looks a member's name up. Objects here have few members, mostly in the
// order of the struct, so the search starts where the last one ended.
func (p *structPlan) find(name string, from int) int {
	for i := from; i < len(p.fields); i++ {
		if p.fields[i].name == name && p.fields[i].inline == nil {
			return i
		}
	}
	for i := range min(from, len(p.fields)) {
		if p.fields[i].name == name && p.fields[i].inline == nil {
			return i
		}
	}
	return -1
}
