package sandbox

import (
	"fmt"
	"slices"
	"time"
)

// subscriptionsPerMachine limits the active subscriptions of one machine.
const subscriptionsPerMachine = 50

// Subscription is a lease on a device's notifications (contract §2.17).
type Subscription struct {
	ID             string  `json:"id"`
	MachineID      string  `json:"machineId"`
	AgentPairingID string  `json:"agentPairingId"`
	ServiceID      string  `json:"serviceId"`
	DeviceID       string  `json:"deviceId"`
	Resource       string  `json:"resource"`
	Status         string  `json:"status"`
	CreatedAt      Moment  `json:"createdAt"`
	UpdatedAt      Moment  `json:"updatedAt"`
	ExpiresAt      Moment  `json:"expiresAt"`
	Cleanup        cleanup `json:"cleanup"`
}

type cleanup struct {
	Status        string `json:"status"`
	LastAttemptAt Moment `json:"lastAttemptAt,omitzero"`
	ErrorCode     string `json:"errorCode,omitempty"`
}

// storedSubscription is a subscription with the time up to which notifications were sent.
type storedSubscription struct {
	Subscription
	NotifiedUntil Moment `json:"told"`
}

// subscribe creates a lease and its first two events: the active subscription and the current
// reading.
func (s *Server) subscribe(c *call, j job, d *device, resource string, ttl time.Duration) (*Subscription, error) {
	s.advance(j.machineID, c.now)
	active := 0
	for _, r := range s.st.Subscriptions.of(j.machineID) {
		if r.V.Status == "active" {
			active++
		}
	}
	if active >= subscriptionsPerMachine {
		return nil, invalid("the machine has reached the limit of active subscriptions")
	}
	sub := &storedSubscription{NotifiedUntil: c.stamp(), Subscription: Subscription{
		ID: newID("iotsub"), MachineID: j.machineID, AgentPairingID: j.pairingID, ServiceID: j.service.ID, DeviceID: d.ID, Resource: resource,
		Status: "active", CreatedAt: c.stamp(), UpdatedAt: c.stamp(), ExpiresAt: Moment{c.now.Add(ttl)}, Cleanup: cleanup{Status: "not-required"},
	}}
	s.st.Subscriptions.add(s.next(), sub.ID, j.machineID, sub)
	s.publishSubscription(sub, c.now)
	if reading := d.reading(j.machineID, resource, s.smartDoorOf(j.machineID, d.ID), c.now); reading != nil {
		s.publishSample(sub, "snapshot", reading, c.now)
	}
	c.audit("iot-subscription.created", "iot-subscription", sub.ID, j.machineID, map[string]any{"deviceId": d.ID, "resource": resource})
	s.live.wakeStreams(j.machineID)
	shown := sub.Subscription
	return &shown, nil
}

// listSubscriptions lists the subscriptions of the token's pairing, including those that have
// ended.
func (s *Server) listSubscriptions(c *call) (any, error) {
	s.advance(c.pair.MachineID, c.now)
	mine := func(sub *storedSubscription) bool { return sub.AgentPairingID == c.pair.ID }
	return pageOf(c, s.st.Subscriptions.of(c.pair.MachineID), mine, func(sub *storedSubscription) any { return &sub.Subscription })
}

// deleteSubscription ends a lease. One that has ended is returned unchanged.
func (s *Server) deleteSubscription(c *call) (any, error) {
	s.advance(c.pair.MachineID, c.now)
	sub, err := s.subscriptionOf(c, c.id("subscription"))
	if err != nil {
		return nil, err
	}
	if sub.Status == "active" {
		s.end(sub, "deleted", c.now)
		c.audit("iot-subscription.deleted", "iot-subscription", sub.ID, sub.MachineID, nil)
		s.live.wakeStreams(sub.MachineID)
	}
	return item(&sub.Subscription), nil
}

// subscriptionOf returns a subscription of the token's pairing.
func (s *Server) subscriptionOf(c *call, id string) (*storedSubscription, error) {
	sub := s.st.Subscriptions.get(id)
	if sub == nil || sub.MachineID != c.pair.MachineID || sub.AgentPairingID != c.pair.ID {
		return nil, notFound("the subscription")
	}
	return sub, nil
}

