package config

import (
	"maps"
	"slices"
)

// Diff names the keys in which two configurations differ, and those of them that
// a running agent cannot change (Restart in [Schema]). Machines are told apart by
// name and endpoints by provider key, so that their order does not matter. One
// that comes or goes is named as a whole, and for a machine that needs a restart.
func Diff(older, newer *Config) (changed, needRestart []string) {
	was, is := flatten(older), flatten(newer)
	all := maps.Clone(was)
	maps.Copy(all, is)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		a, hadIt := was[path]
		b, hasIt := is[path]
		if hadIt && hasIt && a.text == b.text {
			continue
		}
		if outer := all[path].outer; was[outer] != is[outer] {
			continue // it came or went with its machine or endpoint
		}
		changed = append(changed, path)
		if all[path].restart {
			needRestart = append(needRestart, path)
		}
	}
	return changed, needRestart
}

// flatValue is one key's value, or (without text) that a machine or an endpoint
// exists.
type flatValue struct {
	text    string
	outer   string // what it is part of
	restart bool
}

// flatten writes a configuration as one text per key.
func flatten(c *Config) map[string]flatValue {
	flat := map[string]flatValue{}
	table := rows()
	add := func(at place, outer string, mine func(path string) bool, machine, endpoint string) {
		for _, r := range table {
			if mine(r.Path) {
				flat[concrete(r.Path, machine, endpoint)] = flatValue{r.formatValue(r.at(at)), outer, r.Restart}
			}
		}
	}
	add(place{config: c}, "", func(p string) bool { return !isMachineKey(p) }, "", "")
	for i := range c.Machines {
		m := &c.Machines[i]
		one := concrete(machinesPath, m.Name, "")
		flat[one] = flatValue{restart: true}
		add(place{config: c, machine: m}, one, func(p string) bool { return isMachineKey(p) && !isEndpointKey(p) }, m.Name, "")
		for j := range m.Endpoints {
			e := &m.Endpoints[j]
			two := concrete(endpointsPath, m.Name, e.ProviderKey)
			flat[two] = flatValue{outer: one}
			add(place{config: c, machine: m, endpoint: e}, two, isEndpointKey, m.Name, e.ProviderKey)
		}
	}
	return flat
}
