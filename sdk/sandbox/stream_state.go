package sandbox

// streamState is what is kept of streams, purchases and devices.
type streamState struct {
	Capabilities   table[storedCapabilities] `json:"deliveryCapabilities"`
	StreamListings table[streamListing]      `json:"streamListings"`
	Purchases      table[storedPurchase]     `json:"purchases"`
	PurchaseEvents table[purchaseEvent]      `json:"purchaseEvents"`
}

func newStreamState() streamState {
	return streamState{
		Capabilities:   newTable[storedCapabilities](20_000, true),
		StreamListings: newTable[streamListing](5_000, false),
		Purchases:      newTable[storedPurchase](2_000, true),
		PurchaseEvents: newTable[purchaseEvent](5_000, true),
	}
}
