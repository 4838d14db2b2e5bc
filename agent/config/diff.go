package config

import (
	"maps"
	"slices"
)

// Diff lists the keys in which two configurations differ, and those of them that
// a running agent cannot change (Restart in [Schema]), both sorted. Machines are
// identified by name and endpoints by provider key, so that their order does not
// matter: machines[main].endpoints[qvac].base_url. One that is added or removed is
// listed as a whole, and a machine then needs a restart.
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
			continue // added or removed with its machine or endpoint
		}
		changed = append(changed, path)
		if all[path].restart {
			needRestart = append(needRestart, path)
		}
	}
	return changed, needRestart
}

// flatValue is one key's value. An entry without text records that a machine or
// an endpoint exists.
type flatValue struct {
	text    string
	outer   string // the machine or endpoint it belongs to, "" for none
	restart bool
}

// flatten writes a configuration as one text per key, by concrete path.
func flatten(c *Config) map[string]flatValue {
	flat := map[string]flatValue{}
	rows := newTable().rows
	add := func(at place, outer string, mine func(path string) bool, machine, endpoint string) {
		for _, r := range rows {
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
