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
	Type    string   `json:"type"`    // text, boolean, duration, list or map
	Values  []string `json:"values"`  // the only words allowed; empty means any
	Default string   `json:"default"` // as the file would say it; empty when there is none or it depends
	Restart bool     `json:"restart"` // a running agent refuses a change
	Doc     string   `json:"doc"`     // the field's comment, see [Config]
}

// Schema lists every key in the order of configs/agent.yaml. It is the one table
// behind the file's reader, the environment, the defaults, [Config.Show] and
// [Diff].
func Schema() []Key {
	var keys []Key
	for _, r := range rows() {
		keys = append(keys, r.Key)
	}
	return keys
}

// row is a key together with the field it fills.
type row struct {
	Key
	auto    bool // a duration that may also be the word auto, stored as 0
	file    bool // a path: relative ones start at the file's own directory
	example string
	at      func(place) any // *string, *bool, *time.Duration, *[]string or *map[string]string
}

// place is where in a Config a key's value stands.
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

// rows completes the table with what follows from each row: the environment's
// name, the type's name and the words of the field's comment.
func rows() []row {
	all := slices.Concat(orchestratorRows(), machineRows(), endpointRows(), serviceRows())
	scratch := place{config: &Config{}, machine: &Machine{}, endpoint: &Endpoint{}}
	docs := configDocs()
	for i := range all {
		r := &all[i]
		r.Env, r.Doc = envName(r.Path), docs[r.Path]
		switch r.at(scratch).(type) {
		case *string:
			r.Type = "text"
		case *bool:
			r.Type = "boolean"
		case *time.Duration:
			r.Type = "duration"
		case *[]string:
			r.Type = "list"
		case *map[string]string:
			r.Type = "map"
		}
	}
	return all
}

const envPrefix = "PEAQOS_AGENT_"

// envName is the environment's name of a key: its path in capitals. The keys of
// the one machine and its one endpoint are shortened.
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
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(path))
}

// flagName is how a key is called when it was given on the command line.
func flagName(path string) string {
	return "--" + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(envName(path), envPrefix), "_", "-"))
}

// concrete puts indexes into a schema path: machines[].id is machines[2].id.
func concrete(path string, machine, endpoint string) string {
	path = strings.Replace(path, "machines[]", "machines["+machine+"]", 1)
	return strings.Replace(path, "endpoints[]", "endpoints["+endpoint+"]", 1)
}

// lastName is the key's own name: base_url.
func lastName(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
