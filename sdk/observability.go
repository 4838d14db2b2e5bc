package sdk

import (
	"context"
	"encoding/json"
	"net/http"
)

// ObservabilityService asks how the orchestrator is and what happened (contract §2.21).
type ObservabilityService struct{ c *Client }

// Health returns nil when the orchestrator answers {"ok": true}.
//
// GET /health
func (s *ObservabilityService) Health(ctx context.Context) error {
	var out struct {
		OK *bool `json:"ok"`
	}
	meta, err := s.c.do(ctx, call{method: http.MethodGet, path: "/health", auth: authNone}, &out)
	if err != nil {
		return err
	}
	if out.OK == nil || !*out.OK {
		return shapeFault(&shapeError{"ok"}, meta)
	}
	return nil
}

// Readiness is the orchestrator's word on its own parts.
type Readiness struct {
	Status string           `json:"status"` // ready, not_ready
	Checks []ReadinessCheck `json:"checks"`
}

func (r *Readiness) UnmarshalJSON(b []byte) error {
	type plain Readiness
	return decodeObject(b, (*plain)(r), "status")
}

// ReadinessCheck is one part of it.
type ReadinessCheck struct {
	Name    string `json:"name"`
	Status  string `json:"status"` // pass, fail
	Message string `json:"message"`
}

func (r *ReadinessCheck) UnmarshalJSON(b []byte) error {
	type plain ReadinessCheck
	return decodeObject(b, (*plain)(r), "name", "status")
}

// Readiness asks whether the orchestrator can work.
//
// GET /readiness
func (s *ObservabilityService) Readiness(ctx context.Context) (*Readiness, error) {
	var out Readiness
	if _, err := s.c.do(ctx, call{method: http.MethodGet, path: "/readiness", auth: authNone}, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// AuditEvent is one thing that changed something.
type AuditEvent struct {
	ID           string          `json:"id"`
	Actor        string          `json:"actor"`
	Type         string          `json:"type"`
	ResourceType string          `json:"resourceType"`
	ResourceID   string          `json:"resourceId"`
	CreatedAt    string          `json:"createdAt"`
	Payload      json.RawMessage `json:"payload"`
}

func (e *AuditEvent) UnmarshalJSON(b []byte) error {
	type plain AuditEvent
	return decodeObject(b, (*plain)(e), "id", "actor", "type", "resourceType", "resourceId", "createdAt")
}

// AuditOptions selects audit events; the API binds no cursor here.
type AuditOptions struct {
	MachineID    string
	ResourceType string
	Limit        int // 1 to 500; 0 leaves it to the server
}

// AuditEvents lists the newest audit events.
//
// GET /audit-events
func (s *ObservabilityService) AuditEvents(ctx context.Context, o AuditOptions) ([]AuditEvent, error) {
	q, err := ListOptions{Limit: o.Limit}.query()
	if err != nil {
		return nil, err
	}
	for name, v := range map[string]string{"machineId": o.MachineID, "resourceType": o.ResourceType} {
		if v != "" {
			q.Set(name, v)
		}
	}
	var p Page[AuditEvent]
	if _, err := s.c.do(ctx, call{method: http.MethodGet, path: "/audit-events", query: q, auth: authPlatform}, &p); err != nil {
		return nil, err
	}
	return p.Items, nil
}
