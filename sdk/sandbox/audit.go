package sandbox

import "encoding/json"

// AuditEvent is one recorded change (contract §2.21).
type AuditEvent struct {
	ID           string          `json:"id"`
	Actor        string          `json:"actor"`
	Type         string          `json:"type"`
	ResourceType string          `json:"resourceType"`
	ResourceID   string          `json:"resourceId"`
	Payload      json.RawMessage `json:"payload"` // an object
	CreatedAt    Moment          `json:"createdAt"`
}

// storedEvent is an event with its machine, which is used for filtering and is not a member of the
// event itself.
type storedEvent struct {
	AuditEvent
	Seq     uint64 `json:"seq"`
	Machine string `json:"machine,omitempty"`
}

// audit records an event of this call. The payload must not hold a secret.
func (c *call) audit(kind, resourceType, resourceID, machineID string, payload map[string]any) {
	c.s.st.Audit.add(c.event(kind, resourceType, resourceID, machineID, payload))
}

// auditBeat records a heartbeat in a ring of its own; in the shared one a fleet's heartbeats would
// displace all other events within minutes.
func (c *call) auditBeat(a *storedAgent, endpoints int) {
	c.s.st.BeatAudit.add(c.event("machine-agent.heartbeat", "machine-agent", a.ID, a.MachineID, map[string]any{"endpoints": endpoints}))
}

func (c *call) event(kind, resourceType, resourceID, machineID string, payload map[string]any) storedEvent {
	c.s.changed()
	c.s.live.wakeStreams(everyMachine)
	text, err := marshal(payload) // a map would take several times the memory
	if err != nil || payload == nil {
		text = []byte("{}")
	}
	return storedEvent{Seq: c.s.next(), Machine: machineID, AuditEvent: AuditEvent{
		ID: newID("aud"), Actor: c.actor, Type: kind, ResourceType: resourceType, ResourceID: resourceID, Payload: text, CreatedAt: c.stamp(),
	}}
}

// listAudit lists the latest events first: the call has a limit but no client sends a cursor, so
// the first page must show the latest.
func (s *Server) listAudit(c *call) (any, error) {
	q := c.r.URL.Query()
	machine, kind := q.Get("machineId"), q.Get("resourceType")
	keep := func(e *storedEvent) bool {
		return (machine == "" || e.Machine == machine) && (kind == "" || e.ResourceType == kind)
	}
	return s.pageOfTrail(c, keep, func(e *storedEvent) any { return &e.AuditEvent })
}

// pageOfTrail returns a page of the retained events, latest first.
func (s *Server) pageOfTrail(c *call, keep func(*storedEvent) bool, show func(*storedEvent) any) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	return p.cut(c, func(yield func(uint64, any) bool) {
		for e := range s.trail() {
			if (p.after > 0 && e.Seq >= p.after) || !keep(e) || !c.sees(e) {
				continue
			}
			if !yield(e.Seq, e) {
				return
			}
		}
	}, func(v any) any { return show(v.(*storedEvent)) }), nil
}

// trail iterates over both rings of events, latest first.
func (s *Server) trail() func(func(*storedEvent) bool) {
	return func(yield func(*storedEvent) bool) {
		beats := []*storedEvent{}
		for e := range s.st.BeatAudit.latestFirst() {
			beats = append(beats, e)
		}
		for e := range s.st.Audit.latestFirst() {
			for ; len(beats) > 0 && beats[0].Seq > e.Seq; beats = beats[1:] {
				if !yield(beats[0]) {
					return
				}
			}
			if !yield(e) {
				return
			}
		}
		for _, e := range beats {
			if !yield(e) {
				return
			}
		}
	}
}
