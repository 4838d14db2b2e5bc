package keystore

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCompareHosts: one fact may change, two at once are another machine.
func TestCompareHosts(t *testing.T) {
	const mac1, mac2, mac3 = "00:00:5e:00:53:01", "00:00:5e:00:53:02", "00:00:5e:00:53:03"
	base := Host{MachineID: "id1", Serial: "s1", MACs: []string{mac1, mac2}}
	const id, serial, nics = "machine id", "serial number", "network interfaces"
	for name, c := range map[string]struct {
		old, now Host
		differs  []string
		learn    *Host
	}{
		"the same":            {base, base, nil, nil},
		"nothing can be read": {base, Host{}, nil, nil},
		"nothing was known":   {Host{}, base, nil, &base},
		"another machine id":  {base, Host{"id2", "s1", []string{mac1, mac2}}, []string{id}, &Host{"id2", "s1", []string{mac1, mac2}}},
		"another board":       {base, Host{"id1", "s2", []string{mac1, mac2}}, []string{serial}, &Host{"id1", "s2", []string{mac1, mac2}}},
		"all cards replaced":  {base, Host{"id1", "s1", []string{mac3}}, []string{nics}, &Host{"id1", "s1", []string{mac3}}},
		"one card replaced":   {base, Host{"id1", "s1", []string{mac1, mac3}}, nil, &Host{"id1", "s1", []string{mac1, mac2, mac3}}},
		"one card away":       {base, Host{"id1", "s1", []string{mac2}}, nil, nil},
		"one more card":       {Host{"id1", "s1", []string{mac1}}, base, nil, &base},
		"all cards away":      {base, Host{"id1", "s1", nil}, nil, nil},
		"serial number appears": {
			Host{"id1", "", []string{mac1}}, Host{"id1", "s1", []string{mac1}}, nil, &Host{"id1", "s1", []string{mac1}},
		},
		"id and board":    {base, Host{"id2", "s2", []string{mac1}}, []string{id, serial}, nil},
		"id and cards":    {base, Host{"id2", "s1", []string{mac3}}, []string{id, nics}, nil},
		"board and cards": {base, Host{"id1", "s2", []string{mac3}}, []string{serial, nics}, nil},
		"everything":      {base, Host{"id2", "s2", []string{mac3}}, []string{id, serial, nics}, nil},
	} {
		want := hostChange{Differs: c.differs, Quarantine: len(c.differs) > 1, Learn: c.learn}
		if d := cmp.Diff(want, compareHosts(c.old, c.now)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	// The number of stored cards is limited.
	old := base
	for i := range 40 {
		card := fmt.Sprintf("00:00:5e:00:54:%02x", i)
		if v := compareHosts(old, Host{"id1", "s1", []string{mac1, card}}); v.Learn != nil {
			old = *v.Learn
		}
	}
	if len(old.MACs) > maxMACs || !slices.Contains(old.MACs, mac1) {
		t.Errorf("%d interfaces are stored: %v", len(old.MACs), old.MACs)
	}
}