// end closes a lease and removes it from the device, which always succeeds here.
func (s *Server) end(sub *storedSubscription, status string, at time.Time) {
	sub.Status, sub.UpdatedAt, sub.Cleanup = status, Moment{at}, cleanup{Status: "completed", LastAttemptAt: Moment{at}}
	s.publishSubscription(sub, at)
}

// advance records the events that have become due at a machine: new samples of subscribed
// resources, and expired leases. Nothing runs in the background: every reader calls it first.
func (s *Server) advance(machineID string, now time.Time) {
	type due struct {
		at  time.Time
		sub *storedSubscription
	}
	var events []due
	for _, r := range s.st.Subscriptions.of(machineID) {
		sub := r.V
		if sub.Status != "active" {
			continue
		}
		state := s.smartDoorOf(machineID, sub.DeviceID)
		at := nextReading(sub.Resource, state, sub.NotifiedUntil.Time)
		for !at.IsZero() && !at.After(now) && at.Before(sub.ExpiresAt.Time) {
			events = append(events, due{at, sub})
			at = nextReading(sub.Resource, state, at)
		}
		if !now.Before(sub.ExpiresAt.Time) {
			events = append(events, due{sub.ExpiresAt.Time, sub})
		}
		sub.NotifiedUntil = Moment{now}
	}
	slices.SortStableFunc(events, func(a, b due) int { return a.at.Compare(b.at) })
	for _, e := range events {
		if !e.at.Before(e.sub.ExpiresAt.Time) {
			s.end(e.sub, "expired", e.at)
			continue
		}
		d, err := deviceNamed(e.sub.DeviceID, e.sub.Resource)
		if err != nil {
			continue // from an older state file
		}
		s.publishSample(e.sub, "notification", d.reading(machineID, e.sub.Resource, s.smartDoorOf(machineID, d.ID), e.at), e.at)
	}
	if len(events) > 0 {
		s.changed()
	}
}

// nextDue returns when advance is needed next; zero when nothing is due.
func (s *Server) nextDue(machineID string, now time.Time) (next time.Time) {
	for _, r := range s.st.Subscriptions.of(machineID) {
		if r.V.Status != "active" {
			continue
		}
		for _, at := range []time.Time{r.V.ExpiresAt.Time, nextReading(r.V.Resource, s.smartDoorOf(machineID, r.V.DeviceID), now)} {
			if !at.IsZero() && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return next
}

// smartDoorOf returns the stored state of a smart door.
func (s *Server) smartDoorOf(machineID, deviceID string) smartDoor {
	if d := s.st.SmartDoors.get(machineID + "/" + deviceID); d != nil {
		return *d
	}
	return smartDoor{}
}

// eventsEndpoint returns the path of a subscription's events.
func eventsEndpoint(sub *Subscription) string {
	return fmt.Sprintf("%s/machines/%s/iot/events?subscriptionId=%s", prefix, sub.MachineID, sub.ID)
}

func (s *Server) publishSubscription(sub *storedSubscription, at time.Time) {
	s.publishEvent(sub, "iot.subscription", at, func(id string) any {
		return map[string]any{"eventId": id, "machineId": sub.MachineID, "subscription": sub.Subscription, "createdAt": Moment{at}}
	})
}

func (s *Server) publishSample(sub *storedSubscription, kind string, reading *sample, at time.Time) {
	s.publishEvent(sub, "iot.data", at, func(id string) any {
		return map[string]any{
			"eventId": id, "machineId": sub.MachineID, "subscriptionId": sub.ID, "deviceId": sub.DeviceID, "resource": sub.Resource, "kind": kind,
			"stale": at.Sub(reading.ObservedAt.Time) > staleAfter, "sample": reading, "createdAt": Moment{at},
		}
	})
}

// publishEvent stores an event for its readers.
func (s *Server) publishEvent(sub *storedSubscription, name string, at time.Time, data func(id string) any) {
	id := newID("iotevt")
	b, err := marshal(data(id))
	if err != nil {
		return // cannot happen: every member can be encoded
	}
	s.retain(&iotEvent{ID: id, Name: name, Machine: sub.MachineID, Pairing: sub.AgentPairingID, Subscription: sub.ID, Data: b, At: Moment{at}})
}
