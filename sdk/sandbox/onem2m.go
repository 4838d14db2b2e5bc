package sandbox

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// The sandbox runs the oneM2M services itself: readings directly, commands and
// subscriptions as orders (contract §2.18).

// Limits and times of the oneM2M services.
const (
	shortestLease  = 60 // in seconds, like the next two
	longestLease   = 3600
	leaseSeconds   = 1800            // default of ttlSeconds
	sourceWait     = 2 * time.Second // longest wait for the CSE or an acknowledgement
	commandTTL     = 5 * time.Second // how long a command stays valid
	smartDoorDelay = 3 * time.Second // delay of the smart door that acknowledges too late
)

// isLogicalName reports whether text is 1 to 128 letters, digits and characters of
// marks, and begins with a letter or digit.
func isLogicalName(text, marks string) bool {
	return text != "" && len(text) <= 128 && isLetterOrDigit(text[0]) &&
		consistsOf(text, func(b byte) bool { return isLetterOrDigit(b) || strings.IndexByte(marks, b) >= 0 })
}

// deviceInput is the input of any of the five operations.
type deviceInput struct {
	device    *device
	resource  string
	commandID string
	ttl       time.Duration
	limit     int
	cursor    string
}

// readDeviceInput reads an operation's input, which may only have the members of the contract.
func readDeviceInput(j job) (*deviceInput, error) {
	in := &members{path: "input."}
	if json.Unmarshal(j.input, &in.all) != nil {
		return nil, invalid("input must be an object")
	}
	allowed := map[string][]string{
		"list-devices": {"limit", "cursor"}, "get-device-info": {"deviceId"}, "get-latest-data": {"deviceId", "resource"},
		"execute-action": {"deviceId", "action", "commandId"}, "subscribe-events": {"deviceId", "resource", "ttlSeconds"},
	}[j.operation]
	for name := range in.all {
		if !slices.Contains(allowed, name) || !in.has(name) {
			return nil, invalid("input." + name + " is not a member of this operation's input")
		}
	}
	out := &deviceInput{limit: defaultPage, ttl: leaseSeconds * time.Second}
	deviceID := ""
	switch j.operation {
	case "list-devices":
		if n, ok := in.integer("limit", 1, largestPage); ok {
			out.limit = n
		}
		out.cursor = in.text("cursor")
		return out, in.err
	case "get-device-info":
		deviceID = in.required("deviceId")
	case "get-latest-data", "subscribe-events":
		deviceID, out.resource = in.required("deviceId"), in.required("resource")
		if !isLogicalName(out.resource, "._-") {
			in.fault("resource", "must be a logical name")
		}
		if n, ok := in.integer("ttlSeconds", shortestLease, longestLease); ok {
			out.ttl = time.Duration(n) * time.Second
		}
	case "execute-action":
		deviceID, out.commandID = in.required("deviceId"), in.required("commandId")
		in.choice("action", "OPEN")
		if !isLogicalName(out.commandID, "._:-") {
			in.fault("commandId", "must be 1 to 128 of A-Z a-z 0-9 . _ : - and begin with a letter or digit")
		}
	default:
		return nil, invalid("unknown oneM2M operation")
	}
	if in.err != nil {
		return nil, in.err
	}
	var err error
	out.device, err = deviceNamed(deviceID, out.resource)
	if err == nil && j.operation == "execute-action" && len(out.device.Actions) == 0 {
		err = invalid("the device has no actions")
	}
	return out, err
}

// admitOneM2M rejects an invalid input, a reading as an order and vice versa, and a command id that
// was used with another input. A valid command id is reserved.
func (s *Server) admitOneM2M(c *call, j job) error {
	ordered := j.operation == "execute-action" || j.operation == "subscribe-events"
	if ordered != (j.orderID != "") {
		return fail("EXECUTION_UNSUPPORTED", "readings are direct reads; commands and subscriptions are orders")
	}
	in, err := readDeviceInput(j)
	if err != nil || j.operation != "execute-action" {
		return err
	}
	return s.reserveCommand(j, in)
}

// runOneM2M runs a job that was admitted.
func (s *Server) runOneM2M(c *call, j job) (result, error) {
	in, err := readDeviceInput(j)
	if err != nil {
		return result{}, err
	}
	switch j.operation {
	case "execute-action":
		return s.executeCommand(c, j, in)
	case "list-devices":
		return listDevices(c, in)
	case "get-device-info":
		return encoded(map[string]any{"device": in.device})
	}
	if code := in.device.sourceFault; code != "" {
		if code == "ONEM2M_TIMEOUT" {
			c.waitFor(sourceWait)
		}
		return failure(code, sourceFaults(code)), nil
	}
	snapshot := in.device.latest(j.machineID, in.resource, s.smartDoorOf(j.machineID, in.device.ID), c.now)
	if j.operation == "get-latest-data" {
		return encoded(snapshot)
	}
	sub, err := s.subscribe(c, j, in.device, in.resource, in.ttl)
	if err != nil {
		return result{}, err
	}
	return encoded(map[string]any{"subscription": sub, "initialSnapshot": snapshot, "eventsEndpoint": eventsEndpoint(sub)})
}

// sourceFaults returns the message of a CSE fault.
func sourceFaults(code string) string {
	return map[string]string{
		"ONEM2M_CSE_UNAVAILABLE": "the CSE cannot be reached",
		"ONEM2M_PROTOCOL_ERROR":  "the CSE returned an invalid oneM2M envelope",
		"ONEM2M_TIMEOUT":         "the CSE did not respond in time",
	}[code]
}

func encoded(v any) (result, error) {
	b, err := marshal(v)
	return result{value: b}, err
}

// latest returns the result of get-latest-data.
func (d *device) latest(machineID, resource string, state smartDoor, now time.Time) any {
	availability, reading := "empty", d.reading(machineID, resource, state, now)
	if reading != nil {
		availability = "present"
	}
	return map[string]any{"deviceId": d.ID, "resource": resource, "availability": availability, "sample": reading}
}

// listDevices returns a page of the devices.
func listDevices(c *call, in *deviceInput) (result, error) {
	p := pageRequest{limit: in.limit}
	if in.cursor != "" {
		if err := p.takeCursor(c, in.cursor); err != nil {
			return result{}, err
		}
	}
	return encoded(p.cut(c, func(yield func(uint64, any) bool) {
		for i, d := range devices() {
			if seq := uint64(i) + 1; seq > p.after && !yield(seq, d) {
				return
			}
		}
	}, func(v any) any { return v }))
}

// waitFor waits without the lock, or until the caller has left.
func (c *call) waitFor(d time.Duration) {
	c.unlocked(func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.r.Context().Done():
		}
	})
	c.now = c.s.Now()
}
