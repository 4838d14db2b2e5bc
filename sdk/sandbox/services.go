package sandbox

import "encoding/json"

// Service is a market service (contract §2.12). Optional strings are omitted when empty.
type Service struct {
	ID                      string              `json:"id"`
	SkillKey                string              `json:"skillKey"`
	ProviderKey             string              `json:"providerKey"`
	ProviderID              string              `json:"providerId"`
	ProviderLabel           string              `json:"providerLabel"`
	ServiceType             string              `json:"serviceType"`
	Name                    string              `json:"name"`
	Description             string              `json:"description"`
	Operations              []string            `json:"operations"`
	AuthType                string              `json:"authType"`
	AccessMode              string              `json:"accessMode"`
	ExecutionMode           string              `json:"executionMode"`
	IntegrationStatus       string              `json:"integrationStatus"`
	Distribution            string              `json:"distribution"`
	Maturity                string              `json:"maturity"`
	Kind                    string              `json:"kind"`
	Capabilities            []string            `json:"capabilities"`
	Region                  string              `json:"region"`
	FreshnessSeconds        int                 `json:"freshnessSeconds"`
	RequiresHumanEnablement bool                `json:"requiresHumanEnablement"`
	Metadata                json.RawMessage     `json:"metadata,omitempty"`
	UpdatedAt               string              `json:"updatedAt"`
	ReferenceURL            string              `json:"referenceUrl,omitempty"`
	ArtifactURL             string              `json:"artifactUrl,omitempty"`
	Handoff                 *Handoff            `json:"handoff,omitempty"`
	OperationContracts      []OperationContract `json:"operationContracts"`
	Pricing                 Pricing             `json:"pricing"`
	Payment                 RailAdvice          `json:"payment"`
}

// Handoff refers a person to the place where the service is used.
type Handoff struct {
	Label string   `json:"label"`
	URL   string   `json:"url"`
	Notes []string `json:"notes"`
}

// OperationContract describes the input and output of an operation (contract §2.12, and §2.18 for
// oneM2M services).
type OperationContract struct {
	Operation       string          `json:"operation"`
	InputFields     []FieldSpec     `json:"inputFields"`
	OutputFields    []FieldSpec     `json:"outputFields"`
	ExampleInput    json.RawMessage `json:"exampleInput,omitempty"`
	ExampleOutput   json.RawMessage `json:"exampleOutput,omitempty"`
	ProviderRequest json.RawMessage `json:"providerRequest,omitempty"`
	Summary         string          `json:"summary,omitempty"`
	Notes           []string        `json:"notes,omitempty"`
}

// FieldSpec describes one member of an input or a result.
type FieldSpec struct {
	Key         string          `json:"key"`
	Type        string          `json:"type"`
	Description string          `json:"description"`
	Required    bool            `json:"required,omitempty"`
	Fields      []FieldSpec     `json:"fields,omitempty"`
	Enum        []string        `json:"enum,omitempty"`
	FixedValue  string          `json:"fixedValue,omitempty"`
	Integer     bool            `json:"integer,omitempty"`
	Minimum     *float64        `json:"minimum,omitempty"`
	Maximum     *float64        `json:"maximum,omitempty"`
	Pattern     string          `json:"pattern,omitempty"`
	Default     json.RawMessage `json:"default,omitempty"`
	Example     json.RawMessage `json:"example,omitempty"`
}

// Pricing is the price of a service (contract §2.13).
type Pricing struct {
	Mode     string   `json:"mode"`
	Notes    []string `json:"notes"`
	Amount   *float64 `json:"amount,omitempty"`
	Currency string   `json:"currency,omitempty"`
	Rate     string   `json:"rate,omitempty"`
}

// RailAdvice says how an order can be paid (contract §2.13, MarketPaymentRailRecommendation).
type RailAdvice struct {
	DefaultRail    string   `json:"defaultRail"`
	SupportedRails []string `json:"supportedRails"`
	Required       bool     `json:"required"`
	Notes          []string `json:"notes"`
	Provider       string   `json:"provider,omitempty"`
	Chain          string   `json:"chain,omitempty"`
	Token          string   `json:"token,omitempty"`
	TokenAddress   string   `json:"tokenAddress,omitempty"`
	TokenMint      string   `json:"tokenMint,omitempty"`
	WalletAddress  string   `json:"walletAddress,omitempty"`
	ExternalURL    string   `json:"externalUrl,omitempty"`
	PayerAddress   string   `json:"payerAddress,omitempty"`
	PayeeAddress   string   `json:"payeeAddress,omitempty"`
}

// viewer is who the catalogue is shown to: a machine, with the pairing that acts for it, or nobody
// in particular.
type viewer struct {
	machine *Machine
	pairing *storedPairing
}

