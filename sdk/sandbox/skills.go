package sandbox

// skill is an entry of the skill list (contract §2.11, SkillSummary) with its
// manifest.
type skill struct {
	Skill
	Summary string        `json:"summary"`
	Inputs  []skillInput  `json:"inputs"`
	Outputs []skillOutput `json:"outputs"`
}

// Skill is a SkillSummary.
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
