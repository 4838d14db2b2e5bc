package keystore

import (
	"cmp"
	"slices"
)

// Host is what is known of the hardware that we run on. A fact that could not be
// read is empty, and an empty fact differs from nothing.
type Host struct {
	MachineID string   `json:"machine_id,omitempty"` // application-specific hash of /etc/machine-id, 32 hex digits
	Serial    string   `json:"serial,omitempty"`     // hash of the device tree's serial number, 32 hex digits
	MACs      []string `json:"macs,omitempty"`       // of built-in network interfaces, sorted
}

// hostChange is what the comparison of two hosts says.
type hostChange struct {
	Differs    []string // the facts that differ: "machine id", "serial number", "network interfaces"
	Quarantine bool     // two or more differ: another machine
	Learn      *Host    // what to remember from now on; nil when that is what we know
}

// maxMACs bounds what is remembered of a machine whose interfaces come and go.
const maxMACs = 16

// compareHosts reports whether two sets of facts are of one machine. One fact may
// change: a board, a network card and a fresh installation are replaced one at a
// time, and then the new fact is learnt. Two that differ at once are another
// machine. A fact that is missing now, or was missing then, does not differ, and
// neither do network interfaces as long as one of them is known.
func compareHosts(old, now Host) hostChange {
	var v hostChange
	if differ(old.MachineID, now.MachineID) {
		v.Differs = append(v.Differs, "machine id")
	}
	if differ(old.Serial, now.Serial) {
		v.Differs = append(v.Differs, "serial number")
	}
	strange := len(old.MACs) > 0 && len(now.MACs) > 0 && !overlap(old.MACs, now.MACs)
	if strange {
		v.Differs = append(v.Differs, "network interfaces")
	}
	if len(v.Differs) >= 2 {
		v.Quarantine = true
		return v
	}
	learn := Host{MachineID: cmp.Or(now.MachineID, old.MachineID), Serial: cmp.Or(now.Serial, old.Serial), MACs: old.MACs}
	if strange {
		learn.MACs = now.MACs
	} else if !contains(old.MACs, now.MACs) {
		learn.MACs = merge(now.MACs, old.MACs)
	}
	if learn.MachineID != old.MachineID || learn.Serial != old.Serial || !slices.Equal(learn.MACs, old.MACs) {
		v.Learn = &learn
	}
	return v
}

func differ(old, now string) bool { return old != "" && now != "" && old != now }

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(m string) bool { return slices.Contains(b, m) })
}

func contains(all, some []string) bool {
	return !slices.ContainsFunc(some, func(m string) bool { return !slices.Contains(all, m) })
}

// merge keeps all of now, and of old as many as fit.
func merge(now, old []string) []string {
	all := slices.Clone(now)
	for _, m := range old {
		if len(all) < maxMACs && !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	slices.Sort(all)
	return all
}
