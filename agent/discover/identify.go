package discover

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Response is what one request got: as much of it as identification needs.
type Response struct {
	Status int // 0: there was no response
	Header http.Header
	Body   []byte // its beginning
}

// Responses are the responses of one address, by the path that was requested with GET.
type Responses map[string]Response

// Runtime is a program that responds at an address.
type Runtime struct {
	// ProviderKey is the name under which to publish it, empty for a program that is not
	// a runtime.
	ProviderKey string   `json:"provider_key"`
	Name        string   `json:"name"` // for people; empty: it was not recognized
	BaseURL     string   `json:"base_url"`
	Scope       string   `json:"network_scope"`
	ProbePath   string   `json:"probe_path"` // empty: the agent cannot publish it
	Version     string   `json:"version"`    // empty: it did not tell
	Models      []string `json:"models"`
	NeedsKey    bool     `json:"needs_key"` // it responds 401 without a key
	Note        string   `json:"note"`      // what to know before it is published; a sentence

	listed bool // its model list was read to the end
}

// Publishable reports whether the agent can publish the runtime.
func (r Runtime) Publishable() bool { return r.ProbePath != "" }

// ModelAlias is the model to publish: the first one, for QVAC only, as in the
// configuration.
func (r Runtime) ModelAlias() string {
	if r.ProviderKey != "qvac" || len(r.Models) == 0 {
		return ""
	}
	return r.Models[0]
}

// Identify reports which program sent the responses. The name of the result is empty if nothing is
// recognized.
func Identify(all Responses) Runtime {
	for _, k := range kinds {
		if !k.is(all) {
			continue
		}
		r := Runtime{ProviderKey: k.key, Name: k.name, ProbePath: k.probe, Note: k.note, Models: []string{}}
		r.Version = all.version()
		r.NeedsKey = all[modelsPath].Status == http.StatusUnauthorized
		if k.list != "" {
			r.Models, r.listed = all.models(k.list)
		}
		return r
	}
	r := Runtime{NeedsKey: all["/"].Status == http.StatusUnauthorized}
	r.Models, r.listed = all.models(modelsPath)
	return r
}

// Mismatch compares a runtime with the provider key that the configuration gives it. The
// result is a sentence, empty if nothing speaks against the provider key. Provider keys
// and runtimes that are not recognized are not compared, but qvac without a model is
// reported in any case.
func Mismatch(providerKey string, found Runtime) string {
	want := find(providerKey)
	switch {
	case want == nil:
		return ""
	case found.Name == "" && providerKey != "qvac":
		return ""
	case found.Name != "" && found.ProviderKey != providerKey && found.Publishable():
		return fmt.Sprintf("it answers like %s, not like %s: set provider_key %s and probe_path %s, or start %[2]s on another port",
			found.Name, want.name, found.ProviderKey, found.ProbePath)
	case found.Name != "" && found.ProviderKey != providerKey:
		return fmt.Sprintf("it answers like %s, not like %s: correct base_url, or start %[2]s there", found.Name, want.name)
	case providerKey == "qvac" && found.listed && len(found.Models) == 0:
		return "it lists no model, so there is nothing to buy from it: add a model to the configuration of QVAC"
	}
	return ""
}

// server reports whether any response names this program in its Server header.
func (all Responses) server(name string) bool {
	for _, r := range all {
		if strings.HasPrefix(r.Header.Get("Server"), name) {
			return true
		}
	}
	return false
}

// says reports whether a response has this status and contains all of the texts.
func (all Responses) says(status int, texts ...string) bool {
	for _, r := range all {
		ok := r.Status == status
		for _, t := range texts {
			ok = ok && r.has(t)
		}
		if ok {
			return true
		}
	}
	return false
}

// json reports whether the response to a path is 200 with a JSON object that has the
// member. The object may be cut off.
func (all Responses) json(path, member string) bool {
	return all[path].Status == http.StatusOK && all[path].member(member) != nil
}

// member returns a decoder before the value of this member of a JSON object; nil without
// that member.
func (r Response) member(name string) *json.Decoder {
	dec := json.NewDecoder(bytes.NewReader(r.Body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for dec.More() {
		switch t, err := dec.Token(); {
		case err != nil:
			return nil
		case t == name:
			return dec
		}
		var skipped json.RawMessage
		if dec.Decode(&skipped) != nil {
			return nil
		}
	}
	return nil
}

// has reports whether the body contains the text; spaces after a colon do not matter.
func (r Response) has(text string) bool {
	return bytes.Contains(r.Body, []byte(text)) || bytes.Contains(bytes.ReplaceAll(r.Body, []byte(`": `), []byte(`":`)), []byte(text))
}

// title is the text of the HTML element of that name.
func (r Response) title() string {
	_, rest, found := strings.Cut(string(r.Body), "<title>")
	text, _, closed := strings.Cut(rest, "</title>")
	if !found || !closed {
		return ""
	}
	return strings.TrimSpace(text)
}

// model is one entry of a list of models: of OpenAI's form, or Ollama's own.
type model struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	OwnedBy string `json:"owned_by"`
}

// owner reports whether the model list has a model of this owner.
func (all Responses) owner(name string) bool {
	if !bytes.Contains(all[modelsPath].Body, []byte(`"`+name+`"`)) {
		return false // most are not, and every kind asks
	}
	list, _ := all.list(modelsPath)
	for _, m := range list {
		if m.OwnedBy == name {
			return true
		}
	}
	return false
}

// maxModels is how many models of a list are kept.
const maxModels = 64

// models returns the names in a model list, without those of an unusual form, and
// whether the list was read to its end.
func (all Responses) models(path string) (names []string, complete bool) {
	list, complete := all.list(path)
	names = []string{}
	for _, m := range list {
		name := m.ID
		if name == "" {
			name = m.Name
		}
		if plain(name, 128) && len(names) < maxModels {
			names = append(names, name)
		}
	}
	return names, complete
}

// list reads a model list, model by model, because it may be cut off. Ollama's own list
// has another name.
func (all Responses) list(path string) (list []model, complete bool) {
	if all[path].Status != http.StatusOK {
		return nil, false
	}
	member := "data"
	if path == "/api/tags" {
		member = "models"
	}
	dec := all[path].member(member)
	if dec == nil {
		return nil, false
	}
	switch t, err := dec.Token(); {
	case err == nil && t == nil:
		return nil, true // null, as Ollama writes an empty list
	case err != nil || t != json.Delim('['):
		return nil, false
	}
	for dec.More() {
		var m model
		if dec.Decode(&m) != nil {
			return list, false
		}
		list = append(list, m)
	}
	_, err := dec.Token()
	return list, err == nil
}

// version is the version in one of the responses that have one.
func (all Responses) version() string {
	for _, path := range []string{"/api/version", "/version", "/v2", "/info", "/settings", "/system_stats"} {
		var v struct {
			Version string `json:"version"`
			System  struct {
				Version string `json:"comfyui_version"`
			} `json:"system"`
		}
		if all[path].Status != http.StatusOK || json.Unmarshal(all[path].Body, &v) != nil {
			continue
		}
		for _, text := range []string{v.Version, v.System.Version} {
			if plain(text, 32) {
				return text
			}
		}
	}
	return ""
}

// plain reports whether a text is one word of printable ASCII of at most limit bytes.
func plain(text string, limit int) bool {
	return text != "" && len(text) <= limit && !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' || c == '\\' || c == '"' || c == '`' })
}
