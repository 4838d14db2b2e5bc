package wire

import (
	"encoding/json"
	"log/slog"
)

// Extra holds the members of an object that its type does not name, as JSON text
// by member name. What they contain is not known, so each is a [Secret] until Reveal is
// called. The printed form is JSON without the values of sensitive members, at any depth.
type Extra map[string]Secret

// String is the redacted JSON.
func (e Extra) String() string {
	members := make(map[string]json.RawMessage, len(e))
	for name, value := range e {
		members[name] = json.RawMessage(value.Reveal())
	}
	raw, err := json.Marshal(members)
	if err != nil { // a caller stored text that is not JSON
		return `"` + Redacted + `"`
	}
	return string(Shown(raw))
}

// GoString is String with the type's name.
func (e Extra) GoString() string { return "sdk.Extra(" + e.String() + ")" }

// LogValue makes slog print String.
func (e Extra) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalJSON writes the redacted JSON, because results are logged as JSON.
func (e Extra) MarshalJSON() ([]byte, error) { return []byte(e.String()), nil }
