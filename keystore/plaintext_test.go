package keystore_test

import (
	"errors"
	"os"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// TestPlainTextFacts: a store whose key is lost still names what has to be replaced:
// the agent, the previous agent, and an interrupted rotation.
func TestPlainTextFacts(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, keystore.Options{})
	record := testAgent("tok")
	record.Replaced = "agent_old"
	must(t, s.PutAgent("main", record))
	must(t, s.PutIntent("main", &keystore.Intent{
		Kind: "rotate", Origin: "https://o.example", MachineID: "mach_1", Label: "a#abcdefgh",
	}))
	key, err := keystore.ParseKey([]byte(elevens))
	must(t, err)
	if s.HasControllerKey() {
		t.Error("a controller key is reported before one was stored")
	}
	must(t, s.PutController(key))
	must(t, s.Close())
	must(t, os.Remove(file(dir, "seal.a")))
	must(t, os.Remove(file(dir, "seal.b")))

	s = open(t, dir, keystore.Options{})
	if err := second(s.Agent("main")); !errors.Is(err, keystore.ErrSealed) || errors.Is(err, keystore.ErrNotFound) {
		t.Errorf("Agent = %v: a store without its seal file was taken for an empty one", err)
	}
	if facts, err := s.AgentFacts("main"); err != nil || facts.Replaced != "agent_old" || !facts.Token.IsZero() {
		t.Errorf("AgentFacts = %+v, %v", facts, err)
	}
	if intent, err := s.IntentFacts("main"); err != nil || intent.Label != "a#abcdefgh" || intent.Kind != "rotate" {
		t.Errorf("IntentFacts = %+v, %v", intent, err)
	}
	if err := second(s.IntentFacts("arm-2")); !errors.Is(err, keystore.ErrNotFound) {
		t.Errorf("IntentFacts of nothing = %v", err)
	}
	if !s.HasControllerKey() {
		t.Error("a controller key that cannot be read is not reported")
	}
	must(t, s.Reset())
	if s.HasControllerKey() || s.EverHeld("main") {
		t.Error("something is left after Reset")
	}
}

// TestEverHeld: a dropped record and a damaged one count.
func TestEverHeld(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, keystore.Options{})
	held := func(what string, want bool) {
		t.Helper()
		if got := s.EverHeld("main"); got != want {
			t.Errorf("%s: EverHeld = %v", what, got)
		}
	}
	held("new", false)
	must(t, s.PutIntent("main", &keystore.Intent{Kind: "enroll", Label: "a#abcdefgh"}))
	held("interrupted", false)
	must(t, s.PutAgent("main", testAgent("tok")))
	held("stored", true)
	must(t, s.DropAgent("main"))
	held("dropped", true)
	if s.EverHeld("arm-2") {
		t.Error("the record of another machine counts")
	}
	must(t, s.PutAgent("main", testAgent("tok")))
	for _, slot := range []string{"agent-main.a", "agent-main.b"} {
		write(t, file(dir, slot), []byte("x"))
	}
	held("damaged", true)
}
