package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

// testHarness builds the agent and makes a harness for it.
func testHarness(t *testing.T) *harness {
	t.Helper()
	binary, err := lab.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h, err := newHarness(t.Context(), binary, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h
}

// TestWitness: a table of zeroes is evidence only if the witness detects what is
// wrong: a missing store, an agent that the store does not name, a token of another
// agent, an agent that sends no heartbeats.
func TestWitness(t *testing.T) {
	h := testHarness(t)
	for name, c := range map[string]struct {
		damage func(*testing.T, *world)
		want   func(finding) bool
	}{
		"nothing": {func(*testing.T, *world) {}, finding.good},
		"the store is missing": {func(t *testing.T, w *world) {
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
		"the agent was revoked": {func(_ *testing.T, w *world) {
			w.sandbox.RevokeAgent(w.active()[0].ID)
		}, func(f finding) bool { return f.halves == 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := h.newWorld("")
			if err != nil {
				t.Fatal(err)
			}
			defer w.close()
			if _, err := w.enroll(); err != nil {
				t.Fatal(err)
			}
			c.damage(t, w)
			f, err := w.settle(true)
			if err != nil || !c.want(f) {
				t.Errorf("finding %+v, %v", f, err)
			}
		})
	}
}

// TestInterrupt: the tracer kills before the n-th call, and not at all when there are
// fewer calls; or the n-th call fails.
func TestInterrupt(t *testing.T) {
	h := testHarness(t)
	w, err := h.newWorld("")
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	whole := interrupt(w.command(h.ctx, nil, "version"), h.lab.Binary, 1<<20, interruption{})
	if whole.fault != nil || whole.hit != "" || whole.exit != 0 || whole.seen["write"] == 0 {
		t.Fatalf("unkilled: %+v", whole)
	}
	first := interrupt(w.command(h.ctx, nil, "version"), h.lab.Binary, 1, interruption{})
	total := 0
	for _, n := range first.seen {
		total += n
	}
	if first.fault != nil || first.hit == "" || !first.killed || total != 1 {
		t.Errorf("killed before the first call: %+v", first)
	}
}

func TestEncodings(t *testing.T) {
	const secret = "mat_SECRETSECRET"
	for shift := range 4 {
		text := base64.StdEncoding.EncodeToString([]byte("abcd"[:shift] + secret + "xyz"))
		c := &cage{names: map[string]string{secret: "the token"}}
		c.look("a test", []byte("..."+text+"..."))
		if len(c.sighted) != 1 {
			t.Errorf("base64 with %d bytes in front is not detected", shift)
		}
	}
}

func TestTable(t *testing.T) {
	good, bad, missed := &row{name: "good", how: "so"}, &row{name: "bad"}, &row{name: "missed"}
	good.add(attempt{"a", true, finding{}})
	bad.add(attempt{"b", true, finding{lost: 1, why: "gone"}})
	missed.add(attempt{what: "c"})
	text := table([]*row{good, bad, missed, {name: "other", notRun: "no root"}})
	for _, want := range []string{"| good | 1 | 1 | 1 | 0 ", "| bad | 1 | 1 | 0 | 1 ", "| missed | 1 | 0 | 1 | 0 ", "not run here: no root", "1 tokens lost"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if !good.good() || bad.good() || missed.good() || (&row{}).good() {
		t.Error("the verdicts are wrong: a row without a try, or with a fault that did not happen, proves nothing")
	}
	if got := thousands(1234567); got != "1,234,567" {
		t.Error(got)
	}
}
