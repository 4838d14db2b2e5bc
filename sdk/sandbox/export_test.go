package sandbox

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Operations are the server's routes, "METHOD /pattern", for tests that must try
// them all.
func (s *Server) Operations() (out []string) {
	for _, r := range s.routes() {
		out = append(out, r.method+" "+r.pattern)
	}
	return out
}

// Collection is one of the state's tables or rings: what it holds and may hold.
type Collection struct{ Len, Limit int }

// Collections finds every table and ring of the state by its type, so that a new
// one cannot be forgotten; a collection of any other kind is named in strange.
func (s *Server) Collections() (found map[string]Collection, strange []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found = map[string]Collection{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[state]()) {
		v := reflect.ValueOf(&s.st).Elem().FieldByIndex(f.Index)
		switch kind := f.Type.Name(); {
		case strings.HasPrefix(kind, "table["):
			found[f.Name] = Collection{v.FieldByName("rows").Len(), int(v.FieldByName("limit").Int())}
		case strings.HasPrefix(kind, "ring["):
			found[f.Name] = Collection{v.FieldByName("values").Len(), int(v.FieldByName("size").Int())}
		case f.Type.Kind() == reflect.Map, f.Type.Kind() == reflect.Slice:
			strange = append(strange, f.Name)
		}
	}
	return found, strange
}

// ParseScript and WriteScript are for the fuzz test of the scenario file's form.
func ParseScript(b []byte) (Script, error) { return parseScript(b) }

func WriteScript(s Script) ([]byte, error) { return json.Marshal(fileOfScript(&s)) }
