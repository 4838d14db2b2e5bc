package sandbox

// viewer is for whom a catalogue is shown: a machine, with the pairing that asks
// for it, or nobody in particular.
type viewer struct {
	machine *Machine
	pairing *storedPairing
}

// viewerOf reads the machineId of a query; with a pairing token the machine is
// the token's.
func (s *Server) viewerOf(c *call) (viewer, error) {
	v := viewer{pairing: c.pair}
	id := c.r.URL.Query().Get("machineId")
	if c.pair != nil {
		if id != "" && id != c.pair.MachineID {
			return v, fail("AGENT_AUTH_INVALID", "the pairing token was given for another machine")
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

// sees says whether a catalogue shows an offer. The one of a pairing token is the
// machine's own: private services are in it, what a policy denies and what the
// machine's endpoints do not serve now is not.
func (s *Server) sees(c *call, v viewer, o *offer) bool {
	if v.pairing == nil {
		return !o.Private
	}
	return s.denied(v, o, o.price()) == "" && (o.Runtime == "" || s.serving(c, v.machine.ID, o.Runtime) != nil)
}

// denied says which policy keeps an offer away, that of the pairing or those of
// the machine; "" when none does.
func (s *Server) denied(v viewer, o *offer, price float64) string {
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

// serving is a machine's endpoint of a provider key that can be called now, nil
// when there is none.
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
		return s.sees(c, v, o) && fits(q.Get("serviceType"), o.ServiceType) && fits(q.Get("executionMode"), o.ExecutionMode) && fits(q.Get("providerKey"), o.ProviderKey)
	}
	return pageOf(c, s.market.services, keep, func(o *offer) any { return &o.Service })
}

// offerNamed is the service that a path names, if the caller may know it.
func (s *Server) offerNamed(c *call) (*offer, error) { return s.offer(c, c.id("service")) }

// offer is a service by id. A private one exists for a pairing only.
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

// getAvailability says whether an order would run now (contract §3.1). The
// envelope is not known: an item. A machineId in the query, or a pairing token,
// says for whom.
func (s *Server) getAvailability(c *call) (any, error) {
	v, err := s.viewerOf(c)
	if err != nil {
		return nil, err
	}
	o, err := s.offerNamed(c)
	if err != nil {
		return nil, err
	}
	why := s.unable(c, v, o, nil)
	return item(struct {
		ServiceID         string `json:"serviceId"`
		Available         bool   `json:"available"`
		ExecutionMode     string `json:"executionMode"`
		IntegrationStatus string `json:"integrationStatus"`
		CheckedAt         Moment `json:"checkedAt"`
		Reason            string `json:"reason,omitempty"`
	}{o.ID, why == "", o.ExecutionMode, o.IntegrationStatus, c.stamp(), why}), nil
}

// unable says why a service cannot be run for somebody now; "" when it can.
func (s *Server) unable(c *call, v viewer, o *offer, credentials map[string]bool) string {
	switch {
	case !s.enabled(o.SkillKey):
		return "the skill " + o.SkillKey + " is switched off"
	case !s.hasCredentials(o, credentials):
		return "credentials are needed: send providerCredentials." + o.Credentials + ", or set them in the skill's config"
	case o.Runtime == "":
	case v.machine == nil:
		return "it is served by a machine's own " + o.Runtime + " endpoint: name a machine"
	case s.serving(c, v.machine.ID, o.Runtime) == nil:
		return "the machine has no " + o.Runtime + " endpoint that can be reached now"
	}
	return ""
}
