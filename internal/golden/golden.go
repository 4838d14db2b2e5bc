// Package golden compares what a test produced with a file that is kept in the
// repository. Run the test with -update to write the file:
//
//	go test ./agent/status -run TestStatusGolden -update
//
// Read the difference before committing it: a golden file is the only place
// where a changed sentence, name or number is noticed. Only tests import this
// package.
package golden

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// Updating reports whether the test was started with -update.
func Updating() bool { return *update }

// Check fails the test when got is not the content of the file at path.
func Check(t *testing.T, path, got string) {
	t.Helper()
	if Updating() {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not up to date (go test -run '%s' -update writes it):\n%s", path, t.Name(), diff)
	}
}
