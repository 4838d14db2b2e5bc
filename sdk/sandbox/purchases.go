package sandbox

import (
	"slices"
	"strconv"
)

// The rails of a purchase (contract §2.7).
const (
	railX402     = "x402"
	railTransfer = "transfer"
)

// purchase is a purchase of streamed data in the API's representation (contract §2.10).
type purchase struct {
	ID        string           `json:"id"`
	Status    string           `json:"status"`
	Resource  purchaseResource `json:"resource"`
	Buyer     purchaseBuyer    `json:"buyer"`
	Payment   purchasePayment  `json:"payment"`
	Delivery  purchaseDelivery `json:"delivery"`
	CreatedAt Moment           `json:"createdAt"`
	UpdatedAt Moment           `json:"updatedAt"`
}

type purchaseResource struct {
	Type      string             `json:"type"`
	ListingID string             `json:"listingId"`
	Mode      string             `json:"mode,omitempty"`
	Selection *purchaseSelection `json:"selection,omitempty"`
}

type purchaseSelection struct {
	ChunkIDs  []string `json:"chunkIds,omitempty"`
	Topic     string   `json:"topic,omitempty"`
	StartTime string   `json:"startTime,omitempty"`
	EndTime   string   `json:"endTime,omitempty"`
}

type purchaseBuyer struct {
	ID                   string               `json:"id"`
	PublicKey            buyerKey             `json:"publicKey"`
	DeliveryCapabilities []deliveryCapability `json:"deliveryCapabilities,omitempty"`
	MachineID            string               `json:"machineId,omitempty"`
}

type buyerKey struct {
	Type         string `json:"type"`
	PublicKeyHex string `json:"publicKeyHex"`
}

type purchasePayment struct {
	Status     string `json:"status"`
	Rail       string `json:"rail,omitempty"`
	Reference  string `json:"reference,omitempty"`
	RecordedAt Moment `json:"recordedAt,omitzero"`
}

type purchaseDelivery struct {
	Status      string   `json:"status"`
	Mode        string   `json:"mode,omitempty"`
	TransportID string   `json:"transportId,omitempty"`
	Protocols   []string `json:"protocols,omitempty"`
	Encoding    string   `json:"encoding,omitempty"`
	SessionID   string   `json:"sessionId,omitempty"`
}

// storedPurchase is a purchase with data that its own representation does not include.
type storedPurchase struct {
	purchase
	SellerID  string           `json:"sellerId"` // the seller's machine
	PairingID string           `json:"pairingId,omitempty"`
	Price     streamPrice      `json:"price"`
	ChunkIDs  []string         `json:"chunkIds"`
	Intent    *purchaseIntent  `json:"intent,omitempty"`
	Receipt   *purchaseReceipt `json:"receipt,omitempty"`
	Access    []accessEntry    `json:"access,omitempty"`
	PaidBy    string           `json:"paidBy,omitempty"`   // fingerprint of the proof that paid
	Prepared  bool             `json:"prepared,omitempty"` // the seller has prepared access
	GrantIDs  []string         `json:"grantIds,omitempty"`
	Session   *deliverySession `json:"session,omitempty"`
}

// closed reports whether the purchase is finished.
func (p *purchase) closed() bool {
	return slices.Contains([]string{"completed", "cancelled", "failed"}, p.Status)
}

func newPurchase(c *call) *storedPurchase {
	return &storedPurchase{purchase: purchase{
		ID: newID("pur"), Payment: purchasePayment{Status: "pending"}, Delivery: purchaseDelivery{Status: "requested"},
		CreatedAt: c.stamp(), UpdatedAt: c.stamp(),
	}}
}

// createPurchase creates a purchase. It is reserved at once if the seller has registered how it
// delivers, else when the seller reports that it is ready.
func (s *Server) createPurchase(c *call) (any, error) {
	p := newPurchase(c)
	p.PairingID = c.pair.ID
	preference := p.read(c.in)
	if c.in.err != nil {
		return nil, c.in.err
	}
	if p.Buyer.MachineID != "" && p.Buyer.MachineID != c.pair.MachineID {
		return nil, fail("AGENT_AUTH_INVALID", "the pairing token was not issued for the buyer's machine")
	}
	if err := s.reserve(c, p, preference); err != nil {
		return nil, err
	}
	return c.created(&p.purchase)
}

// deliveryPreference is what a buyer can receive.
type deliveryPreference struct{ modes, transports []string }

