package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// Policy is a rule that machines refer to in their policyIds (contract §2.20).
type Policy struct {
	ID                   string     `json:"id"`
	Name                 string     `json:"name"`
	AllowedSkillKeys     []string   `json:"allowedSkillKeys"`
	DeniedSkillKeys      []string   `json:"deniedSkillKeys"`
	RegionRules          []string   `json:"regionRules"`
	NativeOnly           bool       `json:"nativeOnly"`
	HandoffAllowed       bool       `json:"handoffAllowed"`
	RequiredCapabilities []string   `json:"requiredCapabilities"`
	BudgetCap            *BudgetCap `json:"budgetCap,omitempty"`
	CreatedAt            Moment     `json:"createdAt"`
	UpdatedAt            Moment     `json:"updatedAt"`
}

// BudgetCap limits what one order may cost.
type BudgetCap struct {
	Currency string  `json:"currency"`
	Amount   float64 `json:"amount"`
}

func (s *Server) listPolicies(c *call) (any, error) {
	return pageOf(c, s.st.Policies.rows, nil, func(p *Policy) any { return p })
}

func (s *Server) createPolicy(c *call) (any, error) {
	p := &Policy{ID: newID("pol"), Name: c.in.required("name"), HandoffAllowed: true, CreatedAt: c.stamp(), UpdatedAt: c.stamp()}
	if p.take(c.in); c.in.err != nil {
		return nil, c.in.err
	}
	if !s.st.Policies.add(s.next(), p.ID, "", p) {
		return nil, invalid("the limit of policies is reached")
	}
	c.audit("policy.created", "policy", p.ID, "", map[string]any{"name": p.Name})
	return c.created(p)
}

// policyNamed returns the policy named in the path.
func (s *Server) policyNamed(c *call) (*Policy, error) {
	if p := s.st.Policies.get(c.id("policy")); p != nil {
		return p, nil
	}
	return nil, notFound("the policy")
}

// getPolicy exists by analogy: contract §3.2 does not confirm the path.
func (s *Server) getPolicy(c *call) (any, error) {
	p, err := s.policyNamed(c)
	if err != nil {
		return nil, err
	}
	return item(p), nil
}

func (s *Server) updatePolicy(c *call) (any, error) {
	p, err := s.policyNamed(c)
	if err != nil {
		return nil, err
	}
	next := *p
	c.in.patch("name", &next.Name)
	if next.take(c.in); c.in.err != nil {
		return nil, c.in.err
	}
	next.UpdatedAt = c.stamp()
	*p = next
	c.audit("policy.updated", "policy", p.ID, "", map[string]any{"name": p.Name})
	return item(p), nil
}

// take reads all members except the name.
func (p *Policy) take(in *members) {
	in.replace("allowedSkillKeys", &p.AllowedSkillKeys)
	in.replace("deniedSkillKeys", &p.DeniedSkillKeys)
	in.replace("regionRules", &p.RegionRules)
	in.replace("requiredCapabilities", &p.RequiredCapabilities)
	if v, ok := in.flag("nativeOnly"); ok {
		p.NativeOnly = v
	}
	if v, ok := in.flag("handoffAllowed"); ok {
		p.HandoffAllowed = v
	}
	if limit := in.object("budgetCap"); limit != nil {
		amount, sent := limit.amount("amount")
		if currency := limit.required("currency"); sent {
			p.BudgetCap = &BudgetCap{Currency: currency, Amount: *amount}
		} else {
			limit.fault("amount", "must be a number")
		}
		in.join(limit)
	}
}

