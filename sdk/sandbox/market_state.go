package sandbox

// marketState is the market's part of what is kept.
type marketState struct {
	Pairings table[storedPairing] `json:"pairings"`
	Orders   table[storedOrder]   `json:"orders"`
}

func newMarketState() marketState {
	return marketState{
		Pairings: newTable[storedPairing](50_000, false),
		Orders:   newTable[storedOrder](20_000, true),
	}
}
