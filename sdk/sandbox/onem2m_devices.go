package sandbox

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"time"
)

// Every machine has the same ten oneM2M devices (contract §2.18). Their values are
// computed from the time, so that a reading can be repeated. Only the state of smart
// doors is stored.

const deviceProfile = "peaqos.onem2m.device.v1"

// samplePeriod is the time between two readings of a sensor; smartDoorOpenFor is how long a smart
// door stays open.
const (
	samplePeriod     = 10 * time.Second
	smartDoorOpenFor = 20 * time.Second
)

// device is a device's descriptor, with the faults that it simulates.
type device struct {
	ID           string           `json:"id"`
	Name         string           `json:"name"`
	Type         string           `json:"type"`
	Location     string           `json:"location"`
	Profile      string           `json:"profile"`
	Availability string           `json:"availability"`
	Resources    []deviceResource `json:"resources"`
	Actions      []deviceAction   `json:"actions"`

	sourceFault  string // error code of every reading
	commandFault string // one of the smartDoor… constants below
}

type deviceResource struct {
	Name        string          `json:"name"`
	ValueSchema json.RawMessage `json:"valueSchema"`
	Units       any             `json:"units,omitempty"`
}

type deviceAction struct {
	Name string `json:"name"`
}

// How a faulty smart door reacts to a command.
const (
	smartDoorRejects = "rejects" // acknowledges with a rejection
	smartDoorSilent  = "silent"  // never acknowledges: the command expires
	smartDoorSlow    = "slow"    // opens after the caller has given up
	smartDoorCutOff  = "cut-off" // the connection breaks: the outcome is unknown
)

// devices returns the devices of a machine. The faulty ones are named after their fault.
func devices() []device {
	occupancy := device{
		ID: "iotdev_lobby_occupancy", Name: "Lobby occupancy", Type: "occupancy-sensor", Location: "lobby", Profile: deviceProfile,
		Availability: "available", Resources: occupancyResources(), Actions: []deviceAction{},
	}
	return []device{
		occupancy,
		airSensor("iotdev_lobby_air", "Lobby air", "lobby", "available", ""),
		smartDoorNamed("iotdev_front_door", "Front door", "lobby", ""),
		smartDoorNamed("iotdev_vault_door", "Vault door, rejects every command", "basement", smartDoorRejects),
		smartDoorNamed("iotdev_back_door", "Back door, never acknowledges", "yard", smartDoorSilent),
		smartDoorNamed("iotdev_garage_door", "Garage door, acknowledges too late", "garage", smartDoorSlow),
		smartDoorNamed("iotdev_cellar_door", "Cellar door, its connection breaks during a command", "basement", smartDoorCutOff),
		airSensor("iotdev_roof_air", "Roof air, its CSE is unavailable", "roof", "unavailable", "ONEM2M_CSE_UNAVAILABLE"),
		airSensor("iotdev_plant_air", "Plant air, its CSE returns invalid data", "plant room", "unknown", "ONEM2M_PROTOCOL_ERROR"),
		airSensor("iotdev_yard_air", "Yard air, its CSE does not respond", "yard", "unknown", "ONEM2M_TIMEOUT"),
	}
}

func occupancyResources() []deviceResource {
	return []deviceResource{{
		"occupancy",
		json.RawMessage(`{"type":"object","required":["occupied","count"],` +
			`"properties":{"occupied":{"type":"boolean"},"count":{"type":"integer","minimum":0}}}`),
		nil,
	}}
}

func airSensor(id, name, location, availability, sourceFault string) device {
	resources := []deviceResource{
		{"temperature", json.RawMessage(`{"type":"number"}`), "celsius"},
		{"humidity", json.RawMessage(`{"type":"number","minimum":0,"maximum":100}`), "percent"},
		{
			"climate",
			json.RawMessage(`{"type":"object","properties":{"temperature":{"type":"number"},"humidity":{"type":"number"}}}`),
			map[string]string{"temperature": "celsius", "humidity": "percent"},
		},
		{"calibration", json.RawMessage(`{"type":"object"}`), nil}, // never recorded: it has no sample
	}
	return device{
		ID: id, Name: name, Type: "environmental-sensor", Location: location, Profile: deviceProfile,
		Availability: availability, Resources: resources, Actions: []deviceAction{}, sourceFault: sourceFault,
	}
}

func smartDoorNamed(id, name, location, commandFault string) device {
	state := deviceResource{"state", json.RawMessage(`{"type":"string","enum":["OPEN","CLOSED"]}`), nil}
	return device{
		ID: id, Name: name, Type: "smart-door", Location: location, Profile: deviceProfile, Availability: "available",
		Resources: []deviceResource{state}, Actions: []deviceAction{{"OPEN"}}, commandFault: commandFault,
	}
}

// deviceNamed returns a device and checks that it has a resource ("": no check).
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

// smartDoor is the stored state of a smart door: when it was last opened and by which command.
// OpensAt may be in the future.
type smartDoor struct {
	Machine, Device string
	OpensAt         Moment
	CommandID       string
}

// reading returns the latest sample of a resource, or nil if there has never been one.
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
		at = time.Unix(0, 0).UTC() // since forever
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

// source names the content instance of a sample.
func (d *device) source(machineID, resource string, at time.Time) sampleSource {
	return sampleSource{CSEID: "cse-" + machineID, ResourceID: fmt.Sprintf("cin-%s-%s-%d", d.ID, resource, at.UnixMilli()), Version: "1"}
}

// nextReading returns when the resource gets its next sample after a time; zero when none is due.
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

// measure returns a plausible value: a daily wave with some noise.
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
