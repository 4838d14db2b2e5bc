package sdk

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// ObservabilityService reports the health of the orchestrator and its audit log
// (contract §2.21).
type ObservabilityService struct{ c *Client }

type health struct {
	OK bool `json:"ok" wire:"req"`
}

// Health returns nil if the orchestrator reports that it is healthy. It sends no
// credentials.
//
// GET /health (contract §2.21)
func (s *ObservabilityService) Health(ctx context.Context) error {
	res, err := s.c.call(http.MethodGet, "/health").open().send(ctx)
	if err != nil {
		return err
	}
	return res.text(func(body string) error {
		var h health
		err := s.c.codec.Decode(body, &h)
		if err == nil && !h.OK {
			err = wire.Inside("ok", wire.MustBe("true"))
		}
		return err
	})
}

// Readiness reports whether the orchestrator can serve requests, part by part.
type Readiness struct {
	Meta   `json:"-"`
	Status string           `json:"status" wire:"req"` // ready, not_ready
	Checks []ReadinessCheck `json:"checks"`
}

// ReadinessCheck is one part of Readiness.
type ReadinessCheck struct {
	Name    string `json:"name" wire:"req"`
	Status  string `json:"status" wire:"req"` // pass, fail
	Message string `json:"message"`
}

// Readiness returns whether the orchestrator is ready. It sends no credentials. A
// service that is not ready may respond with 200 or 503; 503 is an APIError.
//
// GET /readiness (contract §2.21)
func (s *ObservabilityService) Readiness(ctx context.Context) (*Readiness, error) {
	out := new(Readiness)
	if err := s.c.call(http.MethodGet, "/readiness").open().whole(ctx, out); err != nil {
		return nil, err
	}
	return out, nil
}

// AuditEvent is one recorded change.
type AuditEvent struct {
	ID           string          `json:"id" wire:"req"`
	Actor        string          `json:"actor" wire:"req"`
	Type         string          `json:"type" wire:"req"` // such as machine.created
	ResourceType string          `json:"resourceType" wire:"req"`
	ResourceID   string          `json:"resourceId" wire:"req"`
	Payload      json.RawMessage `json:"payload" wire:"optnull,object"` // nil when absent
	CreatedAt    string          `json:"createdAt" wire:"req"`
}

// AuditOptions selects audit events.
type AuditOptions struct {
	MachineID    Optional[string]
	ResourceType Optional[string]
	Limit        Optional[int] // 1 to 500
}

// AuditEvents returns the latest events. The API takes no cursor here; whether NextCursor
// has a use is not known.
//
// GET /audit-events (contract §2.21)
func (s *ObservabilityService) AuditEvents(ctx context.Context, o AuditOptions) (*Page[AuditEvent], error) {
	r := s.c.call(http.MethodGet, "/audit-events").param("machineId", o.MachineID).param("resourceType", o.ResourceType)
	return list[AuditEvent](ctx, r.page(ListOptions{Limit: o.Limit}))
}
