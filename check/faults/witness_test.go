package main

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// testLab builds the agent and makes a lab for it.
func testLab(t *testing.T) *lab {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "peaqos-agent")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/peaqos-agent").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l, err := newLab(t.Context(), binary, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

// TestWitness: a table of zeroes means something only if the witness sees what is
// wrong: a store that vanished, an agent that nobody names, a token that is not
// the living one's, one that does not beat.
func TestWitness(t *testing.T) {
	l := testLab(t)
	for name, c := range map[string]struct {
		spoil func(*testing.T, *world)
		want  func(finding) bool
	}{
		"nothing": {func(*testing.T, *world) {}, finding.good},
		"the store vanished": {func(t *testing.T, w *world) {
			if err := os.RemoveAll(filepath.Join(w.state, "keystore")); err != nil {
				t.Fatal(err)
			}
		}, func(f finding) bool { return f.lost == 2 && f.orphans == 1 && f.halves == 1 }},
		"both slots are damaged": {func(t *testing.T, w *world) {
			for _, slot := range []string{"agent-main.a", "agent-main.b"} {
				if err := flip(w.keystore(slot), 10); err != nil {
					t.Fatal(err)
				}
			}
		}, func(f finding) bool { return f.lost == 1 && f.manual == 1 && f.halves == 1 }},
		"the agent was revoked": {func(_ *testing.T, w *world) { w.sandbox.RevokeAgent(w.living()[0].ID) }, func(f finding) bool { return f.halves == 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := l.newWorld("")
			if err != nil {
				t.Fatal(err)
			}
			defer w.close()
			if _, err := w.enroll(); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, w)
			f, err := w.settle(true)
			if err != nil || !c.want(f) {
				t.Errorf("finding %+v, %v", f, err)
			}
		})
	}
}

// TestKillBefore: the tracer kills before the call it was told, and not at all
// beyond the last one.
func TestKillBefore(t *testing.T) {
	l := testLab(t)
	w, err := l.newWorld("")
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	whole := killBefore(w.command(l.ctx, nil, "version"), 1<<20)
	if whole.fault != nil || whole.hit != "" || whole.exit != 0 || whole.seen["write"] == 0 {
		t.Fatalf("unkilled: %+v", whole)
	}
	first := killBefore(w.command(l.ctx, nil, "version"), 1)
	total := 0
	for _, n := range first.seen {
		total += n
	}
	if first.fault != nil || first.hit == "" || total != 1 {
		t.Errorf("killed before the first call: %+v", first)
	}
}

func TestSpellings(t *testing.T) {
	const secret = "mat_SECRETSECRET"
	for shift := range 4 {
		text := base64.StdEncoding.EncodeToString([]byte("abcd"[:shift] + secret + "xyz"))
		c := &cage{names: map[string]string{secret: "the token"}}
		c.look("a test", []byte("..."+text+"..."))
		if len(c.sighted) != 1 {
			t.Errorf("base64 with %d bytes in front is not seen", shift)
		}
	}
}

func TestTable(t *testing.T) {
	good, bad := &row{name: "good", how: "so"}, &row{name: "bad"}
	good.add("a", finding{})
	bad.add("b", finding{lost: 1, why: "gone"})
	text := table([]*row{good, bad, {name: "other", notRun: "no root"}})
	for _, want := range []string{"| good | 1 | 1 | 0 ", "| bad | 1 | 0 | 1 ", "not run here: no root", "1 tokens lost"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if !good.good() || bad.good() || (&row{}).good() {
		t.Error("the verdicts are wrong: a row in which nothing was tried proves nothing")
	}
	if got := thousands(1234567); got != "1,234,567" {
		t.Error(got)
	}
}