// read reads the body of a purchase.
func (p *storedPurchase) read(in *members) (preference deliveryPreference) {
	if r := in.object("resource"); r != nil {
		p.Resource.Type = r.choice("type", "stream.listing")
		p.Resource.ListingID = r.required("listingId")
		if sel := r.object("selection"); sel != nil {
			p.Resource.Selection = &purchaseSelection{Topic: sel.text("topic"), StartTime: sel.text("startTime"), EndTime: sel.text("endTime")}
			p.Resource.Selection.ChunkIDs, _ = sel.texts("chunkIds")
			r.join(sel)
		}
		in.join(r)
	} else {
		in.fault("resource", "must be an object")
	}
	if b := in.object("buyer"); b != nil {
		p.Buyer = readBuyer(b)
		in.join(b)
	} else {
		in.fault("buyer", "must be an object")
	}
	if d := in.object("delivery"); d != nil {
		preference.modes, _ = d.texts("acceptableModes")
		preference.transports, _ = d.texts("preferredTransports")
		in.join(d)
	}
	return preference
}

func readBuyer(in *members) purchaseBuyer {
	b := purchaseBuyer{
		ID: in.required("id"), MachineID: in.text("machineId"),
		DeliveryCapabilities: readCapabilities(in, "deliveryCapabilities"),
	}
	key := in.object("publicKey")
	if key == nil {
		in.fault("publicKey", "must be an object")
		return b
	}
	b.PublicKey = buyerKey{Type: key.choice("type", "x25519"), PublicKeyHex: key.required("publicKeyHex")}
	in.join(key)
	return b
}

// reserve checks a purchase against its listing, stores it and notifies the seller.
func (s *Server) reserve(c *call, p *storedPurchase, preference deliveryPreference) error {
	l := s.st.StreamListings.get(p.Resource.ListingID)
	if l == nil {
		return notFound("the listing")
	}
	if _, err := s.activeMachine(l.MachineID); err != nil {
		return err
	}
	p.SellerID, p.Price, p.ChunkIDs = l.MachineID, l.Price, l.ChunkIDs
	if l.Resource != nil {
		p.Resource.Mode = l.Resource.Mode
	}
	if sel := p.Resource.Selection; sel != nil && len(sel.ChunkIDs) > 0 {
		p.ChunkIDs = sel.ChunkIDs
	}
	for _, id := range p.ChunkIDs {
		if !slices.Contains(l.ChunkIDs, id) {
			return invalid("resource.selection.chunkIds contains a chunk that the listing does not offer")
		}
	}
	if err := p.chooseDelivery(l, preference); err != nil {
		return err
	}
	p.Status = "delivery_reserving"
	if s.canDeliver(l.MachineID, p.Delivery.TransportID, c.now) {
		p.Status = "delivery_reserved"
	}
	s.st.Purchases.add(s.next(), p.ID, l.MachineID, p)
	c.audit("purchase.created", "purchase", p.ID, l.MachineID, map[string]any{"listingId": l.ID, "buyerId": p.Buyer.ID})
	s.notify(c, p, "purchase.created", map[string]any{"purchaseId": p.ID})
	return nil
}

// chooseDelivery picks the listing's delivery option that the buyer prefers. Without options in the
// listing, the seller chooses when it prepares access.
func (p *storedPurchase) chooseDelivery(l *streamListing, preference deliveryPreference) error {
	if len(preference.modes) > 0 && !slices.Contains(preference.modes, modeP2P) {
		return invalid("delivery.acceptableModes does not contain p2p, the only mode offered")
	}
	rank := func(o deliveryOption) int {
		if len(preference.transports) == 0 {
			return 0
		}
		return slices.Index(preference.transports, o.TransportID)
	}
	var best *deliveryOption
	for i := range l.DeliveryOptions {
		o := &l.DeliveryOptions[i]
		if rank(*o) >= 0 && (best == nil || rank(*o) < rank(*best)) {
			best = o
		}
	}
	switch {
	case best != nil:
		p.Delivery.Mode, p.Delivery.TransportID = best.Mode, best.TransportID
		p.Delivery.Protocols, p.Delivery.Encoding = best.Protocols, best.Encoding
	case len(l.DeliveryOptions) > 0:
		return invalid("delivery.preferredTransports contains no transport of the listing")
	}
	return nil
}

// purchaseNamed returns the purchase named in the path. A pairing sees only its own.
func (s *Server) purchaseNamed(c *call) (*storedPurchase, error) {
	p := s.st.Purchases.get(c.id("purchase"))
	switch {
	case p == nil:
		return nil, notFound("the purchase")
	case c.pair != nil && p.PairingID != c.pair.ID:
		return nil, fail("AGENT_AUTH_INVALID", "the pairing token was issued for another purchase")
	}
	return p, nil
}

// openPurchase is purchaseNamed for calls that change the purchase.
func (s *Server) openPurchase(c *call) (*storedPurchase, error) {
	p, err := s.purchaseNamed(c)
	if err == nil && p.closed() {
		return nil, fail("ORDER_CLOSED", "the purchase is "+p.Status)
	}
	return p, err
}

func (s *Server) getPurchase(c *call) (any, error) {
	p, err := s.purchaseNamed(c)
	if err != nil {
		return nil, err
	}
	return item(&p.purchase), nil
}

// price returns the price as a decimal number.
func (p *storedPurchase) price() string { return strconv.FormatFloat(p.Price.Amount, 'f', -1, 64) }
