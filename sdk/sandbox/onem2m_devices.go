package sandbox

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"time"
)

// Every machine has the same small building of oneM2M devices behind it (contract
// §2.18). Their values are computed from the time, so that a reading can be asked
// for again; only what somebody did to a door is kept.

const deviceProfile = "peaqos.onem2m.device.v1"

const (
	samplePeriod     = 10 * time.Second // between two readings of a sensor
	smartDoorOpenFor = 20 * time.Second // then it falls shut
)

// device is a descriptor, with what the device does wrong on purpose.
type device struct {
	ID           string           `json:"id"`
	Name         string           `json:"name"`
	Type         string           `json:"type"`
	Location     string           `json:"location"`
	Profile      string           `json:"profile"`
	Availability string           `json:"availability"`
	Resources    []deviceResource `json:"resources"`
	Actions      []deviceAction   `json:"actions"`

	sourceFault  string // code of every reading
	commandFault string // what a command meets, one of the door… constants
}

type deviceResource struct {
	Name        string          `json:"name"`
	ValueSchema json.RawMessage `json:"valueSchema"`
	Units       any             `json:"units,omitempty"`
}

type deviceAction struct {
	Name string `json:"name"`
}

// What a command meets at a door that does not simply open.
const (
	smartDoorRejects = "rejects" // it acknowledges with a refusal
	smartDoorSilent  = "silent"  // it never acknowledges: the command expires
	smartDoorSlow    = "slow"    // it opens after nobody waits any more
	smartDoorCutOff  = "cut-off" // the write breaks: nobody knows whether it arrived
)

// devices are those of a machine. The faulty ones are named for what they are.
func devices() []device {
	occupancy := []deviceResource{{"occupancy", json.RawMessage(`{"type":"object","required":["occupied","count"],"properties":{"occupied":{"type":"boolean"},"count":{"type":"integer","minimum":0}}}`), nil}}
	air := []deviceResource{
		{"temperature", json.RawMessage(`{"type":"number"}`), "celsius"},
		{"humidity", json.RawMessage(`{"type":"number","minimum":0,"maximum":100}`), "percent"},
		{"climate", json.RawMessage(`{"type":"object","properties":{"temperature":{"type":"number"},"humidity":{"type":"number"}}}`), map[string]string{"temperature": "celsius", "humidity": "percent"}},
		{"calibration", json.RawMessage(`{"type":"object"}`), nil}, // never made: it has no sample
	}
	smartDoorState := []deviceResource{{"state", json.RawMessage(`{"type":"string","enum":["OPEN","CLOSED"]}`), nil}}
	open, none := []deviceAction{{"OPEN"}}, []deviceAction{}
	list := []device{
		{ID: "iotdev_lobby_occupancy", Name: "Lobby occupancy", Type: "occupancy-sensor", Location: "lobby", Resources: occupancy, Actions: none},
		{ID: "iotdev_lobby_air", Name: "Lobby air", Type: "environmental-sensor", Location: "lobby", Resources: air, Actions: none},
		{ID: "iotdev_front_door", Name: "Front door", Type: "smart-door", Location: "lobby", Resources: smartDoorState, Actions: open},
		{ID: "iotdev_vault_door", Name: "Vault door, rejects every command", Type: "smart-door", Location: "basement", Resources: smartDoorState, Actions: open, commandFault: smartDoorRejects},
		{ID: "iotdev_back_door", Name: "Back door, never acknowledges", Type: "smart-door", Location: "yard", Resources: smartDoorState, Actions: open, commandFault: smartDoorSilent},
		{ID: "iotdev_garage_door", Name: "Garage door, acknowledges too late", Type: "smart-door", Location: "garage", Resources: smartDoorState, Actions: open, commandFault: smartDoorSlow},
		{ID: "iotdev_cellar_door", Name: "Cellar door, its link breaks while a command is written", Type: "smart-door", Location: "basement", Resources: smartDoorState, Actions: open, commandFault: smartDoorCutOff},
		{ID: "iotdev_roof_air", Name: "Roof air, its CSE is away", Type: "environmental-sensor", Location: "roof", Resources: air, Actions: none, sourceFault: "ONEM2M_CSE_UNAVAILABLE"},
		{ID: "iotdev_plant_air", Name: "Plant air, its CSE answers nonsense", Type: "environmental-sensor", Location: "plant room", Resources: air, Actions: none, sourceFault: "ONEM2M_PROTOCOL_ERROR"},
		{ID: "iotdev_yard_air", Name: "Yard air, its CSE does not answer", Type: "environmental-sensor", Location: "yard", Resources: air, Actions: none, sourceFault: "ONEM2M_TIMEOUT"},
	}
	for i := range list {
		list[i].Profile, list[i].Availability = deviceProfile, "available"
		switch list[i].sourceFault {
		case "":
		case "ONEM2M_CSE_UNAVAILABLE":
			list[i].Availability = "unavailable"
		default:
			list[i].Availability = "unknown"
		}
	}
	return list
}