// denial returns why the policy denies a service to a machine; "" if it does not. price is compared
// with the cap as a plain number.
func (p *Policy) denial(o *offer, price float64) string {
	why := ""
	switch {
	case slices.Contains(p.DeniedSkillKeys, o.SkillKey):
		why = "denies the skill " + o.SkillKey
	case len(p.AllowedSkillKeys) > 0 && !slices.Contains(p.AllowedSkillKeys, o.SkillKey):
		why = "does not allow the skill " + o.SkillKey
	case p.NativeOnly && o.ExecutionMode != "native":
		why = "allows native services only"
	case !p.HandoffAllowed && o.ExecutionMode == "external-handoff":
		why = "does not allow handoffs"
	case len(p.RegionRules) > 0 && o.Region != "global" && !slices.ContainsFunc(
		p.RegionRules, func(r string) bool { return strings.EqualFold(r, o.Region) },
	):
		why = "does not allow the region " + o.Region
	case missing(p.RequiredCapabilities, o.Capabilities) != "":
		why = "requires the capability " + missing(p.RequiredCapabilities, o.Capabilities)
	case p.BudgetCap != nil && price > p.BudgetCap.Amount:
		why = "limits the price"
	default:
		return ""
	}
	return "the machine's policy " + p.Name + " " + why
}

// missing returns the first element of wanted that is not in there; "" if all are.
func missing(wanted, there []string) string {
	for _, w := range wanted {
		if !slices.ContainsFunc(there, func(t string) bool { return strings.EqualFold(t, w) }) {
			return w
		}
	}
	return ""
}

// denialFor returns why a policy of the machine denies a service; "" if none does. An id without a
// policy is ignored.
func (s *Server) denialFor(m *Machine, o *offer, price float64) string {
	for _, id := range m.PolicyIDs {
		if p := s.st.Policies.get(id); p != nil {
			if why := p.denial(o, price); why != "" {
				return why
			}
		}
	}
	return ""
}

// Delegation is what a pairing may do (contract §2.6). An empty allow list allows everything, a
// denial takes precedence, and an absent limit means no limit.
type Delegation struct {
	AllowedSkillKeys    []string `json:"allowedSkillKeys"`
	DeniedSkillKeys     []string `json:"deniedSkillKeys"`
	AllowedServiceIDs   []string `json:"allowedServiceIds"`
	DeniedServiceIDs    []string `json:"deniedServiceIds"`
	PerTransactionLimit *float64 `json:"perTransactionLimit,omitempty"`
	DailySpendLimit     *float64 `json:"dailySpendLimit,omitempty"`
	Currency            string   `json:"currency,omitempty"`
}

// readDelegation reads a complete policy; what was not sent is empty.
func readDelegation(in *members) Delegation {
	var d Delegation
	if in == nil {
		in = &members{}
	}
	in.replace("allowedSkillKeys", &d.AllowedSkillKeys)
	in.replace("deniedSkillKeys", &d.DeniedSkillKeys)
	in.replace("allowedServiceIds", &d.AllowedServiceIDs)
	in.replace("deniedServiceIds", &d.DeniedServiceIDs)
	d.PerTransactionLimit, _ = in.amount("perTransactionLimit")
	d.DailySpendLimit, _ = in.amount("dailySpendLimit")
	d.Currency = in.text("currency")
	return d
}

// hash returns the claim delegationPolicyHash. How the real one is computed is not published; this
// is SHA-256 of the policy's JSON.
func (d Delegation) hash() string {
	b, _ := json.Marshal(d)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// denial returns why the policy denies a service; "" if it does not.
func (d Delegation) denial(o *offer) string {
	switch {
	case slices.Contains(d.DeniedSkillKeys, o.SkillKey), slices.Contains(d.DeniedServiceIDs, o.ID):
		return "the delegation policy denies this service"
	case len(d.AllowedSkillKeys) > 0 && !slices.Contains(d.AllowedSkillKeys, o.SkillKey):
		return "the delegation policy does not allow the skill " + o.SkillKey
	case len(d.AllowedServiceIDs) > 0 && !slices.Contains(d.AllowedServiceIDs, o.ID):
		return "the delegation policy does not allow the service " + o.ID
	}
	return ""
}
