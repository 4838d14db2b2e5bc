package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
)

// has tells a member that was sent from one that was not; null counts as not sent.
func (r *request) has(name string) bool {
	v, ok := r.body[name]
	return ok && string(v) != "null"
}

// text reads a string member; required means it must not be blank.
func (r *request) text(name string, required bool) (string, error) {
	s, err := textOf(r.body, name)
	if err == nil && required && strings.TrimSpace(s) == "" {
		err = invalid(name + " is required")
	}
	return s, err
}

func textOf(m map[string]json.RawMessage, name string) (string, error) {
	var s *string
	if raw, ok := m[name]; ok && json.Unmarshal(raw, &s) != nil {
		return "", invalid(name + " must be a string")
	}
	if s == nil {
		return "", nil
	}
	return *s, nil
}

// into decodes a member into v, if it was sent.
func (r *request) into(name string, v any) error {
	if r.has(name) && json.Unmarshal(r.body[name], v) != nil {
		return invalid(name + " has the wrong type")
	}
	return nil
}

func (r *request) object(name string) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	return m, r.into(name, &m)
}

// page cuts a list by limit and cursor. The cursor is opaque to clients; inside
// it names the place in the list.
func page[T any](r *request, all []T) (any, error) {
	limit, start := 100, 0
	q := r.URL.Query()
	if q.Has("limit") {
		n, err := strconv.Atoi(q.Get("limit"))
		if err != nil || n < 1 || n > 500 {
			return nil, invalid("limit must be an integer between 1 and 500")
		}
		limit = n
	}
	if q.Has("cursor") {
		b, err := base64.RawURLEncoding.DecodeString(q.Get("cursor"))
		n, nerr := strconv.Atoi(strings.TrimPrefix(string(b), "at:"))
		if err != nil || nerr != nil || !strings.HasPrefix(string(b), "at:") || n < 0 || n > len(all) {
			return nil, invalid("cursor is not one of ours")
		}
		start = n
	}
	end := min(start+limit, len(all))
	out := map[string]any{"items": append([]T{}, all[start:end]...)}
	if end < len(all) {
		out["nextCursor"] = base64.RawURLEncoding.EncodeToString([]byte("at:" + strconv.Itoa(end)))
	}
	return out, nil
}

func (s *Server) health(*request) (any, error) { return map[string]bool{"ok": true}, nil }

func (s *Server) readiness(*request) (any, error) {
	check := map[string]string{"name": "state", "status": "pass"}
	status := "ready"
	if s.saved != nil {
		check["status"], check["message"], status = "fail", "the state file cannot be written", "not_ready"
	}
	return map[string]any{"status": status, "checks": []any{check}}, nil
}

// AuditEvent is one change, with whom it belongs to.
type AuditEvent struct {
	ID           string         `json:"id"`
	Actor        string         `json:"actor"`
	Type         string         `json:"type"`
	ResourceType string         `json:"resourceType"`
	ResourceID   string         `json:"resourceId"`
	CreatedAt    string         `json:"createdAt"`
	Payload      map[string]any `json:"payload"`
}

// audit writes an event; a heartbeat is no event, or nothing else would be found.
func (s *Server) audit(r *request, actor, typ, resource, id, machine string) {
	s.data.Audit = append(s.data.Audit, AuditEvent{
		ID: newID("evt"), Actor: actor, Type: typ, ResourceType: resource, ResourceID: id, CreatedAt: stamp(r.now),
		Payload: map[string]any{"machineId": machine},
	})
	if len(s.data.Audit) > maxAudit {
		s.data.Audit = s.data.Audit[len(s.data.Audit)-maxAudit:]
	}
	s.changed()
}

func (s *Server) listAudit(r *request) (any, error) {
	q := r.URL.Query()
	out := []AuditEvent{}
	for i := len(s.data.Audit) - 1; i >= 0; i-- { // newest first
		e := s.data.Audit[i]
		if m := q.Get("machineId"); m != "" && e.Payload["machineId"] != m {
			continue
		}
		if t := q.Get("resourceType"); t != "" && e.ResourceType != t {
			continue
		}
		out = append(out, e)
	}
	return page(r, out)
}
