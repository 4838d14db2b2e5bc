package sandbox

import (
	"encoding/json"
	"time"
)

// deviceCommand is a command id that was used, with its result: repeating the command returns the
// stored result and does nothing.
type deviceCommand struct {
	Device  string       `json:"device"`
	Running bool         `json:"-"` // while the command is being executed
	Result  *savedResult `json:"result,omitempty"`
}

type savedResult struct {
	Value json.RawMessage `json:"value,omitempty"`
	Code  string          `json:"code,omitempty"`
	Why   string          `json:"why,omitempty"`
}

// commandKey returns the key of a command id, which is scoped to its pairing.
func commandKey(j job, commandID string) string { return j.pairingID + "/" + commandID }

// reserveCommand reserves a command id for its input, which is the device: the action is always the
// same.
func (s *Server) reserveCommand(j job, in *deviceInput) error {
	key := commandKey(j, in.commandID)
	known := s.st.Commands.get(key)
	switch {
	case known == nil:
		s.st.Commands.add(s.next(), key, "", &deviceCommand{Device: in.device.ID})
		s.changed()
	case known.Device != in.device.ID:
		return fail("ONEM2M_COMMAND_CONFLICT", "the command id has been used with another input")
	}
	return nil
}

// executeCommand runs an execute-action once.
func (s *Server) executeCommand(c *call, j job, in *deviceInput) (result, error) {
	if err := s.reserveCommand(j, in); err != nil {
		return result{}, err
	}
	known := s.st.Commands.get(commandKey(j, in.commandID))
	switch {
	case known.Result != nil:
		return result{value: known.Result.Value, code: known.Result.Code, why: known.Result.Why}, nil
	case known.Running:
		return result{}, fail("ONEM2M_COMMAND_CONFLICT", "the command is still running")
	}
	known.Running = true
	r, err := s.sendCommand(c, j, in)
	known.Running = false
	if err == nil {
		known.Result = &savedResult{r.value, r.code, r.why}
		s.changed()
	}
	return r, err
}

// actionResult is a smart door's response to a command.
type actionResult struct {
	DeviceID        string           `json:"deviceId"`
	CommandID       string           `json:"commandId"`
	Action          string           `json:"action"`
	Status          string           `json:"status"`
	SubmittedAt     *Moment          `json:"submittedAt"`
	ExpiresAt       Moment           `json:"expiresAt"`
	Acknowledgement *acknowledgement `json:"acknowledgement"`
	State           *sample          `json:"state"`
}

type acknowledgement struct {
	CommandID  string       `json:"commandId"`
	Status     string       `json:"status"`
	ObservedAt Moment       `json:"observedAt"`
	Source     sampleSource `json:"source"`
}

// sendCommand sends a command to the smart door and waits for its response.
func (s *Server) sendCommand(c *call, j job, in *deviceInput) (result, error) {
	d, submitted := in.device, c.now
	response := actionResult{
		DeviceID: d.ID, CommandID: in.commandID, Action: "OPEN", SubmittedAt: &Moment{submitted},
		ExpiresAt: Moment{submitted.Add(commandTTL)},
	}
	acknowledge := func(status string) {
		response.Acknowledgement = &acknowledgement{in.commandID, status, Moment{submitted}, d.source(j.machineID, "acknowledgement", submitted)}
	}
	code, why := "", ""
	switch d.commandFault {
	case smartDoorRejects:
		response.Status, code, why = "rejected", "ONEM2M_ACTION_REJECTED", "the device rejected the command"
		acknowledge("rejected")
	case smartDoorSilent:
		response.Status, code, why = "timed-out", "ONEM2M_ACTION_TIMEOUT", "the command expired without an acknowledgement"
		response.ExpiresAt = Moment{submitted.Add(sourceWait)}
		c.waitFor(sourceWait)
	case smartDoorSlow:
		response.Status, code, why = "unknown", "ONEM2M_ACTION_TIMEOUT", "no acknowledgement arrived in time: the command may still take effect"
		s.openSmartDoor(j.machineID, d, in.commandID, submitted.Add(smartDoorDelay), submitted)
		c.waitFor(sourceWait)
	case smartDoorCutOff:
		response.Status, code = "unknown", "ONEM2M_SUBMISSION_UNKNOWN"
		why = "the connection broke while the command was sent: do not send it again"
		response.SubmittedAt = nil
	default:
		response.Status = "applied"
		acknowledge("applied")
		s.openSmartDoor(j.machineID, d, in.commandID, submitted, submitted)
		response.State = d.reading(j.machineID, "state", s.smartDoorOf(j.machineID, d.ID), submitted)
	}
	if code == "" {
		c.audit("device.opened", "device", d.ID, j.machineID, map[string]any{"commandId": in.commandID})
	}
	b, err := marshal(response)
	return result{value: b, code: code, why: why}, err
}

// openSmartDoor opens a smart door at a time, which may be in the future, and notifies the
// subscribers if it opens now.
func (s *Server) openSmartDoor(machineID string, d *device, commandID string, at, now time.Time) {
	s.advance(machineID, now)
	key := machineID + "/" + d.ID
	state := &smartDoor{Machine: machineID, Device: d.ID, OpensAt: Moment{at}, CommandID: commandID}
	s.st.SmartDoors.remove(key)
	s.st.SmartDoors.add(s.next(), key, machineID, state)
	s.changed()
	if at.After(now) {
		s.live.wakeStreams(machineID)
		return
	}
	for _, r := range s.st.Subscriptions.of(machineID) {
		if r.V.Status == "active" && r.V.DeviceID == d.ID && r.V.Resource == "state" {
			s.publishSample(r.V, "notification", d.reading(machineID, "state", *state, now), now)
		}
	}
	s.live.wakeStreams(machineID)
}
