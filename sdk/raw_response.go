package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// RawResponse is the response to an experimental call whose shape is not documented.
type RawResponse struct {
	Meta
	Body json.RawMessage // nil for HTTP 204
}

// String is the status, and the JSON without the values of sensitive members.
func (r RawResponse) String() string {
	return fmt.Sprintf("HTTP %d: %s", r.Status, wire.Shown(r.Body))
}

// GoString is String.
func (r RawResponse) GoString() string { return "sdk.RawResponse(" + r.String() + ")" }

// LogValue makes slog print String.
func (r RawResponse) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON writes the redacted JSON, because results are logged as JSON.
func (r RawResponse) MarshalJSON() ([]byte, error) { return wire.Shown(r.Body), nil }

// UnmarshalJSON reads JSON that holds no redacted value. What MarshalJSON has redacted is
// ErrRedacted, because the value is lost.
func (r *RawResponse) UnmarshalJSON(data []byte) error {
	if strings.Contains(string(data), `"`+wire.Redacted+`"`) {
		return ErrRedacted
	}
	*r = RawResponse{Body: bytes.Clone(data)}
	return nil
}

// raw performs a call and returns its JSON unchanged.
func (r *call) raw(ctx context.Context) (*RawResponse, error) {
	res, err := r.send(ctx)
	if err != nil {
		return nil, err
	}
	out := &RawResponse{Meta: res.Meta}
	if res.empty {
		return out, nil
	}
	err = res.text(func(body string) error {
		out.Body = json.RawMessage(body)
		return anyJSON(body)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
