package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// SkillsService is the catalogue of skills and their configuration (contract
// §2.11).
type SkillsService struct{ c *Client }

// SkillSummary is one skill. Its enumerations are open: the server may send values other
// than those listed here.
type SkillSummary struct {
	Meta                    `json:"-"`
	Key                     string   `json:"key" wire:"req"`
	ProviderKey             string   `json:"providerKey" wire:"req"`
	Label                   string   `json:"label" wire:"req"`
	Description             string   `json:"description" wire:"req"`
	Direction               string   `json:"direction" wire:"req"` // machine-offers, machine-consumes
	Scope                   string   `json:"scope" wire:"req"`     // core-product, bootstrap-reference, ecosystem
	Source                  string   `json:"source" wire:"req"`    // peaq, partner, clawhub, external-marketplace
	ListedBy                string   `json:"listedBy" wire:"req"`
	LastVerifiedAt          string   `json:"lastVerifiedAt"`
	Kind                    string   `json:"kind" wire:"req"` // runtime, reference
	ServiceTypes            []string `json:"serviceTypes"`
	Operations              []string `json:"operations"`
	AuthType                string   `json:"authType" wire:"req"`          // none, api-key, bearer, wallet, local
	AuthState               string   `json:"authState" wire:"req"`         // unconfigured, configured, expired, invalid, restricted
	AccessMode              string   `json:"accessMode" wire:"req"`        // public, credentialed, partner-approved, whitelisted, local
	Distribution            string   `json:"distribution" wire:"req"`      // peaq-native, clawhub, openapi, mcp, docs-only
	Maturity                string   `json:"maturity" wire:"req"`          // reference, beta, production
	ExecutionMode           string   `json:"executionMode" wire:"req"`     // native, external-handoff
	IntegrationStatus       string   `json:"integrationStatus" wire:"req"` // native, credentials-required, …
	RequiredEnv             []string `json:"requiredEnv"`
	RequiresHumanEnablement bool     `json:"requiresHumanEnablement" wire:"req"`
	ReferenceURL            string   `json:"referenceUrl"`
	ArtifactURL             string   `json:"artifactUrl"`
	Handoff                 *Handoff `json:"handoff"`
}

// Handoff is where a person continues with a task that the API cannot do.
type Handoff struct {
	Label string   `json:"label" wire:"req"`
	URL   string   `json:"url" wire:"req"`
	Notes []string `json:"notes"`
}

// SkillManifest describes the inputs and outputs of a skill.
type SkillManifest struct {
	Meta        `json:"-"`
	Key         string        `json:"key" wire:"req"`
	ProviderKey string        `json:"providerKey" wire:"req"`
	Label       string        `json:"label" wire:"req"`
	Summary     string        `json:"summary" wire:"req"`
	Inputs      []SkillInput  `json:"inputs" wire:"req"`
	Outputs     []SkillOutput `json:"outputs" wire:"req"`
}

// SkillInput is one input of a skill.
type SkillInput struct {
	Key         string `json:"key" wire:"req"`
	Type        string `json:"type" wire:"req"`
	Required    bool   `json:"required" wire:"req"`
	Description string `json:"description" wire:"req"`
}

// SkillOutput is one output of a skill.
type SkillOutput struct {
	Key         string `json:"key" wire:"req"`
	Type        string `json:"type" wire:"req"`
	Description string `json:"description" wire:"req"`
}

// SkillConfig is the configuration of a skill. Credentials are never returned.
type SkillConfig struct {
	Meta           `json:"-"`
	SkillKey       string          `json:"skillKey" wire:"req"`
	ProviderKey    string          `json:"providerKey" wire:"req"`
	Enabled        bool            `json:"enabled" wire:"req"`
	Settings       json.RawMessage `json:"settings" wire:"optnull,object"` // nil when absent
	HasCredentials bool            `json:"hasCredentials" wire:"req"`
	UpdatedAt      string          `json:"updatedAt" wire:"req"`
}

// UpdateSkillConfig is the request of [SkillsService.UpdateConfig]. Settings are strings,
// numbers and booleans; the keys of both maps are sent unchanged.
type UpdateSkillConfig struct {
	Enabled     Optional[bool]              `json:"enabled,omitzero"`
	Credentials Optional[map[string]Secret] `json:"credentials,omitzero"`
	Settings    Optional[map[string]any]    `json:"settings,omitzero"`
}

// SkillOptions selects skills.
type SkillOptions struct {
	Scope     Optional[string] // core-product, bootstrap-reference, ecosystem
	Direction Optional[string] // machine-offers, machine-consumes
	Source    Optional[string] // peaq, partner, clawhub, external-marketplace
	ListOptions
}

// List returns one page of skills.
//
// GET /skills (contract §2.11)
func (s *SkillsService) List(ctx context.Context, o SkillOptions) (*Page[SkillSummary], error) {
	r := s.c.call(http.MethodGet, "/skills").param("scope", o.Scope).param("direction", o.Direction).param("source", o.Source)
	return list[SkillSummary](ctx, r.page(o.ListOptions))
}

// All iterates over the skills of all pages.
//
// GET /skills (contract §2.11)
func (s *SkillsService) All(ctx context.Context, o SkillOptions) iter.Seq2[SkillSummary, error] {
	return each(o.ListOptions, func(page ListOptions) (*Page[SkillSummary], error) {
		at := o // a copy: several walks may run at the same time
		at.ListOptions = page
		return s.List(ctx, at)
	})
}

// Get returns one skill.
//
// GET /skills/{skillKey} (contract §2.11)
func (s *SkillsService) Get(ctx context.Context, skillKey string) (*SkillSummary, error) {
	return item[SkillSummary](ctx, s.c.call(http.MethodGet, "/skills/{skillKey}", skillKey))
}

// Manifest returns the inputs and outputs of a skill.
//
// GET /skills/{skillKey}/manifest (contract §2.11)
func (s *SkillsService) Manifest(ctx context.Context, skillKey string) (*SkillManifest, error) {
	return item[SkillManifest](ctx, s.c.call(http.MethodGet, "/skills/{skillKey}/manifest", skillKey))
}

// UpdateConfig enables a skill and sets its credentials and settings. In its errors,
// every sensitive member of Details is redacted, because the server echoes the request.
//
// PATCH /skills/{skillKey}/config (contract §2.11)
func (s *SkillsService) UpdateConfig(ctx context.Context, skillKey string, in UpdateSkillConfig) (*SkillConfig, error) {
	out, err := item[SkillConfig](ctx, s.c.call(http.MethodPatch, "/skills/{skillKey}/config", skillKey).json(in))
	var api *APIError
	if errors.As(err, &api) && api.Details != nil {
		api.Details = wire.ByKey().Apply(string(api.Details))
	}
	return out, err
}
