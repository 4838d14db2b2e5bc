package sandbox

import (
	"encoding/json"
	"slices"
	"time"
)

// The names of peer-to-peer delivery (contract §2.7).
const (
	modeP2P      = "p2p"
	transportP2P = "peaqos-p2p"
	signalSocket = "peaqos-socket"
	frameForm    = "peaqos-json-frame-v1"
)

// defaultCapabilityTTL is how long registered capabilities are valid when no end was sent.
const defaultCapabilityTTL = 15 * time.Minute

// capabilitiesPerAgent limits one registration.
const capabilitiesPerAgent = 64

// deliveryCapability is one way a machine can deliver. The server sets mode and signaling.
type deliveryCapability struct {
	Mode        string   `json:"mode"`
	TransportID string   `json:"transportId"`
	Version     string   `json:"version"`
	Features    []string `json:"features"`
	Signaling   string   `json:"signaling"`
	Protocols   []string `json:"protocols"`
	Encoding    string   `json:"encoding"`
}

// readCapability reads a capability as clients send it: without mode and signaling.
func readCapability(in *members) deliveryCapability {
	d := deliveryCapability{
		Mode: modeP2P, Signaling: signalSocket, TransportID: in.required("transportId"), Version: in.required("version"),
		Encoding: in.text("encoding"),
	}
	var sent bool
	if d.Features, sent = in.texts("features"); !sent {
		in.fault("features", "must be an array of strings")
	}
	d.Protocols, _ = in.texts("protocols")
	return d
}

// readCapabilities reads a list of capabilities.
func readCapabilities(in *members, name string) []deliveryCapability {
	out := []deliveryCapability{}
	for _, o := range in.objects(name, capabilitiesPerAgent) {
		out = append(out, readCapability(o))
		in.join(o)
	}
	return out
}

// storedCapabilities are the capabilities of one agent; a new registration replaces them.
type storedCapabilities struct {
	MachineID     string               `json:"machineId"`
	AgentID       string               `json:"agentId"`
	Capabilities  []deliveryCapability `json:"capabilities"`
	ResourceTypes []string             `json:"resourceTypes"`
	UpdatedAt     Moment               `json:"updatedAt"`
	ExpiresAt     Moment               `json:"expiresAt"`
}

func (d *storedCapabilities) current(now time.Time) bool { return now.Before(d.ExpiresAt.Time) }

// at returns the capabilities with their status at a time.
func (d *storedCapabilities) at(now time.Time) any {
	status := "expired"
	if d.current(now) {
		status = "active"
	}
	return struct {
		storedCapabilities
		Status string `json:"status"`
	}{*d, status}
}

// putCapabilities registers how a machine can deliver (contract §2.7).
func (s *Server) putCapabilities(c *call) (any, error) {
	m, err := s.activeMachine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	in := c.in
	d := &storedCapabilities{
		MachineID: m.ID, AgentID: in.required("agentId"), UpdatedAt: c.stamp(),
		ExpiresAt: Moment{c.now.Add(defaultCapabilityTTL)},
	}
	if !in.has("capabilities") {
		in.fault("capabilities", "must be an array of objects")
	}
	d.Capabilities = readCapabilities(in, "capabilities")
	var sent bool
	if d.ResourceTypes, sent = in.texts("resourceTypes"); !sent {
		d.ResourceTypes = []string{"stream.bundle"}
	}
	if until := in.text("expiresAt"); until != "" {
		var ok bool
		if d.ExpiresAt, ok = parseMoment(until); !ok {
			in.fault("expiresAt", "is not an RFC 3339 time")
		}
	}
	if in.err != nil {
		return nil, in.err
	}
	a, err := s.agentOf(m.ID, d.AgentID)
	switch {
	case err != nil:
		return nil, err
	case a.Status == "revoked":
		return nil, fail("AGENT_PAIRING_INACTIVE", "the agent is revoked")
	}
	s.st.Capabilities.remove(a.ID)
	s.st.Capabilities.add(s.next(), a.ID, m.ID, d)
	c.audit(
		"delivery-capabilities.registered", "delivery-capabilities", a.ID, m.ID,
		map[string]any{"agentId": a.ID, "capabilities": len(d.Capabilities)},
	)
	return item(d.at(c.now)), nil
}

// canDeliver reports whether the machine has a valid registration for a transport; "" means any
// transport.
func (s *Server) canDeliver(machineID, transportID string, now time.Time) bool {
	for _, r := range s.st.Capabilities.of(machineID) {
		if r.V.current(now) && slices.ContainsFunc(
			r.V.Capabilities, func(d deliveryCapability) bool { return transportID == "" || d.TransportID == transportID },
		) {
			return true
		}
	}
	return false
}

// listRails lists the payment rails of purchases.
func (s *Server) listRails(*call) (any, error) {
	return listing{Items: []any{
		map[string]any{"type": railX402, "chains": []string{"base", "peaq"}, "tokens": []string{"USDC"}, "requiresProof": true},
		map[string]any{
			"type": railTransfer, "chains": []string{"peaq", "base", "ethereum", "solana"}, "tokens": []string{"USDC", "USDT", "PEAQ"},
			"verification": "destination-chain-finality",
		},
	}}, nil
}

// listTransports lists the transports of purchases: the one that the published clients use.
func (s *Server) listTransports(*call) (any, error) {
	return listing{Items: []any{map[string]any{
		"mode": modeP2P, "transportId": transportP2P, "version": "1", "features": []string{}, "signaling": signalSocket, "protocols": []string{},
		"encoding": frameForm, "handoff": "prepare-access", "connectSchema": json.RawMessage(connectSchema),
	}}}, nil
}

// connectSchema is the JSON Schema of delivery.connect (contract §2.10).
const connectSchema = `{"type":"object","required":["type","url","expiresAt"],"properties":{` +
	`"type":{"const":"peaqos-p2p-url"},"url":{"type":"string","pattern":"^peaqos-p2p://"},"expiresAt":{"type":"string","format":"date-time"}}}`
