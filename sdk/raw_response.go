package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// RawResponse is the answer of an experimental call whose shape no source tells.
type RawResponse struct {
	Meta
	Body json.RawMessage // nil for HTTP 204
}

// String is the status, and the JSON without the values of sensitive names.
func (a RawResponse) String() string { return fmt.Sprintf("HTTP %d: %s", a.Status, wire.Shown(a.Body)) }

// GoString is String.
func (a RawResponse) GoString() string { return "sdk.RawResponse(" + a.String() + ")" }

// LogValue makes slog print String.
func (a RawResponse) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON is the redacted form too: results are logged as JSON.
func (a RawResponse) MarshalJSON() ([]byte, error) { return wire.Shown(a.Body), nil }

// raw performs a call and returns its JSON as it came.
func (r *call) raw(ctx context.Context) (*RawResponse, error) {
	a, err := r.send(ctx)
	if err != nil {
		return nil, err
	}
	out := &RawResponse{Meta: a.Meta}
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
