package keystore

import (
	"errors"
	"os"
	"testing"
)

// TestWhatLiesInTheClear: with its key gone a store still names what has to be
// replaced: the agent, what it took over from, and a rotation that was cut.
func TestWhatLiesInTheClear(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	record := testAgent("tok")
	record.Replaced = "agent_old"
	must(t, s.PutAgent("main", record))
	must(t, s.PutIntent("main", &Intent{Kind: "rotate", Origin: "https://o.example", MachineID: "mach_1", Label: "a#abcdefgh"}))
	key, err := ParseKey([]byte(elevens))
	must(t, err)
	if s.HasControllerKey() {
		t.Error("a controller key is held before one was stored")
	}
	must(t, s.PutController(key))
	must(t, s.Close())
	must(t, os.Remove(file(dir, "seal.a")))
	must(t, os.Remove(file(dir, "seal.b")))

	s = open(t, dir, Options{})
	if err := second(s.Agent("main")); !errors.Is(err, ErrSealed) || errors.Is(err, ErrNotFound) {
		t.Errorf("Agent = %v: a lost seal is no empty store", err)
	}
	if facts, err := s.AgentFacts("main"); err != nil || facts.Replaced != "agent_old" || !facts.Token.IsZero() {
		t.Errorf("AgentFacts = %+v, %v", facts, err)
	}
	if intent, err := s.IntentFacts("main"); err != nil || intent.Label != "a#abcdefgh" || intent.Kind != "rotate" {
		t.Errorf("IntentFacts = %+v, %v", intent, err)
	}
	if err := second(s.IntentFacts("arm-2")); !errors.Is(err, ErrNotFound) {
		t.Errorf("IntentFacts of nothing = %v", err)
	}
	if !s.HasControllerKey() {
		t.Error("a controller key that cannot be read is held all the same")
	}
	must(t, s.Reset())
	if s.HasControllerKey() || s.EverHeld("main") {
		t.Error("something is held after Reset")
	}
}

// TestEverHeld: a record that was dropped was held; one that is damaged is.
func TestEverHeld(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	held := func(what string, want bool) {
		t.Helper()
		if got := s.EverHeld("main"); got != want {
			t.Errorf("%s: EverHeld = %v", what, got)
		}
	}
	held("new", false)
	must(t, s.PutIntent("main", &Intent{Kind: "enroll", Label: "a#abcdefgh"}))
	held("interrupted", false)
	must(t, s.PutAgent("main", testAgent("tok")))
	held("stored", true)
	must(t, s.DropAgent("main"))
	held("dropped", true)
	if s.EverHeld("arm-2") {
		t.Error("another machine's record counts")
	}
	must(t, s.PutAgent("main", testAgent("tok")))
	for _, slot := range []string{"agent-main.a", "agent-main.b"} {
		write(t, file(dir, slot), []byte("x"))
	}
	held("damaged", true)
}
