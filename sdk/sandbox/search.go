package sandbox

import (
	"encoding/json"
	"slices"
	"strings"
)

// Search is a market search with its result (contract §2.13).
type Search struct {
	ID             string          `json:"id"`
	MachineID      string          `json:"machineId"`
	AgentPairingID string          `json:"agentPairingId,omitempty"`
	RequestPayload json.RawMessage `json:"requestPayload"`
	NormalizedTask normalizedTask  `json:"normalizedTask"`
	Status         string          `json:"status"`
	Quotes         []Quote         `json:"quotes"`
	CreatedAt      Moment          `json:"createdAt"`
}

type normalizedTask struct {
	ServiceType            string   `json:"serviceType"`
	RequiredCapabilities   []string `json:"requiredCapabilities"`
	AllowExternalHandoff   bool     `json:"allowExternalHandoff"`
	RequireNativeExecution bool     `json:"requireNativeExecution"`
	Operation              string   `json:"operation,omitempty"`
	Region                 string   `json:"region,omitempty"`
}

// searchRequest is a parsed search request.
type searchRequest struct {
	normalizedTask
	machineID, pairingID string
	serviceID            string // set to quote one service only
	most                 int
	budget               *Budget
	credentials          map[string]bool
}

// serviceTypeOf resolves an alias. The contract does not say which type an alias means; here
// location, rtk and gnss mean data.location, defi means oracle.price-feed, and the others follow
// their names.
func serviceTypeOf(name string) (string, bool) {
	switch name {
	case "", "oracle.price-feed", "compute.marketplace", "storage.object", "data.location", "network.partner-console",
		"identity.proof-of-person", "device.control", "machine.commerce":
		return name, true
	case "storage":
		return "storage.object", true
	case "compute":
		return "compute.marketplace", true
	case "identity":
		return "identity.proof-of-person", true
	case "location", "rtk", "gnss":
		return "data.location", true
	case "defi":
		return "oracle.price-feed", true
	case "commerce":
		return "machine.commerce", true
	}
	return "", false
}

func readSearchRequest(in *members) (searchRequest, error) {
	w := searchRequest{machineID: in.text("machineId"), pairingID: in.text("agentPairingId"), most: largestPage}
	named := in.text("serviceType")
	w.Operation, w.Region = in.text("operation"), in.text("region")
	w.RequiredCapabilities, _ = in.texts("requiredCapabilities")
	if n, ok := in.integer("maxResults", 1, largestPage); ok {
		w.most = n
	}
	w.AllowExternalHandoff, _ = in.flag("allowExternalHandoff")
	w.RequireNativeExecution, _ = in.flag("requireNativeExecution")
	w.budget, w.credentials = readBudget(in), readCredentials(in)
	var known bool
	if w.ServiceType, known = serviceTypeOf(named); !known {
		in.fault("serviceType", "unknown service type")
	}
	return w, in.err
}

func (s *Server) searchMarket(c *call) (any, error) {
	w, err := readSearchRequest(c.in)
	if err == nil {
		err = c.owns(w.machineID, w.pairingID)
	}
	if err != nil {
		return nil, err
	}
	m, err := s.activeMachine(c.pair.MachineID)
	if err != nil {
		return nil, err
	}
	found := s.search(c, viewer{m, c.pair}, w)
	c.audit("market.searched", "market-search", found.ID, m.ID, map[string]any{"serviceType": w.ServiceType, "quotes": len(found.Quotes)})
	return c.created(found)
}

// search runs a search and stores the result, so that its quotes can be ordered.
func (s *Server) search(c *call, v viewer, w searchRequest) *Search {
	found := &Search{
		ID: newID("srch"), MachineID: v.machine.ID, AgentPairingID: w.pairingID, RequestPayload: redactCredentials(c.in.all),
		NormalizedTask: w.normalizedTask, Status: "completed", CreatedAt: c.stamp(),
	}
	if v.pairing != nil {
		found.AgentPairingID = v.pairing.ID
	}
	found.Quotes = s.quotes(c, v, w, found.ID)
	if len(found.Quotes) == 0 {
		found.Status = "no_match"
	} else if w.ServiceType == "" {
		found.NormalizedTask.ServiceType = s.market.byID[found.Quotes[0].ServiceID].ServiceType
	}
	s.st.Searches.add(s.next(), found.ID, "", found)
	s.changed()
	return found
}

// matches reports whether an offer meets the request, no matter who makes it.
func (w searchRequest) matches(o *offer) bool {
	handoff := o.ExecutionMode != "native"
	return fits(w.serviceID, o.ID) && fits(w.ServiceType, o.ServiceType) && (w.Operation == "" || slices.Contains(
		o.Operations, w.Operation,
	)) &&
		missing(w.RequiredCapabilities, o.Capabilities) == "" && (w.Region == "" || o.inRegion(w.Region)) &&
		(!handoff || (w.AllowExternalHandoff && !w.RequireNativeExecution)) && w.budget.covers(o.price(), true)
}

// inRegion reports whether an offer is available in a region: a global service is available
// everywhere, and so is one that the machine itself provides.
func (o *offer) inRegion(region string) bool {
	return strings.EqualFold(o.Region, region) || o.Region == "global" || o.Runtime != ""
}

func (s *Server) getSearch(c *call) (any, error) {
	if found := s.st.Searches.get(c.id("search")); found != nil {
		return item(found), nil
	}
	return nil, notFound("the search")
}
