package keystore

import (
	"cmp"
	"slices"
)

// Host is the facts that identify the hardware of this host. A fact that could not
// be read is empty; an empty fact is equal to any other. The machine id is not a fact
// of the hardware: it is on the disk and is copied with it.
type Host struct {
	MachineID string   `json:"machine_id,omitempty"` // application-specific hash of /etc/machine-id, 32 hex digits
	Serial    string   `json:"serial,omitempty"`     // hash of the device tree's serial number, 32 hex digits
	MACs      []string `json:"macs,omitempty"`       // of built-in network interfaces, sorted
	Disks     []string `json:"disks,omitempty"`      // hashes of the serial numbers of built-in disks, 32 hex digits, sorted
	Model     string   `json:"model,omitempty"`      // hash of the names of board and system, 32 hex digits
	// Unstable: the machine id changes by itself, so it is neither compared nor stored.
	Unstable bool `json:"unstable_machine_id,omitempty"`
}

// hostChange is the result of comparing two hosts.
type hostChange struct {
	Differs    []string // the facts that differ: "serial number", "network interfaces", "disks", "model", "machine id"
	Quarantine bool     // it is another machine
	Doubtful   bool     // the only known fact of the hardware differs: it may be another machine
	Learn      *Host    // the facts to store; nil if they have not changed
}

// maxMACs limits what is stored about a machine whose interfaces or disks come and go.
const maxMACs = 16

// compareHosts reports whether two sets of facts are of the same machine. A single
// fact of the hardware may change while others are known and equal, because a board,
// a network card or a disk is replaced one at a time; the new fact is then stored. If
// two differ at once it is another machine. If the only known one differs, that
// is not known: together with another machine id it is another machine, without
// one the store is used and the difference is reported until somebody adopts the host.
// A fact that is missing in either set does not differ, nor do network interfaces and
// disks while at least one of them is known. An equal model says nothing.
func compareHosts(old, now Host) hostChange {
	var v hostChange
	known := 0 // facts that tell this machine from others
	compare := func(name string, both, differs bool) {
		if both {
			known++
		}
		if both && differs {
			v.Differs = append(v.Differs, name)
		}
	}
	compare("serial number", old.Serial != "" && now.Serial != "", old.Serial != now.Serial)
	compare("network interfaces", len(old.MACs) > 0 && len(now.MACs) > 0, !overlap(old.MACs, now.MACs))
	compare("disks", len(old.Disks) > 0 && len(now.Disks) > 0, !overlap(old.Disks, now.Disks))
	// Many machines have the same model, so that an equal one says nothing.
	compare("model", differ(old.Model, now.Model), true)
	hardware := len(v.Differs)
	unstable := old.Unstable || now.Unstable
	otherID := !unstable && differ(old.MachineID, now.MachineID)
	if otherID {
		v.Differs = append(v.Differs, "machine id")
	}
	switch {
	case hardware >= 2 || hardware == 1 && known == 1 && otherID:
		v.Quarantine = true
		return v
	case hardware == 1 && known == 1:
		v.Doubtful = true
		return v
	}
	learn := Host{
		MachineID: cmp.Or(now.MachineID, old.MachineID), Serial: cmp.Or(now.Serial, old.Serial), Model: cmp.Or(now.Model, old.Model),
		MACs: learnSet(old.MACs, now.MACs), Disks: learnSet(old.Disks, now.Disks),
		Unstable: unstable || otherID && hardware == 0 && known > 0, // the same hardware: it changed by itself
	}
	if learn.Unstable {
		learn.MachineID = ""
	}
	if learn.MachineID != old.MachineID || learn.Serial != old.Serial || learn.Model != old.Model || learn.Unstable != old.Unstable ||
		!slices.Equal(learn.MACs, old.MACs) || !slices.Equal(learn.Disks, old.Disks) {
		v.Learn = &learn
	}
	return v
}

// learnSet is what to store of a set of which one is enough to know a machine.
func learnSet(old, now []string) []string {
	switch {
	case len(now) > 0 && !overlap(old, now):
		return now
	case !contains(old, now):
		return merge(now, old)
	}
	return old
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
