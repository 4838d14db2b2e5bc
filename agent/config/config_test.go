package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCopies: the With methods change their result and leave the original alone.
func TestCopies(t *testing.T) {
	const text = "machines: [{name: a, allowed_provider_keys: [x]}, {name: b}]\n"
	original, same := mustLoad(t, text), mustLoad(t, text)
	keys := []string{"qvac"}
	changed := original.WithAllowedProviderKeys(keys).WithWarning("one more")
	keys[0] = "other"
	if diff := cmp.Diff(same.Machines, original.Machines); diff != "" {
		t.Errorf("the original was changed:\n%s", diff)
	}
	if len(original.Warnings) != 2 || len(changed.Warnings) != 3 || changed.Warnings[2] != "one more" {
		t.Errorf("original %q, copy %q", original.Warnings, changed.Warnings)
	}
	for _, m := range changed.Machines {
		if len(m.AllowedProviderKeys) != 1 || m.AllowedProviderKeys[0] != "qvac" {
			t.Errorf("machine %s has %q", m.Name, m.AllowedProviderKeys)
		}
	}
	if changed.Show(true) == original.Show(true) {
		t.Error("the copy shows the original")
	}
}
