package keystore

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCompareHosts: one of several known facts of the hardware may change, two at
// once are another machine. The machine id is on the disk and counts only next to the
// only known fact of the hardware.
func TestCompareHosts(t *testing.T) {
	const mac1, mac2, mac3 = "00:00:5e:00:53:01", "00:00:5e:00:53:02", "00:00:5e:00:53:03"
	base := Host{MachineID: "id1", Serial: "s1", MACs: []string{mac1, mac2}}
	full := Host{MachineID: "id1", MACs: []string{mac1}, Disks: []string{"d1"}, Model: "m1"}
	const id, serial, nics, disks, model = "machine id", "serial number", "network interfaces", "disks", "model"
	host := func(id, serial string, macs ...string) Host { return Host{MachineID: id, Serial: serial, MACs: macs} }
	learned := func(h Host) *Host { return &h }
	unstable := func(h Host) *Host { h.MachineID, h.Unstable = "", true; return &h }
	const same, quarantine, doubtful = 0, 1, 2
	for name, c := range map[string]struct {
		old, now Host
		verdict  int
		differs  []string
		learn    *Host
	}{
		"the same":                  {base, base, same, nil, nil},
		"nothing can be read":       {base, Host{}, same, nil, nil},
		"nothing was known":         {Host{}, base, same, nil, &base},
		"another machine id":        {base, host("id2", "s1", mac1, mac2), same, []string{id}, unstable(host("", "s1", mac1, mac2))},
		"another id, unstable":      {*unstable(base), host("id3", "s1", mac1, mac2), same, nil, nil},
		"another id, volatile now":  {base, *unstable(base), same, nil, unstable(base)},
		"only machine ids":          {host("id1", ""), host("id2", ""), same, []string{id}, learned(host("id2", ""))},
		"another board":             {base, host("id1", "s2", mac1, mac2), same, []string{serial}, learned(host("id1", "s2", mac1, mac2))},
		"all cards replaced":        {base, host("id1", "s1", mac3), same, []string{nics}, learned(host("id1", "s1", mac3))},
		"one card replaced":         {base, host("id1", "s1", mac1, mac3), same, nil, learned(host("id1", "s1", mac1, mac2, mac3))},
		"one card away":             {base, host("id1", "s1", mac2), same, nil, nil},
		"one more card":             {host("id1", "s1", mac1), base, same, nil, &base},
		"all cards away":            {base, host("id1", "s1"), same, nil, nil},
		"serial number appears":     {host("id1", "", mac1), host("id1", "s1", mac1), same, nil, learned(host("id1", "s1", mac1))},
		"id and board":              {base, host("id2", "s2", mac1), same, []string{serial, id}, learned(host("id2", "s2", mac1, mac2))},
		"board and cards":           {base, host("id1", "s2", mac3), quarantine, []string{serial, nics}, nil},
		"everything":                {base, host("id2", "s2", mac3), quarantine, []string{serial, nics, id}, nil},
		"only known card":           {host("id1", "", mac1), host("id1", "", mac3), doubtful, []string{nics}, nil},
		"only known board":          {host("", "s1"), host("id1", "s2", mac1), doubtful, []string{serial}, nil},
		"only known card, id":       {host("id1", "", mac1), host("id2", "", mac3), quarantine, []string{nics, id}, nil},
		"only known card, volatile": {*unstable(host("", "", mac1)), host("id2", "", mac3), doubtful, []string{nics}, nil},
		"disk copied to another PC": {
			full, Host{MachineID: "id1", MACs: []string{mac2}, Disks: []string{"d2"}, Model: "m1"}, quarantine, []string{nics, disks}, nil,
		},
		"disk moved to another model": {
			full, Host{MachineID: "id1", MACs: []string{mac2}, Disks: []string{"d1"}, Model: "m2"}, quarantine, []string{nics, model}, nil,
		},
		"copied to another PC of the model, disks unknown": {
			Host{MachineID: "id1", MACs: []string{mac1}, Model: "m1"},
			Host{MachineID: "id1", MACs: []string{mac2}, Model: "m1"},
			doubtful,
			[]string{nics},
			nil,
		},
		"another PC of the model installed from a copy": {
			Host{MachineID: "id1", MACs: []string{mac1}, Model: "m1"},
			Host{MachineID: "id2", MACs: []string{mac2}, Model: "m1"},
			quarantine,
			[]string{nics, id},
			nil,
		},
		"board with the network card replaced, same disk": {
			full,
			Host{MachineID: "id1", MACs: []string{mac2}, Disks: []string{"d1"}, Model: "m1"},
			same,
			[]string{nics},
			&Host{MachineID: "id1", MACs: []string{mac2}, Disks: []string{"d1"}, Model: "m1"},
		},
		"only the model is known, another id": {
			Host{MachineID: "id1", Model: "m1"},
			Host{MachineID: "id2", Model: "m1"},
			same,
			[]string{id},
			&Host{MachineID: "id2", Model: "m1"},
		},
		"disk replaced": {
			full,
			Host{MachineID: "id1", MACs: []string{mac1}, Disks: []string{"d2"}, Model: "m1"},
			same,
			[]string{disks},
			&Host{MachineID: "id1", MACs: []string{mac1}, Disks: []string{"d2"}, Model: "m1"},
		},
	} {
		want := hostChange{Differs: c.differs, Quarantine: c.verdict == quarantine, Doubtful: c.verdict == doubtful, Learn: c.learn}
		if d := cmp.Diff(want, compareHosts(c.old, c.now)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	// The number of stored cards is limited.
	old := base
	for i := range 40 {
		card := fmt.Sprintf("00:00:5e:00:54:%02x", i)
		if v := compareHosts(old, host("id1", "s1", mac1, card)); v.Learn != nil {
			old = *v.Learn
		}
	}
	if len(old.MACs) > maxMACs || !slices.Contains(old.MACs, mac1) {
		t.Errorf("%d interfaces are stored: %v", len(old.MACs), old.MACs)
	}
}
