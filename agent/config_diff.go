package agent

import (
	"iter"
	"maps"
	"slices"
)

// Diff names the keys in which two configurations differ, and those of them that
// a running agent cannot change (Restart in [Schema]). Machines are told apart by
// name and endpoints by provider key, so that their order does not matter; a
// machine that comes or goes needs a restart.
func Diff(older, newer *Config) (changed, needRestart []string) {
	was, is := flatten(older), flatten(newer)
	for _, path := range slices.Compact(slices.Sorted(both(was, is))) {
		a, hadIt := was[path]
		b, hasIt := is[path]
		if hadIt && hasIt && a.text == b.text {
			continue
		}
		changed = append(changed, path)
		if a.restart || b.restart {
			needRestart = append(needRestart, path)
		}
	}
	return changed, needRestart
}

type flatValue struct {
	text    string
	restart bool
}

// flatten writes a configuration as one text per key.
func flatten(c *Config) map[string]flatValue {
	flat := map[string]flatValue{}
	for _, r := range rows() {
		add := func(at place, path string) { flat[path] = flatValue{r.formatValue(r.at(at)), r.Restart} }
		if !isMachineKey(r.Path) {
			add(place{config: c}, r.Path)
			continue
		}
		for i := range c.Machines {
			m := &c.Machines[i]
			if !isEndpointKey(r.Path) {
				add(place{config: c, machine: m}, concrete(r.Path, m.Name, ""))
				continue
			}
			for j := range m.Endpoints {
				e := &m.Endpoints[j]
				add(place{config: c, machine: m, endpoint: e}, concrete(r.Path, m.Name, e.ProviderKey))
			}
		}
	}
	return flat
}

func both[V any](a, b map[string]V) iter.Seq[string] {
	return func(yield func(string) bool) {
		for k := range maps.Keys(a) {
			if !yield(k) {
				return
			}
		}
		for k := range maps.Keys(b) {
			if !yield(k) {
				return
			}
		}
	}
}

func mapKeys(m map[string]string) iter.Seq[string] { return maps.Keys(m) }
