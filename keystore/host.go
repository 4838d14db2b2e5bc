package keystore

import (
	"cmp"
	"slices"
)

// Host is the facts that identify the hardware of this host. A fact that could not
// be read is empty; an empty fact is equal to any other.
type Host struct {
	MachineID string   `json:"machine_id,omitempty"` // application-specific hash of /etc/machine-id, 32 hex digits
	Serial    string   `json:"serial,omitempty"`     // hash of the device tree's serial number, 32 hex digits
	MACs      []string `json:"macs,omitempty"`       // of built-in network interfaces, sorted
}

// hostChange is the result of comparing two hosts.
type hostChange struct {
	Differs    []string // the facts that differ: "machine id", "serial number", "network interfaces"
	Quarantine bool     // two or more facts differ: it is another machine
	Learn      *Host    // the facts to store; nil if they have not changed
}

// maxMACs limits what is stored about a machine whose interfaces come and go.
const maxMACs = 16

// compareHosts reports whether two sets of facts are of the same machine. A single
// fact may change, because a board, a network card or an installation is replaced
// one at a time; the new fact is then stored. If two facts differ at once it is
// another machine. A fact that is missing in either set does not differ, nor do the
// network interfaces while at least one of them is known.
func compareHosts(old, now Host) hostChange {
	var v hostChange
	if differ(old.MachineID, now.MachineID) {
		v.Differs = append(v.Differs, "machine id")
	}
	if differ(old.Serial, now.Serial) {
		v.Differs = append(v.Differs, "serial number")
	}
	replaced := len(old.MACs) > 0 && len(now.MACs) > 0 && !overlap(old.MACs, now.MACs)
	if replaced {
		v.Differs = append(v.Differs, "network interfaces")
	}
	if len(v.Differs) >= 2 {
		v.Quarantine = true
		return v
	}
	learn := Host{MachineID: cmp.Or(now.MachineID, old.MachineID), Serial: cmp.Or(now.Serial, old.Serial), MACs: old.MACs}
	if replaced {
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

// merge returns all of now, and as many of old as fit into maxMACs.
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
