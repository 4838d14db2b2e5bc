package sandbox

import (
	"encoding/json"
	"slices"
)

// readService runs a free, native, read-only operation at once, without an order (contract §2.12).
func (s *Server) readService(c *call) (any, error) {
	o, m, j, err := s.readJob(c)
	if err != nil {
		return nil, err
	}
	v := viewer{m, c.pair}
	switch {
	case s.denialReason(v, o, 0) != "":
		return nil, fail("AGENT_POLICY_DENIED", s.denialReason(v, o, 0))
	case o.Payment.Required:
		return nil, fail("PAYMENT_REQUIRED", "the service must be paid for: create an order")
	case o.ExecutionMode != "native":
		return nil, fail("EXECUTION_UNSUPPORTED", "the service is handed off: create an order")
	case !slices.Contains(o.Reads, j.operation):
		return nil, fail("EXECUTION_UNSUPPORTED", "the operation cannot be read directly: create an order")
	case s.unavailableReason(c, v, o, j.credentials) != "":
		return nil, fail("EXECUTION_UNSUPPORTED", s.unavailableReason(c, v, o, j.credentials))
	}
	r, err := s.perform(c, j)
	if err != nil {
		return nil, err
	}
	return map[string]any{"service": &o.Service, "execution": executionOf(j, r)}, nil
}

// readJob reads the body of a direct read.
func (s *Server) readJob(c *call) (*offer, *Machine, job, error) {
	in := c.in
	j := job{
		machineID: in.required("machineId"), pairingID: in.required("agentPairingId"), operation: in.required("operation"),
		input: in.raw("input"),
	}
	readBudget(in)
	j.credentials = readCredentials(in)
	if in.err != nil {
		return nil, nil, j, in.err
	}
	if err := c.owns(j.machineID, j.pairingID); err != nil {
		return nil, nil, j, err
	}
	m, err := s.activeMachine(j.machineID)
	if err != nil {
		return nil, nil, j, err
	}
	o, err := s.offerNamed(c)
	if err != nil {
		return nil, nil, j, err
	}
	if j.service = o; !slices.Contains(o.Operations, j.operation) {
		return nil, nil, j, invalid("unknown operation " + j.operation)
	}
	if j.input == nil {
		j.input = json.RawMessage("{}")
	}
	return o, m, j, nil
}
