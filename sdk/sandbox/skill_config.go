package sandbox

import (
	"encoding/json"
	"strings"
)

// maxSettings bounds the settings of a skill, and its credentials.
const maxSettings = 100

// SkillConfig is how this orchestrator uses a skill (contract §2.11). Credentials
// are not kept at all: no provider is ever called, so that there are some is
// enough to know.
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

// take reads what was sent; settings and credentials replace what was there.
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
			in.fault("settings", "must hold strings, numbers and booleans only")
			return
		}
		if len(key)+len(v) > maxText || len(settings.all) > maxSettings {
			in.fault("settings", "are too long")
			return
		}
	}
	f.Settings = settings.all
}

// enabled says whether a skill may be used; one that nobody configured may.
func (s *Server) enabled(skillKey string) bool {
	config := s.st.SkillConfigs.get(skillKey)
	return config == nil || config.Enabled
}

// hasCredentials says whether an offer's needs are met: by the skill's config or
// by what was sent.
func (s *Server) hasCredentials(o *offer, sent map[string]bool) bool {
	config := s.st.SkillConfigs.get(o.SkillKey)
	return o.Credentials == "" || sent[o.Credentials] || (config != nil && config.HasCredentials)
}
