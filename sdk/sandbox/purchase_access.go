package sandbox

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// accessForm is the only schema of access entries (contract §2.10).
const accessForm = "peaq.stream.buyer-access.v1"

// accessPerPurchase limits the entries of one purchase.
const accessPerPurchase = 500

// accessBody limits the body that carries them, in bytes.
const accessBody = 256 << 10

// accessEntry is the key of a chunk, sealed for a buyer.
type accessEntry struct {
	SchemaVersion string       `json:"schemaVersion"`
	ChunkID       string       `json:"chunkId"`
	Buyer         keyRecipient `json:"buyer"`
}

type keyRecipient struct {
	RecipientID   string `json:"recipientId"`
	RecipientType string `json:"recipientType"`
	Algorithm     string `json:"algorithm"`
	PublicKeyHex  string `json:"publicKeyHex"`
	WrappedKeyHex string `json:"wrappedKeyHex"`
}

// p2pConnect says how to reach the seller; its URL is a secret.
type p2pConnect struct {
	Type      string `json:"type"`
	URL       string `json:"url"`
	ExpiresAt Moment `json:"expiresAt"`
}

type signaling struct {
	Type      string `json:"type"`
	ChannelID string `json:"channelId"`
}

// deliverySession is one delivery, starting with the payment.
type deliverySession struct {
	ID             string          `json:"id"`
	MachineID      string          `json:"machineId"`
	OrderID        string          `json:"orderId"`
	BuyerID        string          `json:"buyerId"`
	ChunkIDs       []string        `json:"chunkIds"`
	Delivery       sessionDelivery `json:"delivery"`
	Status         string          `json:"status"`
	CreatedAt      Moment          `json:"createdAt"`
	UpdatedAt      Moment          `json:"updatedAt"`
	RequestedRange json.RawMessage `json:"requestedRange,omitempty"`
}

type sessionDelivery struct {
	Mode        string      `json:"mode"`
	TransportID string      `json:"transportId"`
	Signaling   signaling   `json:"signaling"`
	Protocols   []string    `json:"protocols"`
	Encoding    string      `json:"encoding"`
	Connect     *p2pConnect `json:"connect,omitempty"`
	URL         string      `json:"url,omitempty"`
	Message     string      `json:"message,omitempty"`
}

// openSession starts the delivery of a paid purchase.
func (p *storedPurchase) openSession(c *call) {
	id := newID("dsess")
	p.Delivery.SessionID = id
	p.Session = &deliverySession{
		ID: id, MachineID: p.SellerID, OrderID: p.ID, BuyerID: p.Buyer.ID, ChunkIDs: p.ChunkIDs, Status: p.Delivery.Status,
		Delivery: sessionDelivery{
			Mode: modeP2P, TransportID: transportP2P, Signaling: signaling{signalSocket, newID("chan")}, Protocols: []string{}, Encoding: frameForm,
		},
		CreatedAt: c.stamp(), UpdatedAt: c.stamp(),
	}
	if p.Delivery.TransportID != "" {
		d := &p.Session.Delivery
		d.Mode, d.TransportID, d.Protocols, d.Encoding = p.Delivery.Mode, p.Delivery.TransportID, p.Delivery.Protocols, p.Delivery.Encoding
	}
}

// deliver sets the delivery's status in the purchase and in its session.
func (p *storedPurchase) deliver(c *call, status string) {
	p.Delivery.Status, p.UpdatedAt = status, c.stamp()
	if p.Session != nil {
		p.Session.Status, p.Session.UpdatedAt = status, c.stamp()
	}
}

// prepareAccess takes the seller's sealed keys and connection data. It may be repeated with new
// connection data.
func (s *Server) prepareAccess(c *call) (any, error) {
	a, err := c.authenticate()
	if err != nil {
		return nil, err
	}
	p, err := s.openPurchase(c)
	switch {
	case err != nil:
		return nil, err
	case p.SellerID != a.MachineID:
		return nil, fail("AGENT_AUTH_INVALID", "the agent does not belong to the seller's machine")
	}
	entries := p.readAccess(c.in, "items")
	delivery := readHandoff(c)
	switch {
	case c.in.err != nil:
		return nil, c.in.err
	case p.Payment.Status != "verified":
		return nil, fail("PAYMENT_REQUIRED", "the purchase is not paid yet")
	}
	p.Access, p.Prepared = entries, true
	p.GrantIDs = make([]string, len(entries))
	for i := range entries {
		p.GrantIDs[i] = newID("grant")
	}
	p.handOff(delivery)
	p.deliver(c, "ready")
	if p.Status == "payment_verified" {
		p.Status = "delivery_released"
	}
	c.audit("purchase.access.prepared", "purchase", p.ID, p.SellerID, map[string]any{"items": len(entries)})
	return map[string]any{"item": p.streamOrder(), "access": append([]accessEntry{}, p.Access...), "deliverySession": p.Session}, nil
}

