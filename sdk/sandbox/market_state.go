package sandbox

// marketState is the market's part of what is kept.
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

// resume ends what a stop of the server interrupted: an order that was being run
// has failed, because nobody waits for its answer any more.
func (st *marketState) resume() {
	for _, r := range st.Orders.rows {
		if r.V.Status == "executing" {
			r.V.Status, r.V.ErrorMessage = "failed", "the sandbox was stopped while the order ran"
		}
	}
}
