package sandbox

// Skill is an entry of the skill list (contract §2.11, SkillSummary).
type Skill struct {
	Key                     string   `json:"key"`
	ProviderKey             string   `json:"providerKey"`
	Label                   string   `json:"label"`
	Description             string   `json:"description"`
	Direction               string   `json:"direction"`
	Scope                   string   `json:"scope"`
	Source                  string   `json:"source"`
	ListedBy                string   `json:"listedBy"`
	LastVerifiedAt          string   `json:"lastVerifiedAt,omitempty"`
	Kind                    string   `json:"kind"`
	ServiceTypes            []string `json:"serviceTypes"`
	Operations              []string `json:"operations"`
	AuthType                string   `json:"authType"`
	AuthState               string   `json:"authState"`
	AccessMode              string   `json:"accessMode"`
	Distribution            string   `json:"distribution"`
	Maturity                string   `json:"maturity"`
	ExecutionMode           string   `json:"executionMode"`
	IntegrationStatus       string   `json:"integrationStatus"`
	RequiredEnv             []string `json:"requiredEnv"`
	RequiresHumanEnablement bool     `json:"requiresHumanEnablement"`
	ReferenceURL            string   `json:"referenceUrl,omitempty"`
	ArtifactURL             string   `json:"artifactUrl,omitempty"`
	Handoff                 *Handoff `json:"handoff,omitempty"`
}

// skill is a skill with its manifest.
type skill struct {
	Skill
	Summary string        `json:"summary"`
	Inputs  []skillInput  `json:"inputs"`
	Outputs []skillOutput `json:"outputs"`
}

type skillInput struct {
	Key         string `json:"key"`
	Type        string `json:"type"`
	Required    bool   `json:"required"`
	Description string `json:"description"`
}

type skillOutput struct {
	Key         string `json:"key"`
	Type        string `json:"type"`
	Description string `json:"description"`
}

func (s *Server) listSkills(c *call) (any, error) {
	q := c.r.URL.Query()
	keep := func(k *skill) bool {
		return fits(q.Get("scope"), k.Scope) && fits(q.Get("direction"), k.Direction) && fits(q.Get("source"), k.Source)
	}
	return pageOf(c, s.market.skills, keep, s.showSkill)
}

// fits says whether a value passes a filter; an empty filter lets all through.
func fits(filter, value string) bool { return filter == "" || filter == value }

// showSkill is the skill as it is now: with credentials its authState is
// configured.
func (s *Server) showSkill(k *skill) any {
	shown := k.Skill
	if config := s.st.SkillConfigs.get(k.Key); config != nil && config.HasCredentials {
		shown.AuthState = "configured"
	}
	return &shown
}

// skillNamed is the skill that a path names.
func (s *Server) skillNamed(c *call) (*skill, error) {
	if k := s.market.byKey[c.id("skill")]; k != nil {
		return k, nil
	}
	return nil, notFound("the skill")
}

func (s *Server) getSkill(c *call) (any, error) {
	k, err := s.skillNamed(c)
	if err != nil {
		return nil, err
	}
	return item(s.showSkill(k)), nil
}

func (s *Server) getManifest(c *call) (any, error) {
	k, err := s.skillNamed(c)
	if err != nil {
		return nil, err
	}
	return item(map[string]any{"key": k.Key, "providerKey": k.ProviderKey, "label": k.Label, "summary": k.Summary, "inputs": k.Inputs, "outputs": k.Outputs}), nil
}
