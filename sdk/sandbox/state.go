package sandbox

import "crypto/rand"

// stateVersion names the form of the state file.
const stateVersion = 2

// state is all that is kept between two runs. Every collection is bounded.
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

// reindex rebuilds what is not kept but found from what is.
func (s *Server) reindex() {
	s.byIdentity = map[string]string{}
	for _, r := range s.st.Machines.rows {
		if r.V.Status != "archived" && r.V.IdentityRef != "" {
			s.byIdentity[identityKey(r.V.IdentityRef)] = r.V.ID
		}
	}
}
