package sandbox

import "crypto/rand"

// stateVersion is the version of the state file's format.
const stateVersion = 2

// state is everything that is kept between two runs. Every collection is bounded.
type state struct {
	Version    int    `json:"version"`
	Seq        uint64 `json:"seq"`
	SessionKey []byte `json:"sessionKey"` // signs pairing tokens
	Beats      uint64 `json:"beats"`

	Machines   table[Machine]        `json:"machines"`
	Agents     table[storedAgent]    `json:"agents"`
	Endpoints  table[storedEndpoint] `json:"endpoints"`
	Challenges table[challenge]      `json:"challenges"`
	Audit      ring[storedEvent]     `json:"audit"`
	BeatAudit  ring[storedEvent]     `json:"beatAudit"`

	marketState
	streamState
	extraState
}

func newState() state {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	st := state{
		Version:    stateVersion,
		SessionKey: key,
		Machines:   newTable[Machine](50_000, false),
		Agents:     newTable[storedAgent](100_000, false),
		Endpoints:  newTable[storedEndpoint](100_000, false),
		Challenges: newTable[challenge](10_000, true),
		Audit:      newRing[storedEvent](10_000),
		BeatAudit:  newRing[storedEvent](2_000),
	}
	st.marketState = newMarketState()
	st.streamState = newStreamState()
	st.extraState = newExtraState()
	return st
}

// marketState is the market's part of the state.
type marketState struct {
	Pairings     table[storedPairing] `json:"pairings"`
	Policies     table[Policy]        `json:"policies"`
	SkillConfigs table[SkillConfig]   `json:"skillConfigs"`
	Submissions  table[submission]    `json:"submissions"`
	Searches     table[Search]        `json:"searches"`
	Orders       table[storedOrder]   `json:"orders"`
	Blobs        table[blob]          `json:"blobs"`
	Nonces       table[spentNonce]    `json:"nonces"`
}

func newMarketState() marketState {
	return marketState{
		Pairings:     newTable[storedPairing](50_000, false),
		Policies:     newTable[Policy](1_000, false),
		SkillConfigs: newTable[SkillConfig](1_000, false),
		Submissions:  newTable[submission](500, true),
		Searches:     newTable[Search](2_000, true),
		Orders:       newTable[storedOrder](5_000, true),
		Blobs:        newTable[blob](500, true),
		Nonces:       newTable[spentNonce](10_000, true),
	}
}

// streamState is the part of the state for streams, purchases and devices.
type streamState struct {
	Capabilities   table[storedCapabilities] `json:"deliveryCapabilities"`
	StreamListings table[streamListing]      `json:"streamListings"`
	Purchases      table[storedPurchase]     `json:"purchases"`
	Subscriptions  table[storedSubscription] `json:"iotSubscriptions"`
	IoTEvents      table[iotEvent]           `json:"iotEvents"`
	IoTLost        map[string]uint64         `json:"iotLost"` // by pairing: Seq of the last event that is no longer retained
	SmartDoors     table[smartDoor]          `json:"doors"`
	Commands       table[deviceCommand]      `json:"deviceCommands"`
}

func newStreamState() streamState {
	return streamState{
		Capabilities:   newTable[storedCapabilities](20_000, true),
		StreamListings: newTable[streamListing](5_000, false),
		Purchases:      newTable[storedPurchase](2_000, true),
		Subscriptions:  newTable[storedSubscription](20_000, true),
		IoTEvents:      newTable[iotEvent](eventsInAll, true),
		IoTLost:        map[string]uint64{},
		SmartDoors:     newTable[smartDoor](50_000, true),
		Commands:       newTable[deviceCommand](20_000, true),
	}
}

// extraState is the part of the state for calls that no client published by peaq makes yet.
type extraState struct {
	Owners         table[ownership]    `json:"owners"`     // by machine
	GraphNodes     table[opaqueObject] `json:"graphNodes"` // owner: the machine
	GraphEdges     table[opaqueObject] `json:"graphEdges"`
	StreamPolicies table[opaqueObject] `json:"streamPolicies"`
	ChunkAccess    table[accessEntry]  `json:"chunkAccess"` // owner: the chunk
}

func newExtraState() extraState {
	return extraState{
		Owners:         newTable[ownership](50_000, true),
		GraphNodes:     newTable[opaqueObject](5_000, false),
		GraphEdges:     newTable[opaqueObject](5_000, false),
		StreamPolicies: newTable[opaqueObject](5_000, false),
		ChunkAccess:    newTable[accessEntry](10_000, true),
	}
}

// resume converts events that an older version stored by machine.
func (st *streamState) resume() {
	events := st.IoTEvents.rows
	st.IoTEvents = newTable[iotEvent](eventsInAll, true)
	for _, r := range events {
		r.Owner = r.V.Pairing
		st.IoTEvents.insert(r)
	}
}

// reindex rebuilds the indexes that are not stored.
func (s *Server) reindex() {
	s.byIdentity = map[string]string{}
	for _, r := range s.st.Machines.rows {
		if r.V.Status != "archived" && r.V.IdentityRef != "" {
			s.byIdentity[identityKey(r.V.IdentityRef)] = r.V.ID
		}
	}
}

// resume cleans up after a stop of the server: an order that was running has failed, because nobody
// waits for its result any more. It also converts what an older version stored.
func (st *marketState) resume() {
	for _, r := range st.Pairings.rows {
		if p := r.V; p.OldDay != "" {
			p.add(p.OldDay, p.OldSpent)
			p.OldDay, p.OldSpent = "", 0
		}
	}
	for _, r := range st.Orders.rows {
		if o := r.V; o.Spent > 0 && len(o.Charges) == 0 && o.Status != "cancelled" { // by an older version
			o.Charges = []charge{{utcDay(o.CreatedAt.Time), o.Spent}}
		}
		if r.V.Status == "executing" {
			r.V.Status, r.V.ErrorMessage = "failed", "the sandbox was stopped while the order ran"
		}
	}
}
