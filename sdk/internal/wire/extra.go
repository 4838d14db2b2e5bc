package wire

import (
	"encoding/json"
	"log/slog"
)

// ExtraFields holds the members of an object that its type does not name, as JSON text
// by member name. What they contain is not known, so each is a [Secret] until Reveal is
// called. The printed form is JSON without the values of sensitive members, at any depth.
type ExtraFields map[string]Secret

// String is the redacted JSON.
func (e ExtraFields) String() string {
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
func (e ExtraFields) GoString() string { return "sdk.ExtraFields(" + e.String() + ")" }

// LogValue makes slog print String.
func (e ExtraFields) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalJSON writes the redacted JSON, because results are logged as JSON.
func (e ExtraFields) MarshalJSON() ([]byte, error) { return []byte(e.String()), nil }
