package sandbox

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Quote is an offer with an expiry (contract §2.13).
type Quote struct {
	ID                string     `json:"id"`
	ServiceID         string     `json:"serviceId"`
	SkillKey          string     `json:"skillKey"`
	ProviderKey       string     `json:"providerKey"`
	ExecutionMode     string     `json:"executionMode"`
	IntegrationStatus string     `json:"integrationStatus"`
	Operation         string     `json:"operation"`
	Score             float64    `json:"score"`
	Reasons           []string   `json:"reasons"`
	Pricing           Pricing    `json:"pricing"`
	Payment           RailAdvice `json:"payment"`
	ExpiresAt         Moment     `json:"expiresAt"`
	Handoff           *Handoff   `json:"handoff,omitempty"`
}

// quotes returns the matching offers, best first. A service that cannot run for this machine now is
// not quoted, unless only credentials are missing: those can still be sent with the order.
func (s *Server) quotes(c *call, v viewer, w searchRequest, searchID string) []Quote {
	out := []Quote{}
	for _, r := range s.market.services {
		o := r.V
		if !w.matches(o) || (v.pairing == nil && o.Private) || s.denialReason(v, o, o.price()) != "" || !s.enabled(o.SkillKey) {
			continue
		}
		if o.Runtime != "" && s.serving(c, v.machine.ID, o.Runtime) == nil {
			continue
		}
		q := Quote{
			ServiceID: o.ID, SkillKey: o.SkillKey, ProviderKey: o.ProviderKey, ExecutionMode: o.ExecutionMode,
			IntegrationStatus: o.IntegrationStatus,
			Operation:         o.Operations[0], Pricing: o.Pricing, Payment: o.Payment, ExpiresAt: Moment{c.now.Add(s.quoteTTL)}, Handoff: o.Handoff,
		}
		if w.Operation != "" {
			q.Operation = w.Operation
		}
		q.Score, q.Reasons = score(o, w, v.machine, s.hasCredentials(o, w.credentials))
		out = append(out, q)
	}
	slices.SortStableFunc(out, func(a, b Quote) int { return cmp.Compare(b.Score, a.Score) })
	out = out[:min(len(out), w.most)]
	for i := range out {
		out[i].ID = quoteID(searchID, i)
	}
	return out
}

// score rates an offer between 0 and 1 and lists the reasons. How the real market ranks is not
// published.
func score(o *offer, w searchRequest, m *Machine, ready bool) (float64, []string) {
	points, reasons := 0.5, []string{}
	add := func(holds bool, p float64, reason string) {
		if holds {
			points, reasons = points+p, append(reasons, reason)
		}
	}
	add(o.ExecutionMode == "native", 0.2, "runs here")
	add(o.ExecutionMode != "native", -0.2, "is handed off to "+o.ProviderLabel)
	add(!o.Payment.Required, 0.1, "needs no payment")
	add(o.Runtime != "", 0.1, "is served by the machine's own endpoint")
	add(w.Region != "" && strings.EqualFold(w.Region, o.Region), 0.05, "is in the region")
	add(slices.Contains(m.SkillKeys, o.SkillKey), 0.05, "is one of the machine's skills")
	add(!ready, -0.25, "needs credentials")
	return math.Round(min(1, max(0, points))*100) / 100, reasons
}

// quoteID contains the search's id, so that a quote is found without an index.
func quoteID(searchID string, i int) string {
	return "quo_" + strings.TrimPrefix(searchID, "srch_") + "_" + strconv.Itoa(i+1)
}

// quote finds a quote and its search; nil if there is none.
func (s *Server) quote(id string) (*Search, *Quote) {
	rest, ok := strings.CutPrefix(id, "quo_")
	search, number, two := strings.Cut(rest, "_")
	n, err := strconv.Atoi(number)
	found := s.st.Searches.get("srch_" + search)
	if !ok || !two || err != nil || found == nil || n < 1 || n > len(found.Quotes) || found.Quotes[n-1].ID != id {
		return nil, nil
	}
	return found, &found.Quotes[n-1]
}

// quoteService quotes one service, native or not (contract §3.1). The response is not published:
// an item MarketQuote.
func (s *Server) quoteService(c *call) (any, error) {
	o, err := s.offerNamed(c)
	if err != nil {
		return nil, err
	}
	in := c.in
	w := searchRequest{machineID: in.required("machineId"), pairingID: in.text("agentPairingId"), serviceID: o.ID, most: 1}
	w.Operation, w.ServiceType, w.AllowExternalHandoff, w.RequiredCapabilities = in.text("operation"), o.ServiceType, true, []string{}
	in.raw("input")
	w.budget = readBudget(in)
	if in.err != nil {
		return nil, in.err
	}
	v, err := s.quoteViewer(c, w)
	switch {
	case err != nil:
		return nil, err
	case w.Operation != "" && !slices.Contains(o.Operations, w.Operation):
		return nil, invalid("unknown operation " + w.Operation)
	case s.denialReason(v, o, o.price()) != "":
		return nil, fail("AGENT_POLICY_DENIED", s.denialReason(v, o, o.price()))
	}
	found := s.search(c, v, w)
	c.audit("market.quoted", "market-service", o.ID, v.machine.ID, map[string]any{"quotes": len(found.Quotes)})
	if len(found.Quotes) == 0 {
		return nil, fail("EXECUTION_UNSUPPORTED", "the service exceeds this budget, or cannot run for this machine now")
	}
	return c.created(&found.Quotes[0])
}

// quoteViewer returns for whom a quote is made: the token's pairing, else the one in the body,
// whose policy then applies.
func (s *Server) quoteViewer(c *call, w searchRequest) (viewer, error) {
	if c.pair != nil {
		if err := c.owns(w.machineID, w.pairingID); err != nil {
			return viewer{}, err
		}
	}
	m, err := s.activeMachine(w.machineID)
	if err != nil {
		return viewer{}, err
	}
	v := viewer{m, c.pair}
	if v.pairing == nil && w.pairingID != "" {
		if v.pairing = s.st.Pairings.get(w.pairingID); v.pairing == nil || v.pairing.MachineID != m.ID {
			return viewer{}, notFound("the pairing")
		}
	}
	return v, nil
}