// viewerOf reads machineId from the query. With a pairing token the machine is the token's.
func (s *Server) viewerOf(c *call) (viewer, error) {
	v := viewer{pairing: c.pair}
	id := c.r.URL.Query().Get("machineId")
	if c.pair != nil {
		if id != "" && id != c.pair.MachineID {
			return v, fail("AGENT_AUTH_INVALID", "the pairing token was issued for another machine")
		}
		id = c.pair.MachineID
	}
	if id == "" {
		return v, nil
	}
	var err error
	v.machine, err = s.machine(id)
	return v, err
}

// lists reports whether the catalogue shows an offer. With a pairing token it is the machine's own
// catalogue: it includes private services, and excludes what a policy denies and what the machine's
// endpoints do not serve now.
func (s *Server) lists(c *call, v viewer, o *offer) bool {
	if v.pairing == nil {
		return !o.Private
	}
	return s.denialReason(v, o, o.price()) == "" && (o.Runtime == "" || s.serving(c, v.machine.ID, o.Runtime) != nil)
}

// denialReason returns which policy, of the pairing or the machine, denies an offer; "" if none
// does.
func (s *Server) denialReason(v viewer, o *offer, price float64) string {
	if v.pairing != nil {
		if why := v.pairing.DelegationPolicy.denial(o); why != "" {
			return why
		}
	}
	if v.machine != nil {
		return s.denialFor(v.machine, o, price)
	}
	return ""
}

// serving returns the machine's endpoint of a provider key if it can be called now, else nil.
func (s *Server) serving(c *call, machineID, providerKey string) *storedEndpoint {
	if e := s.endpoint(machineID, providerKey); e != nil && e.statusAt(c.now) != "unreachable" {
		return e
	}
	return nil
}

func (s *Server) listServices(c *call) (any, error) {
	v, err := s.viewerOf(c)
	if err != nil {
		return nil, err
	}
	q := c.r.URL.Query()
	keep := func(o *offer) bool {
		return s.lists(c, v, o) && fits(q.Get("serviceType"), o.ServiceType) &&
			fits(q.Get("executionMode"), o.ExecutionMode) && fits(q.Get("providerKey"), o.ProviderKey)
	}
	return pageOf(c, s.market.services, keep, func(o *offer) any { return &o.Service })
}

// offerNamed returns the service named in the path, if the caller may see it.
func (s *Server) offerNamed(c *call) (*offer, error) { return s.offer(c, c.id("service")) }

// offer returns a service by id. A private one exists for pairings only.
func (s *Server) offer(c *call, id string) (*offer, error) {
	if o := s.market.byID[id]; o != nil && (c.pair != nil || !o.Private) {
		return o, nil
	}
	return nil, notFound("the market service")
}

func (s *Server) getService(c *call) (any, error) {
	if _, err := s.viewerOf(c); err != nil {
		return nil, err
	}
	o, err := s.offerNamed(c)
	if err != nil {
		return nil, err
	}
	return item(&o.Service), nil
}

// getAvailability reports whether an order would run now (contract §3.1). The envelope is not
// published: an item. machineId in the query, or a pairing token, says for which machine.
func (s *Server) getAvailability(c *call) (any, error) {
	v, err := s.viewerOf(c)
	if err != nil {
		return nil, err
	}
	o, err := s.offerNamed(c)
	if err != nil {
		return nil, err
	}
	why := s.unavailableReason(c, v, o, nil)
	return item(struct {
		ServiceID         string `json:"serviceId"`
		Available         bool   `json:"available"`
		ExecutionMode     string `json:"executionMode"`
		IntegrationStatus string `json:"integrationStatus"`
		CheckedAt         Moment `json:"checkedAt"`
		Reason            string `json:"reason,omitempty"`
	}{o.ID, why == "", o.ExecutionMode, o.IntegrationStatus, c.stamp(), why}), nil
}

// unavailableReason returns why a service cannot run for the viewer now; "" if it can.
func (s *Server) unavailableReason(c *call, v viewer, o *offer, credentials map[string]bool) string {
	switch {
	case !s.enabled(o.SkillKey):
		return "the skill " + o.SkillKey + " is disabled"
	case !s.hasCredentials(o, credentials):
		return "credentials are needed: send providerCredentials." + o.Credentials + ", or set them in the skill's config"
	case o.Runtime == "":
	case v.machine == nil:
		return "it runs on a machine's own " + o.Runtime + " endpoint: send a machineId"
	case s.serving(c, v.machine.ID, o.Runtime) == nil:
		return "the machine has no " + o.Runtime + " endpoint that is reachable now"
	}
	return ""
}
