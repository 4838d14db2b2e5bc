package sandbox

import (
	"encoding/json"
	"strings"
)

// listingsPerMachine limits the listings of one machine.
const listingsPerMachine = 200

// streamListing is an offer of recorded or live data (contract §2.9 and §3.3).
type streamListing struct {
	ID              string           `json:"id"`
	MachineID       string           `json:"machineId"`
	Title           string           `json:"title"`
	ChunkIDs        []string         `json:"chunkIds"`
	Price           streamPrice      `json:"price"`
	StorageProvider string           `json:"storageProvider,omitempty"`
	Resource        *listingResource `json:"resource,omitempty"`
	PaymentRails    []listingRail    `json:"paymentRails"`
	DeliveryOptions []deliveryOption `json:"deliveryOptions"`
	CreatedAt       Moment           `json:"createdAt"`
	UpdatedAt       Moment           `json:"updatedAt"`
}

type streamPrice struct {
	Amount   float64 `json:"amount"`
	Currency string  `json:"currency"`
}

type listingResource struct {
	Type         string `json:"type"`
	Mode         string `json:"mode"`
	SupportsLive bool   `json:"supportsLive"`
}

// listingRail is a payment rail: x402 with its own members, or transfer with a destination.
type listingRail struct {
	Type           string           `json:"type"`
	Chain          string           `json:"chain,omitempty"`
	Token          string           `json:"token,omitempty"`
	FacilitatorURL string           `json:"facilitatorUrl,omitempty"`
	Destination    *railDestination `json:"destination,omitempty"`
}

type railDestination struct {
	Chain        string `json:"chain,omitempty"`
	Token        string `json:"token,omitempty"`
	PayTo        string `json:"payTo"`
	TokenAddress string `json:"tokenAddress,omitempty"`
}

type deliveryOption struct {
	deliveryCapability
	Params json.RawMessage `json:"params,omitempty"`
}

// showListing returns a listing with its status, which is active while its machine is.
func (s *Server) showListing(l *streamListing) any {
	status := "active"
	if _, err := s.activeMachine(l.MachineID); err != nil {
		status = "inactive"
	}
	return struct {
		*streamListing
		Status string `json:"status"`
	}{l, status}
}

// createListing creates a listing (contract §3.3).
func (s *Server) createListing(c *call) (any, error) {
	m, err := s.activeMachine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	in := c.in
	l := &streamListing{
		ID: newID("lst"), MachineID: m.ID, Title: in.required("title"), StorageProvider: in.text("storageProvider"),
		PaymentRails: []listingRail{}, DeliveryOptions: []deliveryOption{}, CreatedAt: c.stamp(), UpdatedAt: c.stamp(),
	}
	var sent bool
	if l.ChunkIDs, sent = in.texts("chunkIds"); !sent {
		in.fault("chunkIds", "must be an array of strings")
	}
	if price := in.object("price"); price != nil {
		amount, ok := price.amount("amount")
		if !ok {
			price.fault("amount", "must be a number")
		} else {
			l.Price.Amount = *amount
		}
		l.Price.Currency = price.required("currency")
		in.join(price)
	} else {
		in.fault("price", "must be an object")
	}
	l.takePurchaseFields(in)
	if in.err != nil {
		return nil, in.err
	}
	if len(s.st.StreamListings.of(m.ID)) >= listingsPerMachine || !s.st.StreamListings.add(s.next(), l.ID, m.ID, l) {
		return nil, invalid("the machine has reached the limit of listings")
	}
	c.audit("stream-listing.created", "stream-listing", l.ID, m.ID, map[string]any{"title": l.Title})
	return c.created(s.showListing(l))
}

// patchListing sets what purchases need (contract §2.9). What is not sent stays.
func (s *Server) patchListing(c *call) (any, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	l := s.st.StreamListings.get(c.id("listing"))
	if l == nil || l.MachineID != m.ID {
		return nil, notFound("the listing")
	}
	next := *l
	next.takePurchaseFields(c.in)
	if c.in.err != nil {
		return nil, c.in.err
	}
	next.UpdatedAt = c.stamp()
	*l = next
	c.audit("stream-listing.updated", "stream-listing", l.ID, m.ID, nil)
	return item(s.showListing(l)), nil
}

// takePurchaseFields reads resource, paymentRails and deliveryOptions.
func (l *streamListing) takePurchaseFields(in *members) {
	if o := in.object("resource"); o != nil {
		l.Resource = &listingResource{Type: o.required("type"), Mode: o.required("mode")}
		l.Resource.SupportsLive, _ = o.flag("supportsLive")
		in.join(o)
	}
	if in.has("paymentRails") {
		l.PaymentRails = []listingRail{}
		for _, o := range in.objects("paymentRails", 32) {
			l.PaymentRails = append(l.PaymentRails, readStreamRail(o, true))
			in.join(o)
		}
	}
	if in.has("deliveryOptions") {
		l.DeliveryOptions = []deliveryOption{}
		for _, o := range in.objects("deliveryOptions", 32) {
			l.DeliveryOptions = append(l.DeliveryOptions, deliveryOption{readCapability(o), o.raw("params")})
			in.join(o)
		}
	}
}

// readStreamRail reads a rail. In a listing (whole) a transfer must name chain and token; in a
// payment intent it may leave them to the listing.
func readStreamRail(in *members, whole bool) listingRail {
	r := listingRail{Type: in.choice("type", railX402, railTransfer)}
	switch r.Type {
	case railX402:
		r.Chain, r.Token, r.FacilitatorURL = in.required("chain"), in.required("token"), in.text("facilitatorUrl")
	case railTransfer:
		to := in.object("destination")
		if to == nil {
			in.fault("destination", "must be an object")
			return r
		}
		optional := to.text
		if whole {
			optional = to.required
		}
		r.Destination = &railDestination{
			Chain: optional("chain"), Token: optional("token"), PayTo: to.required("payTo"),
			TokenAddress: to.text("tokenAddress"),
		}
		in.join(to)
	}
	return r
}

// listListings is the public list. Inactive listings are included on request.
func (s *Server) listListings(c *call) (any, error) {
	q := c.r.URL.Query()
	machine, provider, all := q.Get("machineId"), q.Get("storageProvider"), q.Get("includeInactive") == "true"
	rows := s.st.StreamListings.rows
	if machine != "" {
		rows = s.st.StreamListings.of(machine)
	}
	keep := func(l *streamListing) bool {
		if provider != "" && !strings.EqualFold(provider, l.StorageProvider) {
			return false
		}
		_, err := s.activeMachine(l.MachineID)
		return all || err == nil
	}
	return pageOf(c, rows, keep, s.showListing)
}

func (s *Server) getListing(c *call) (any, error) {
	l := s.st.StreamListings.get(c.id("listing"))
	if l == nil {
		return nil, notFound("the listing")
	}
	return item(s.showListing(l)), nil
}
