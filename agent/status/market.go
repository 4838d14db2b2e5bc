package status

import (
	"fmt"
	"time"
)

// Market is what the orchestrator tells others about one machine, beside what this
// machine believes.
type Market struct {
	Machine      string           `json:"machine"` // name in the configuration; empty: another machine
	MachineID    string           `json:"machine_id"`
	IdentityRef  string           `json:"identity_ref"`
	DisplayName  string           `json:"display_name"`
	Orchestrator string           `json:"orchestrator"`
	Status       string           `json:"status"`
	At           time.Time        `json:"at"`     // by the orchestrator's clock
	Agrees       *bool            `json:"agrees"` // null: there is nothing to compare with
	Reasons      []Reason         `json:"reasons"`
	Endpoints    []MarketEndpoint `json:"endpoints"`
}

// MarketEndpoint is one endpoint as the orchestrator lists it.
type MarketEndpoint struct {
	ProviderKey    string     `json:"provider_key"`
	BaseURL        string     `json:"base_url"`
	NetworkScope   string     `json:"network_scope"`
	AgentID        string     `json:"agent_id"` // that published it; empty: somebody did by hand
	ServerStatus   string     `json:"server_status"`
	LeaseExpiresAt *time.Time `json:"lease_expires_at"`
	LeaseLeft      *float64   `json:"lease_left_seconds"` // by the orchestrator's clock; negative: expired
	Up             *bool      `json:"up"`                 // null: this machine does not probe it
}

// Compare adds what this machine believes, and where the two differ. sameAddress reports
// whether two base URLs are the same to the orchestrator.
func (k *Market) Compare(own MachineView, sameAddress func(a, b string) bool) {
	k.Machine, k.Reasons = own.Name, []Reason{}
	differ := func(endpoint string, code Code, detail string) {
		k.Reasons = append(k.Reasons, Reason{own.Name, endpoint, code, NewCause(code, detail).Text})
	}
	if k.Status != "active" {
		differ("", CodeMachineNotActive, "it is "+k.Status)
	}
	for _, e := range own.Endpoints {
		published := e.LeaseLeft != nil && *e.LeaseLeft > 0
		theirs := k.endpoint(e.ProviderKey)
		if theirs != nil {
			theirs.Up = &e.Up
		}
		switch {
		case theirs == nil && published:
			differ(e.ProviderKey, CodeMarketMissing, e.ProviderKey)
		case theirs == nil || !published:
		case !sameAddress(e.BaseURL, theirs.BaseURL):
			differ(e.ProviderKey, CodeEndpointContested, e.ProviderKey+" at "+theirs.BaseURL)
		case theirs.AgentID != own.AgentID:
			differ(e.ProviderKey, CodeEndpointContested, e.ProviderKey+", published by "+theirs.publisher())
		case theirs.LeaseLeft != nil && *theirs.LeaseLeft <= 0:
			differ(e.ProviderKey, CodeMarketExpired, e.ProviderKey+", "+theirs.left())
		case e.Up && theirs.ServerStatus != "active":
			differ(e.ProviderKey, CodeServerDisagrees, e.ProviderKey+" is "+theirs.ServerStatus)
		}
	}
	for i := range k.Endpoints {
		theirs := &k.Endpoints[i]
		if theirs.LeaseLeft == nil || *theirs.LeaseLeft > 0 {
			if why := own.doesNotPublish(theirs.ProviderKey); why != "" {
				differ(theirs.ProviderKey, CodeMarketStale, theirs.ProviderKey+" "+why)
			}
		}
	}
	agrees := len(k.Reasons) == 0
	k.Agrees = &agrees
}

func (k *Market) endpoint(providerKey string) *MarketEndpoint {
	for i := range k.Endpoints {
		if k.Endpoints[i].ProviderKey == providerKey {
			return &k.Endpoints[i]
		}
	}
	return nil
}

// doesNotPublish says why an endpoint is not published by this machine; "" if it is.
func (m MachineView) doesNotPublish(providerKey string) string {
	for _, e := range m.Endpoints {
		switch {
		case e.ProviderKey != providerKey:
		case e.LeaseLeft == nil || *e.LeaseLeft <= 0:
			return "has no lease here"
		default:
			return ""
		}
	}
	return "is not configured here"
}

// publisher is who published an endpoint.
func (e MarketEndpoint) publisher() string {
	if e.AgentID == "" {
		return "hand"
	}
	return "agent " + e.AgentID
}

// left is the remaining time of the lease by the orchestrator's clock.
func (e MarketEndpoint) left() string { return EndpointView{LeaseLeft: e.LeaseLeft}.Left() }

// Text is the market's view for a terminal. No value in it can move the cursor or start a
// line of its own.
func (k Market) Text(o TextOptions) string {
	w := writer{TextOptions: o}
	w.line(fmt.Sprintf("%s lists %s as %s", escape(k.Orchestrator), escape(k.MachineID), escape(k.Status)))
	labels := []label{{"Name", OrMissing(k.DisplayName)}, {"Identity", OrMissing(k.IdentityRef)}}
	switch {
	case k.Agrees == nil:
		labels = append(labels, label{"Agrees", "not known: this device is not that machine"})
	case *k.Agrees:
		labels = append(labels, label{"Agrees", "yes, with what this machine believes"})
	default:
		labels = append(labels, label{"Agrees", "no"})
	}
	for _, r := range k.Reasons {
		labels = append(labels, label{"Problem", string(r.Code) + ": " + r.Text})
	}
	w.labels(labels)
	if len(k.Endpoints) == 0 {
		w.line("\n  No endpoint is listed")
		return w.text.String()
	}
	rows := [][]string{{"Endpoint", "Base URL", "Server status", "Lease left", "Published by", "Local probe"}}
	for _, e := range k.Endpoints {
		probe := missing
		if e.Up != nil {
			probe = "down"
			if *e.Up {
				probe = "up"
			}
		}
		rows = append(rows, []string{e.ProviderKey, e.BaseURL, e.ServerStatus, e.left(), OrMissing(e.AgentID), probe})
	}
	w.table(rows)
	return w.text.String()
}
