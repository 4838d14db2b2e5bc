package sandbox

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Operations lists the server's routes as "METHOD /pattern", for tests that cover all of them.
func (s *Server) Operations() (out []string) {
	for _, r := range s.routes() {
		out = append(out, r.method+" "+r.pattern)
	}
	return out
}

// Collection is the size and limit of one table or ring of the state.
type Collection struct{ Len, Limit int }

// Collections finds every table and ring of the state by its type, so that a new one cannot be
// forgotten. Collections of other types are returned in unknown.
func (s *Server) Collections() (found map[string]Collection, unknown []string) {
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
			unknown = append(unknown, f.Name)
		}
	}
	return found, unknown
}

// ParseScript and WriteScript are for the fuzz test of the scenario file format.
func ParseScript(b []byte) (Script, error) { return parseScript(b) }

func WriteScript(s Script) ([]byte, error) { return json.Marshal(fileOfScript(&s)) }

// ChallengeText is challengeText, for tests.
func ChallengeText(title string, lines []string) string { return challengeText(title, lines) }

// SignToken returns a pairing token that ends in 2100.
func SignToken(key []byte) (string, error) {
	return signToken(sessionClaims{MachineID: "m", PairingID: "p", SessionID: "s", ID: "t", ExpiresAt: 4102444800}, key)
}

// ReadToken returns why a pairing token is not accepted.
func ReadToken(token string, key []byte) error {
	_, err := readToken(token, key)
	return err
}
