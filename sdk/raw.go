package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// RawAnswer is the answer of an experimental call whose shape no source tells.
type RawAnswer struct {
	Meta
	Body json.RawMessage // nil for HTTP 204
}

// String is the status, and the JSON without the values of sensitive names.
func (a RawAnswer) String() string { return fmt.Sprintf("HTTP %d: %s", a.Status, wire.Shown(a.Body)) }

// GoString is String.
func (a RawAnswer) GoString() string { return "sdk.RawAnswer(" + a.String() + ")" }

// LogValue makes slog print String.
func (a RawAnswer) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON is the redacted form too: results are logged as JSON.
func (a RawAnswer) MarshalJSON() ([]byte, error) { return wire.Shown(a.Body), nil }

// raw performs a call and returns its JSON as it came.
func (r *call) raw(ctx context.Context) (*RawAnswer, error) {
	a, err := r.send(ctx)
	if err != nil {
		return nil, err
	}
	out := &RawAnswer{Meta: a.Meta}
	if a.empty {
		return out, nil
	}
	err = a.text(func(body string) error {
		out.Body = json.RawMessage(body)
		return anyJSON(body)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
