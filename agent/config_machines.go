package agent

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// machines reads the list of machines from the file.
func (l *loader) machines(n *yaml.Node) {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		l.problems = append(l.problems, ConfigProblem{n.Line, n.Column, "machines", "must be a list"})
		return
	}
	for i, node := range n.Content {
		var m Machine
		l.machine(fmt.Sprintf("machines[%d]", i), node, &m)
		l.cfg.Machines = append(l.cfg.Machines, m)
	}
}

func (l *loader) machine(where string, n *yaml.Node, m *Machine) {
	l.places[where] = n
	texts, lists := machineText(m), machineLists(m)
	known := []string{"endpoints", "register", "identity_ref_file", "name", "id", "identity_ref", "agent_label", "allowed_provider_keys"}
	l.mapping(where, n, known, func(name string, v *yaml.Node) {
		switch name {
		case "register":
			l.mapping(where+".register", v, []string{"display_name", "owner_id", "machine_type", "runtime_profile", "capabilities", "skill_keys", "labels"}, func(sub string, v *yaml.Node) {
				if sub == "labels" {
					l.labels(where+".register.labels", v, m)
					return
				}
				l.value(where+".register."+sub, v, texts["register."+sub], lists["register."+sub])
			})
		case "endpoints":
			l.endpoints(where, v, m)
		case "identity_ref_file":
			if path, ok := l.scalar(where+"."+name, v); ok {
				l.places[where+"."+name] = v
				l.identityFile(where+"."+name, path, m)
			}
		default:
			l.value(where+"."+name, v, texts[name], lists[name])
		}
	})
}

// value reads a text or a list of texts.
func (l *loader) value(where string, v *yaml.Node, text *string, list *[]string) {
	l.places[where] = v
	if text != nil {
		if s, ok := l.scalar(where, v); ok {
			*text = s
		}
		return
	}
	v = resolve(v)
	if v.Kind != yaml.SequenceNode {
		l.problem(where, "must be a list")
		return
	}
	*list = []string{}
	for _, n := range v.Content {
		if s, ok := l.scalar(where, n); ok {
			*list = append(*list, s)
		}
	}
}

func (l *loader) labels(where string, v *yaml.Node, m *Machine) {
	l.places[where] = v
	v = resolve(v)
	if v.Kind != yaml.MappingNode {
		l.problem(where, "must be a mapping of texts")
		return
	}
	m.Register.Labels = map[string]string{}
	for i := 0; i+1 < len(v.Content); i += 2 {
		if s, ok := l.scalar(where, v.Content[i+1]); ok {
			m.Register.Labels[v.Content[i].Value] = s
		}
	}
}

func (l *loader) endpoints(where string, v *yaml.Node, m *Machine) {
	v = resolve(v)
	if v.Kind != yaml.SequenceNode {
		l.problems = append(l.problems, ConfigProblem{v.Line, v.Column, where + ".endpoints", "must be a list"})
		return
	}
	for i, n := range v.Content {
		var e Endpoint
		at := fmt.Sprintf("%s.endpoints[%d]", where, i)
		l.places[at] = n
		texts := endpointText(&e)
		l.mapping(at, n, append(mapKeys(texts), "share_auth_token"), func(name string, v *yaml.Node) {
			if name != "share_auth_token" {
				l.value(at+"."+name, v, texts[name], nil)
				return
			}
			l.places[at+"."+name] = v
			if s, ok := l.scalar(at+"."+name, v); ok {
				var err error
				if e.ShareAuthToken, err = parseBool(s); err != nil {
					l.problem(at+"."+name, "%s", err)
				}
			}
		})
		m.Endpoints = append(m.Endpoints, e)
	}
}

// environment reads PEAQOS_AGENT_* and the names that the other peaq tools use.
func (l *loader) environment(env []string) {
	vars := map[string]string{}
	for _, kv := range env {
		if name, value, ok := strings.Cut(kv, "="); ok && value != "" {
			vars[name] = value
		}
	}
	if v := vars["PEAQOS_ORCHESTRATION_URL"]; v != "" {
		if ours := vars[envPrefix+"ORCHESTRATOR_URL"]; ours != "" && ours != v {
			l.cfg.Warnings = append(l.cfg.Warnings, "PEAQOS_ORCHESTRATION_URL and PEAQOS_AGENT_ORCHESTRATOR_URL differ; the latter is used")
		} else {
			l.cfg.Orchestrator.URL = v
		}
	}
	used := map[string]bool{}
	for _, k := range l.keys {
		if v, ok := vars[k.env()]; ok {
			used[k.env()] = true
			delete(l.places, k.path) // a problem is in the variable, not in the file
			l.apply(k, v, k.env())
		}
	}
	l.machineEnvironment(vars, used)
	l.unknownVariables(vars, used)
}

// machineEnvironment builds the one machine of a sidecar from variables alone.
func (l *loader) machineEnvironment(vars map[string]string, used map[string]bool) {
	var m Machine
	var e Endpoint
	found, endpoint := false, false
	take := func(name string, set func(string)) bool {
		v, ok := vars[envPrefix+name]
		if ok {
			used[envPrefix+name] = true
			set(v)
		}
		return ok
	}
	for path, at := range machineText(&m) {
		found = take(machineEnvName(path), func(v string) { *at = v }) || found
	}
	for path, at := range machineLists(&m) {
		found = take(machineEnvName(path), func(v string) { *at = strings.Split(v, ",") }) || found
	}
	found = take("IDENTITY_REF_FILE", func(v string) { l.identityFile(envPrefix+"IDENTITY_REF_FILE", v, &m) }) || found
	for path, at := range endpointText(&e) {
		endpoint = take("ENDPOINT_"+envName(path), func(v string) { *at = v }) || endpoint
	}
	endpoint = take("ENDPOINT_SHARE_AUTH_TOKEN", func(v string) {
		b, err := parseBool(v)
		if e.ShareAuthToken = b; err != nil {
			l.problem(envPrefix+"ENDPOINT_SHARE_AUTH_TOKEN", "%s", err)
		}
	}) || endpoint
	if !found && !endpoint {
		return
	}
	if len(l.cfg.Machines) > 0 {
		l.problem("machines", "the file names machines, and so do variables (%s…): use one of the two", envPrefix+"MACHINE_")
		return
	}
	if endpoint {
		m.Endpoints = []Endpoint{e}
	}
	l.cfg.Machines = []Machine{m}
}

// machineEnvName: id is MACHINE_ID and name MACHINE_NAME, the others stand alone.
func machineEnvName(path string) string {
	if path == "id" || path == "name" {
		return "MACHINE_" + envName(path)
	}
	return envName(path)
}

// unknownVariables warns of what looks like ours. Kubernetes adds variables for a
// service called peaqos-agent; no key of ours has such an ending.
func (l *loader) unknownVariables(vars map[string]string, used map[string]bool) {
	for _, name := range mapKeys(vars) {
		ours, ok := strings.CutPrefix(name, envPrefix)
		if !ok || used[name] || ours == "PORT" || strings.HasPrefix(ours, "PORT_") || strings.Contains(ours, "SERVICE_HOST") || strings.Contains(ours, "SERVICE_PORT") {
			continue
		}
		l.cfg.Warnings = append(l.cfg.Warnings, "unknown variable "+name)
	}
	slices.Sort(l.cfg.Warnings)
}

func envName(path string) string {
	return strings.ToUpper(strings.NewReplacer(".", "_").Replace(path))
}
