package sandbox

import (
	"encoding/json"
	"strings"
)

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

// fits reports whether a value passes a filter; an empty filter passes everything.
func fits(filter, value string) bool { return filter == "" || filter == value }

// showSkill returns the skill as it is now: with credentials its authState is configured.
func (s *Server) showSkill(k *skill) any {
	shown := k.Skill
	if config := s.st.SkillConfigs.get(k.Key); config != nil && config.HasCredentials {
		shown.AuthState = "configured"
	}
	return &shown
}

// skillNamed returns the skill named in the path.
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
	return item(map[string]any{
		"key": k.Key, "providerKey": k.ProviderKey, "label": k.Label, "summary": k.Summary, "inputs": k.Inputs,
		"outputs": k.Outputs,
	}), nil
}

// maxSettings limits the settings of a skill, and its credentials.
const maxSettings = 100

// SkillConfig configures a skill (contract §2.11). Credentials are not stored, only whether there
// are any: no provider is ever called.
type SkillConfig struct {
	SkillKey       string                     `json:"skillKey"`
	ProviderKey    string                     `json:"providerKey"`
	Enabled        bool                       `json:"enabled"`
	Settings       map[string]json.RawMessage `json:"settings"`
	HasCredentials bool                       `json:"hasCredentials"`
	UpdatedAt      Moment                     `json:"updatedAt"`
}

func (s *Server) updateSkillConfig(c *call) (any, error) {
	k, err := s.skillNamed(c)
	if err != nil {
		return nil, err
	}
	next := SkillConfig{SkillKey: k.Key, ProviderKey: k.ProviderKey, Enabled: true, Settings: map[string]json.RawMessage{}}
	old := s.st.SkillConfigs.get(k.Key)
	if old != nil {
		next = *old
	}
	next.take(c.in)
	if c.in.err != nil {
		return nil, c.in.err
	}
	next.UpdatedAt = c.stamp()
	if old == nil {
		s.st.SkillConfigs.add(s.next(), k.Key, "", &next)
	} else {
		*old = next
	}
	c.audit("skill.configured", "skill", k.Key, "", map[string]any{"enabled": next.Enabled})
	return item(&next), nil
}

// take reads the members that were sent; settings and credentials replace the previous ones.
func (f *SkillConfig) take(in *members) {
	if v, ok := in.flag("enabled"); ok {
		f.Enabled = v
	}
	if given, sent := in.textMap("credentials"); sent {
		f.HasCredentials = false
		for _, v := range given {
			f.HasCredentials = f.HasCredentials || strings.TrimSpace(v) != ""
		}
		if len(given) > maxSettings {
			in.fault("credentials", "has too many members")
		}
	}
	settings := in.object("settings")
	if settings == nil {
		return
	}
	for key, v := range settings.all {
		if v[0] == '{' || v[0] == '[' || v[0] == 'n' {
			in.fault("settings", "may only contain strings, numbers and booleans")
			return
		}
		if len(key)+len(v) > maxText || len(settings.all) > maxSettings {
			in.fault("settings", "are too long")
			return
		}
	}
	f.Settings = settings.all
}

// enabled reports whether a skill may be used. The default is yes.
func (s *Server) enabled(skillKey string) bool {
	config := s.st.SkillConfigs.get(skillKey)
	return config == nil || config.Enabled
}

// hasCredentials reports whether an offer has the credentials it needs, in the skill's config or in
// the request.
func (s *Server) hasCredentials(o *offer, sent map[string]bool) bool {
	config := s.st.SkillConfigs.get(o.SkillKey)
	return o.Credentials == "" || sent[o.Credentials] || (config != nil && config.HasCredentials)
}

// readCredentials returns the providers whose credentials are in the body. The credentials
// themselves are dropped: no provider is called.
func readCredentials(in *members) map[string]bool {
	sent := in.object("providerCredentials")
	if sent == nil {
		return nil
	}
	found := map[string]bool{}
	for provider := range sent.all {
		values, _ := sent.textMap(provider)
		for _, v := range values {
			found[provider] = found[provider] || strings.TrimSpace(v) != ""
		}
	}
	in.join(sent)
	return found
}

const redacted = "[REDACTED]"

// redactCredentials returns a request body as it may be stored: every value under
// providerCredentials is replaced by [REDACTED] (contract §2.13).
func redactCredentials(all map[string]json.RawMessage) json.RawMessage {
	kept := make(map[string]json.RawMessage, len(all))
	for name, v := range all {
		kept[name] = v
	}
	var providers map[string]map[string]any
	if json.Unmarshal(all["providerCredentials"], &providers) == nil && providers != nil {
		for _, values := range providers {
			for name := range values {
				values[name] = redacted
			}
		}
		kept["providerCredentials"], _ = marshal(providers)
	} else {
		delete(kept, "providerCredentials")
	}
	b, err := marshal(kept)
	if err != nil {
		return json.RawMessage("{}")
	}
	return b
}

// submission is a proposed skill (contract §3.1). Nobody reviews it here: it stays submitted.
type submission struct {
	ID           string          `json:"id"`
	Status       string          `json:"status"`
	CreatedAt    Moment          `json:"createdAt"`
	UpdatedAt    Moment          `json:"updatedAt"`
	ProviderName string          `json:"providerName"`
	SkillName    string          `json:"skillName"`
	Description  string          `json:"description"`
	ServiceTypes []string        `json:"serviceTypes"`
	Operations   []string        `json:"operations"`
	ReferenceURL string          `json:"referenceUrl,omitempty"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`
}

// submitSkill stores a proposed skill. Neither the envelope nor the required credentials are
// published: an item.
func (s *Server) submitSkill(c *call) (any, error) {
	in := c.in
	v := &submission{
		ID: newID("skillsub"), Status: "submitted", CreatedAt: c.stamp(), UpdatedAt: c.stamp(),
		ProviderName: in.required("providerName"), SkillName: in.required("skillName"), Description: in.required("description"),
		ReferenceURL: in.text("referenceUrl"), Metadata: in.raw("metadata"),
	}
	var types, operations bool
	v.ServiceTypes, types = in.texts("serviceTypes")
	v.Operations, operations = in.texts("operations")
	switch {
	case in.err != nil:
		return nil, in.err
	case !types || !operations:
		return nil, invalid("serviceTypes and operations must be arrays of strings")
	}
	s.st.Submissions.add(s.next(), v.ID, "", v)
	c.audit("skill.submitted", "skill-submission", v.ID, "", map[string]any{"skillName": v.SkillName})
	return c.created(map[string]any{"id": v.ID, "status": v.Status, "createdAt": v.CreatedAt})
}

func (s *Server) getSubmission(c *call) (any, error) {
	v := s.st.Submissions.get(c.id("submission"))
	if v == nil {
		return nil, notFound("the submission")
	}
	return item(map[string]any{"id": v.ID, "status": v.Status, "createdAt": v.CreatedAt, "updatedAt": v.UpdatedAt}), nil
}