// readAccess reads access entries, which have only one schema. They must be about chunks of the
// purchase, and those for the buyer must have its id and key.
func (p *storedPurchase) readAccess(in *members, name string) []accessEntry {
	out := []accessEntry{}
	if !in.has(name) {
		in.fault(name, "must be an array of objects")
	}
	for _, o := range in.objects(name, accessPerPurchase) {
		e := readAccessEntry(o)
		if o.err == nil && !slices.Contains(p.ChunkIDs, e.ChunkID) {
			o.fault("chunkId", "is not a chunk of the purchase")
		}
		if o.err == nil && e.Buyer.RecipientType == "buyer" {
			if why := firstDifference(
				difference{"recipientId", e.Buyer.RecipientID, p.Buyer.ID},
				difference{"publicKeyHex", e.Buyer.PublicKeyHex, p.Buyer.PublicKey.PublicKeyHex},
			); why != "" {
				o.fault("buyer", "is not the buyer of the purchase: "+strings.ReplaceAll(why, "payment intent", "purchase"))
			}
		}
		out = append(out, e)
		in.join(o)
	}
	return out
}

func readAccessEntry(in *members) accessEntry {
	e := accessEntry{SchemaVersion: in.choice("schemaVersion", accessForm), ChunkID: in.required("chunkId")}
	b := in.object("buyer")
	if b == nil {
		in.fault("buyer", "must be an object")
		return e
	}
	e.Buyer = keyRecipient{
		RecipientID: b.required("recipientId"), RecipientType: b.choice("recipientType", "owner", "operator", "machine", "buyer"),
		Algorithm: b.choice("algorithm", "x25519-sealedbox"), PublicKeyHex: b.required("publicKeyHex"),
		WrappedKeyHex: b.required("wrappedKeyHex"),
	}
	if _, err := hex.DecodeString(e.Buyer.PublicKeyHex); err != nil {
		b.fault("publicKeyHex", "must be hex digits")
	}
	if _, err := hex.DecodeString(e.Buyer.WrappedKeyHex); err != nil {
		b.fault("wrappedKeyHex", "must be hex digits")
	}
	in.join(b)
	return e
}

// handoff is the seller's connection data.
type handoff struct {
	mode, transportID, channelID string
	connect                      *p2pConnect
}

// readHandoff reads delivery; nil when it was not sent. Older sellers omit it, or name another mode
// without connect.
func readHandoff(c *call) *handoff {
	in := c.in
	d := in.object("delivery")
	if d == nil {
		return nil
	}
	h := &handoff{mode: d.required("mode"), transportID: d.text("transportId"), channelID: d.text("channelId")}
	if o := d.object("connect"); o != nil {
		h.connect = &p2pConnect{Type: o.choice("type", "peaqos-p2p-url"), URL: o.required("url")}
		until, ok := parseMoment(o.required("expiresAt"))
		h.connect.ExpiresAt = until
		switch {
		case !strings.HasPrefix(h.connect.URL, "peaqos-p2p://"):
			o.fault("url", "must start with peaqos-p2p://")
		case !ok:
			o.fault("expiresAt", "is not an RFC 3339 time")
		}
		d.join(o)
	} else if h.mode == modeP2P {
		d.fault("connect", "must be an object")
	}
	if h.mode == modeP2P && h.transportID == "" {
		d.fault("transportId", "must be a non-empty string")
	}
	in.join(d)
	return h
}

// handOff stores the seller's connection data.
func (p *storedPurchase) handOff(h *handoff) {
	d := &p.Session.Delivery
	if h != nil {
		d.Mode, d.Connect = h.mode, h.connect
		if h.transportID != "" {
			d.TransportID = h.transportID
		}
		if h.channelID != "" {
			d.Signaling.ChannelID = h.channelID
		}
	}
	p.Delivery.Mode, p.Delivery.TransportID, p.Delivery.Protocols, p.Delivery.Encoding = d.Mode, d.TransportID, d.Protocols, d.Encoding
}

// getDelivery returns the buyer's keys and how to reach the seller. An expired connect is omitted.
func (s *Server) getDelivery(c *call) (any, error) {
	p, err := s.purchaseNamed(c)
	if err != nil {
		return nil, err
	}
	return s.showDelivery(c, p)
}

// showDelivery returns a delivery and notifies the seller that it was fetched.
func (s *Server) showDelivery(c *call, p *storedPurchase) (any, error) {
	response, err := p.access(c)
	if err != nil {
		return nil, err
	}
	c.audit("purchase.delivery.accessed", "purchase", p.ID, p.SellerID, nil)
	s.notify(c, p, "purchase.delivery.accessed", map[string]any{"purchaseId": p.ID})
	return response, nil
}

// access returns the buyer's view of a delivery.
func (p *storedPurchase) access(c *call) (any, error) {
	if p.Session == nil || !p.Prepared {
		return nil, fail("STREAM_DELIVERY_NOT_READY", fmt.Sprintf("the seller has not prepared access yet: the purchase is %s", p.Status))
	}
	d := p.Session.Delivery
	response := map[string]any{
		"status": p.Session.Status, "mode": d.Mode, "transportId": d.TransportID, "sessionId": p.Session.ID, "signaling": d.Signaling,
		"protocols": append([]string{}, d.Protocols...), "encoding": d.Encoding,
	}
	if d.Connect != nil && c.now.Before(d.Connect.ExpiresAt.Time) {
		response["connect"] = d.Connect
	}
	return map[string]any{"purchaseId": p.ID, "delivery": response, "access": append([]accessEntry{}, p.Access...)}, nil
}
