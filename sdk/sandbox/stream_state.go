package sandbox

// streamState is what is kept of streams, purchases and devices.
type streamState struct {
	Capabilities   table[storedCapabilities] `json:"deliveryCapabilities"`
	StreamListings table[streamListing]      `json:"streamListings"`
	Purchases      table[storedPurchase]     `json:"purchases"`
	Subscriptions  table[storedSubscription] `json:"iotSubscriptions"`
	IoTEvents      table[iotEvent]           `json:"iotEvents"`
	IoTLost        map[string]uint64         `json:"iotLost"` // by machine: Seq of the newest event that is not retained any more
	Doors          table[door]               `json:"doors"`
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
		Doors:          newTable[door](50_000, true),
		Commands:       newTable[deviceCommand](20_000, true),
	}
}
