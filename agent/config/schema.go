package config

import (
	"slices"
	"strings"
	"time"
)

// Key is one key of the configuration, as [Schema] lists it.
type Key struct {
	Path    string   `json:"path"`    // heartbeat.interval, machines[].endpoints[].base_url
	Env     string   `json:"env"`     // PEAQOS_AGENT_HEARTBEAT_INTERVAL
	Type    string   `json:"type"`    // string, boolean, duration, list or map
	Values  []string `json:"values"`  // the only accepted values; empty means any
	Default string   `json:"default"` // as written in the file; empty when there is none or it depends on something
	Restart bool     `json:"restart"` // a running agent refuses a change
	Doc     string   `json:"doc"`     // the field's comment, see [Config]
}

// Schema lists every key in the order of configs/agent.yaml. It is the table
// that drives the file's reader, the environment, the defaults, [Config.Show] and
// [Diff].
func Schema() []Key {
	var keys []Key
	for _, r := range newTable().rows {
		keys = append(keys, r.Key)
	}
	return keys
}

// row is a key together with the field it fills.
type row struct {
	Key
	auto    bool            // a duration that may also be the word auto, stored as 0
	file    bool            // a path: a relative one starts at the file's own directory
	example string          // for configs/agent.yaml, where the default is empty
	at      func(place) any // *string, *bool, *time.Duration, *[]string or *map[string]string
}

// place selects the part of a Config that a key's value belongs to.
type place struct {
	config   *Config
	machine  *Machine
	endpoint *Endpoint
	index    int // of machine
}

const (
	machinesPath  = "machines[]"
	registerPath  = "machines[].register"
	endpointsPath = "machines[].endpoints[]"
)

func isMachineKey(path string) bool  { return strings.HasPrefix(path, machinesPath+".") }
func isEndpointKey(path string) bool { return strings.HasPrefix(path, endpointsPath+".") }

// table is all the rows, in the order of configs/agent.yaml.
type table struct {
	rows   []row
	byPath map[string]row
}

// newTable completes the rows with what follows from them: the name in the
// environment, the type's name and the text of the field's comment.
func newTable() table {
	t := table{rows: slices.Concat(orchestratorRows(), machineRows(), endpointRows(), serviceRows()), byPath: map[string]row{}}
	scratch := place{config: &Config{}, machine: &Machine{}, endpoint: &Endpoint{}}
	docs := configDocs()
	for i := range t.rows {
		r := &t.rows[i]
		r.Env, r.Doc = envName(r.Path), docs[r.Path]
		switch r.at(scratch).(type) {
		case *string:
			r.Type = "string"
		case *bool:
			r.Type = "boolean"
		case *time.Duration:
			r.Type = "duration"
		case *[]string:
			r.Type = "list"
		case *map[string]string:
			r.Type = "map"
		}
		t.byPath[r.Path] = *r
	}
	return t
}

// children lists the names of the keys and sections directly below a section.
func (t table) children(section string) []string {
	var names []string
	for _, r := range t.rows {
		rest, ok := strings.CutPrefix(r.Path, section)
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(rest, "."), ".")
		name = strings.TrimSuffix(name, "[]")
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// named lists the paths of the keys with this name in any section.
func (t table) named(name string) []string {
	var paths []string
	for _, r := range t.rows {
		if lastName(r.Path) == name {
			paths = append(paths, r.Path)
		}
	}
	return paths
}

const envPrefix = "PEAQOS_AGENT_"

// envName is a key's name in the environment: its path in capitals. The keys of
// the single machine and its single endpoint are shortened.
func envName(path string) string {
	for _, short := range [][2]string{
		{endpointsPath + ".", "endpoint."},
		{registerPath + ".", "register."},
		{machinesPath + ".identity_ref", "identity_ref"},
		{machinesPath + ".", "machine."},
	} {
		if rest, ok := strings.CutPrefix(path, short[0]); ok {
			path = short[1] + rest
			break
		}
	}
	return envPrefix + strings.ToUpper(strings.ReplaceAll(strings.ReplaceAll(path, ".", "_"), "-", "_"))
}

// flagName is a key's name on the command line.
func flagName(path string) string {
	return "--" + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(envName(path), envPrefix), "_", "-"))
}

// concrete puts indexes into a path of the table: machines[].id becomes
// machines[2].id.
func concrete(path string, machine, endpoint string) string {
	path = strings.Replace(path, "machines[]", "machines["+machine+"]", 1)
	return strings.Replace(path, "endpoints[]", "endpoints["+endpoint+"]", 1)
}

// withoutIndexes is the opposite of concrete: machines[2].id becomes
// machines[].id.
func withoutIndexes(path string) string {
	var b strings.Builder
	for {
		head, rest, found := strings.Cut(path, "[")
		b.WriteString(head)
		if !found {
			return b.String()
		}
		b.WriteString("[]")
		_, path, _ = strings.Cut(rest, "]")
	}
}

// lastName is the key's own name: base_url.
func lastName(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// join appends a key to the path of its section.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