// deviceNamed is a device and whether it has a resource ("" asks for none).
func deviceNamed(id, resource string) (*device, error) {
	for _, d := range devices() {
		if d.ID != id {
			continue
		}
		for _, r := range d.Resources {
			if r.Name == resource {
				return &d, nil
			}
		}
		if resource != "" {
			return nil, notFound("the device's resource")
		}
		return &d, nil
	}
	return nil, notFound("the device")
}

// sample is one reading (contract §2.18).
type sample struct {
	DeviceID   string          `json:"deviceId"`
	Resource   string          `json:"resource"`
	Value      json.RawMessage `json:"value"`
	ObservedAt Moment          `json:"observedAt"`
	ReceivedAt Moment          `json:"receivedAt"`
	Source     sampleSource    `json:"source"`
	Units      any             `json:"units,omitempty"`
	CommandID  string          `json:"commandId,omitempty"`
}

type sampleSource struct {
	CSEID      string `json:"cseId"`
	ResourceID string `json:"resourceId"`
	Version    string `json:"version"`
}

// door is what is kept of a door: when somebody last opened it, and by which
// command. The opening may lie ahead.
type smartDoor struct {
	Machine, Device string
	OpensAt         Moment
	CommandID       string
}

// reading is the newest sample of a resource; nil when there never was one.
func (d *device) reading(machineID, resource string, state smartDoor, now time.Time) *sample {
	out := &sample{DeviceID: d.ID, Resource: resource}
	for _, r := range d.Resources {
		if r.Name == resource {
			out.Units = r.Units
		}
	}
	at := now.Truncate(samplePeriod)
	switch {
	case resource == "calibration":
		return nil
	case resource == "state":
		out.Value = json.RawMessage(`"CLOSED"`)
		at = time.Unix(0, 0).UTC() // as long as anybody can tell
		opened := state.OpensAt.Time
		switch {
		case opened.IsZero() || now.Before(opened):
		case now.Before(opened.Add(smartDoorOpenFor)):
			out.Value, at, out.CommandID = json.RawMessage(`"OPEN"`), opened, state.CommandID
		default:
			at = opened.Add(smartDoorOpenFor)
		}
	default:
		out.Value = measure(machineID+d.ID, resource, at)
	}
	out.ObservedAt, out.ReceivedAt = Moment{at}, Moment{at}
	out.Source = d.source(machineID, resource, at)
	return out
}

// source names the content instance that a sample came from.
func (d *device) source(machineID, resource string, at time.Time) sampleSource {
	return sampleSource{CSEID: "cse-" + machineID, ResourceID: fmt.Sprintf("cin-%s-%s-%d", d.ID, resource, at.UnixMilli()), Version: "1"}
}

// nextReading is when the resource has a new sample, after a time; zero when
// nothing is to come.
func nextReading(resource string, state smartDoor, after time.Time) time.Time {
	switch resource {
	case "calibration":
		return time.Time{}
	case "state":
		opens := state.OpensAt.Time
		switch {
		case opens.IsZero():
			return time.Time{}
		case after.Before(opens):
			return opens
		case after.Before(opens.Add(smartDoorOpenFor)):
			return opens.Add(smartDoorOpenFor)
		}
		return time.Time{}
	}
	return after.Truncate(samplePeriod).Add(samplePeriod)
}

// measure is a believable value: a daily wave with some noise.
func measure(of, resource string, at time.Time) json.RawMessage {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, of, at.Unix())
	noise := float64(h.Sum32()%1000)/1000 - 0.5
	day := math.Sin(2 * math.Pi * float64(at.Unix()%86400) / 86400)
	celsius := math.Round((21.5+2*day+noise)*10) / 10
	percent := math.Round(45 - 5*day + 4*noise)
	switch resource {
	case "temperature":
		return json.RawMessage(fmt.Sprint(celsius))
	case "humidity":
		return json.RawMessage(fmt.Sprint(percent))
	case "climate":
		return json.RawMessage(fmt.Sprintf(`{"temperature":%g,"humidity":%g}`, celsius, percent))
	}
	count := h.Sum32() % 4
	return json.RawMessage(fmt.Sprintf(`{"occupied":%t,"count":%d}`, count > 0, count))
}
