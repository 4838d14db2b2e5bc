package keystore_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// provideCredential gives a credential to this process, as systemd does.
func provideCredential(t *testing.T, secret string) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, keystore.CredentialName), []byte(secret))
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
}

const credential = "0123456789abcdef0123456789abcdef"

// enrolledWith makes a store with the options and returns its directory.
func enrolledWith(t *testing.T, o keystore.Options) string {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, o)
	must(t, s.CheckDurable())
	must(t, s.PutAgent("main", testAgent("tok")))
	must(t, s.Close())
	return dir
}

// TestProtectorOfNewStore: auto is the passphrase if there is one, never the
// credential.
func TestProtectorOfNewStore(t *testing.T) {
	provideCredential(t, credential)
	pass := secretFile(t, "correct horse\n")
	for _, c := range []struct {
		o    keystore.Options
		want keystore.Protector
	}{
		{keystore.Options{}, keystore.ProtectorKeyFile},
		{keystore.Options{Seal: "auto"}, keystore.ProtectorKeyFile},
		{keystore.Options{Seal: "keyfile"}, keystore.ProtectorKeyFile},
		{keystore.Options{PassphraseFile: pass}, keystore.ProtectorPassphrase},
		{keystore.Options{Seal: "passphrase", PassphraseFile: pass}, keystore.ProtectorPassphrase},
		{keystore.Options{Seal: "credential"}, keystore.ProtectorCredential},
	} {
		dir := enrolledWith(t, c.o)
		s := open(t, dir, c.o)
		wantToken(t, s, "tok")
		if got := s.Protector(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.o, got, c.want)
		}
		if holds := strings.Contains(snapshot(t, dir)["seal.a"], `"keyfile"`); holds != (c.want == keystore.ProtectorKeyFile) {
			t.Errorf("%+v: the key is in plain text: %v", c.o, holds)
		}
		must(t, s.Close())
	}
}

// TestUnsealRefuses: each way in which a store cannot be unsealed is ErrSealed with
// the protector and the reason, leaves every file unchanged, and the agent that would
// have to be replaced can still be read.
func TestUnsealRefuses(t *testing.T) {
	pass, wrong, empty := secretFile(t, "right"), secretFile(t, "wrong"), secretFile(t, "")
	provideCredential(t, credential)
	stores := map[keystore.Protector]string{
		keystore.ProtectorPassphrase: enrolledWith(t, keystore.Options{PassphraseFile: pass}),
		keystore.ProtectorCredential: enrolledWith(t, keystore.Options{Seal: "credential"}),
	}
	for _, c := range []struct {
		store      keystore.Protector
		credential string
		o          keystore.Options
		reason     keystore.SealReason
	}{
		{keystore.ProtectorPassphrase, "", keystore.Options{}, keystore.SealNoPassphraseFile},
		{keystore.ProtectorPassphrase, "", keystore.Options{Seal: "keyfile"}, keystore.SealNoPassphraseFile},
		{keystore.ProtectorPassphrase, "", keystore.Options{PassphraseFile: wrong}, keystore.SealWrongSecret},
		{keystore.ProtectorPassphrase, "", keystore.Options{PassphraseFile: empty}, keystore.SealBadPassphraseFile},
		{keystore.ProtectorPassphrase, "", keystore.Options{PassphraseFile: pass + "-gone"}, keystore.SealBadPassphraseFile},
		{keystore.ProtectorCredential, "", keystore.Options{}, keystore.SealNoCredential},
		{keystore.ProtectorCredential, "", keystore.Options{Seal: "credential"}, keystore.SealNoCredential},
		{keystore.ProtectorCredential, "short", keystore.Options{}, keystore.SealShortCredential},
		{keystore.ProtectorCredential, strings.ToUpper(credential), keystore.Options{}, keystore.SealWrongSecret},
	} {
		dir := stores[c.store]
		if t.Setenv("CREDENTIALS_DIRECTORY", ""); c.credential != "" {
			provideCredential(t, c.credential)
		}
		before := snapshot(t, dir)
		s := open(t, dir, c.o)
		_, err := s.Agent("main")
		var sealed *keystore.SealError
		if !errors.As(err, &sealed) || !errors.Is(s.Condition(), keystore.ErrSealed) {
			t.Fatalf("%s with %+v: %v, want ErrSealed", c.store, c.o, err)
		}
		if sealed.Protector != c.store || sealed.Reason != c.reason {
			t.Errorf("%s with %+v: %v (%d), want reason %d", c.store, c.o, sealed, sealed.Reason, c.reason)
		}
		if file := c.o.PassphraseFile; c.reason == keystore.SealBadPassphraseFile {
			var secret *keystore.SecretFileError
			if !errors.As(err, &secret) || sealed.Path != file || secret.Path != file {
				t.Errorf("%s with %+v: %v does not name the file", c.store, c.o, sealed)
			}
		}
		for what, err := range map[string]error{
			"PutAgent": s.PutAgent("main", testAgent("x")), "PutIntent": s.PutIntent("main", &keystore.Intent{}), "DropAgent": s.DropAgent("main"),
			"CheckDurable": s.CheckDurable(), "Reseal": s.Reseal(keystore.Protection{}),
		} {
			if !errors.Is(err, keystore.ErrSealed) {
				t.Errorf("%s of a sealed store: %v", what, err)
			}
		}
		if facts, err := s.AgentFacts("main"); err != nil || facts.AgentID != "agent_tok" || !facts.Token.IsZero() {
			t.Errorf("the facts of a sealed store: %v", err)
		}
		must(t, s.Close())
		if !maps.Equal(before, snapshot(t, dir)) {
			t.Errorf("%s with %+v: the store was written to", c.store, c.o)
		}
	}
}

// TestStrongerIsKept: options that ask for a weaker protector change nothing.
func TestStrongerIsKept(t *testing.T) {
	provideCredential(t, credential)
	dir := enrolledWith(t, keystore.Options{Seal: "credential"})
	before := snapshot(t, dir)
	for _, seal := range []string{"auto", "keyfile", "credential"} {
		s := open(t, dir, keystore.Options{Seal: seal})
		wantToken(t, s, "tok")
		must(t, s.Close())
	}
	if !maps.Equal(before, snapshot(t, dir)) {
		t.Error("the store was resealed")
	}
}

// TestWeakerIsResealed: a passphrase that is configured later is used from the next
// opening on, and the old key no longer opens anything.
func TestWeakerIsResealed(t *testing.T) {
	dir := enrolledWith(t, keystore.Options{})
	oldSeal := snapshot(t, dir)
	pass := keystore.Options{PassphraseFile: secretFile(t, "pass")}
	var events []keystore.EventKind
	pass.Observe = func(e keystore.Event) { events = append(events, e.Kind) }
	s := open(t, dir, pass)
	wantToken(t, s, "tok")
	if s.Protector() != keystore.ProtectorPassphrase || !slices.Contains(events, keystore.EventResealed) {
		t.Fatalf("protected by %s; events %v", s.Protector(), events)
	}
	must(t, s.Close())
	events = nil
	before := snapshot(t, dir)
	s = open(t, dir, pass)
	wantToken(t, s, "tok")
	must(t, s.Close())
	if len(events) != 0 || !maps.Equal(before, snapshot(t, dir)) {
		t.Errorf("the second opening did something: %v", events)
	}

	weak := snapshot(t, dir) // the old key file is restored
	weak["seal.a"], weak["seal.b"] = oldSeal["seal.a"], oldSeal["seal.b"]
	if _, err := open(t, restore(t, weak), keystore.Options{}).Agent("main"); !errors.Is(err, keystore.ErrSealed) {
		t.Errorf("with the old key file: %v", err)
	}
}

// TestWeakerIsReported: a store that cannot be given the requested protector stays
// readable and reports it, but does not accept a new token.
func TestWeakerIsReported(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	dir := enrolledWith(t, keystore.Options{})
	for name, o := range map[string]keystore.Options{
		"no credential": {Seal: "credential"}, "no passphrase": {PassphraseFile: "/nonexistent/p"},
	} {
		reported := false
		o.Observe = func(e keystore.Event) { reported = reported || e.Kind == keystore.EventWeaker && e.Err != nil }
		s := open(t, dir, o)
		wantToken(t, s, "tok")
		if err := s.CheckDurable(); !reported || !errors.Is(err, keystore.ErrSealed) {
			t.Errorf("%s: reported %v; CheckDurable = %v", name, reported, err)
		}
		must(t, s.Close())
	}
}

// TestWeakerFrame: a record that was written under a passphrase does not open when the
// same key has a weaker protector.
func TestWeakerFrame(t *testing.T) {
	pass := keystore.Options{PassphraseFile: secretFile(t, "pass")}
	dir := enrolledWith(t, pass)
	s := open(t, dir, pass)
	must(t, s.WeakenSeal())
	must(t, s.Close())
	s = open(t, dir, keystore.Options{})
	var sealed *keystore.SealError
	if _, err := s.Agent("main"); !errors.As(err, &sealed) || sealed.Reason != keystore.SealNowWeaker ||
		sealed.Protector != keystore.ProtectorPassphrase {
		t.Errorf("Agent = %v, want a SealError about the passphrase", err)
	}
}

// TestReseal: a credential with a recovery passphrase, either of which opens the store
// alone, and then back to the key file.
func TestReseal(t *testing.T) {
	dir := enrolledWith(t, keystore.Options{})
	s := open(t, dir, keystore.Options{})
	key, err := keystore.NewKey()
	must(t, err)
	must(t, s.PutController(key))
	must(t, s.PutIntent("main", &keystore.Intent{Label: "l"}))
	must(t, s.DropIntent("main"))
	if err := s.Reseal(keystore.Protection{Credential: keystore.NewSecret("short")}); err == nil {
		t.Error("a credential of five bytes was accepted")
	}
	must(t, s.Reseal(keystore.Protection{Credential: keystore.NewSecret(credential), Passphrase: keystore.NewSecret("recovery")}))
	wantToken(t, s, "tok")
	must(t, s.Close())

	recovery := keystore.Options{PassphraseFile: secretFile(t, "recovery")}
	for name, reopen := range map[string]func() *keystore.Store{
		"credential": func() *keystore.Store {
			provideCredential(t, credential)
			return open(t, dir, keystore.Options{})
		},
		"recovery": func() *keystore.Store {
			t.Setenv("CREDENTIALS_DIRECTORY", "")
			return open(t, dir, recovery)
		},
	} {
		s := reopen()
		wantToken(t, s, "tok")
		if c, err := s.Controller(); err != nil || c.Address() != key.Signer().Address() {
			t.Errorf("%s: controller: %v", name, err)
		}
		if _, err := s.Intent("main"); !errors.Is(err, keystore.ErrNotFound) {
			t.Errorf("%s: a dropped intent was restored: %v", name, err)
		}
		if s.Protector() != keystore.ProtectorCredential || s.UnfinishedReseal() {
			t.Errorf("%s: %s, unfinished %v", name, s.Protector(), s.UnfinishedReseal())
		}
		must(t, s.Close())
	}

	s = open(t, dir, recovery)
	must(t, s.Reseal(keystore.Protection{}))
	must(t, s.Close())
	s = open(t, dir, keystore.Options{})
	wantToken(t, s, "tok")
	if s.Protector() != keystore.ProtectorKeyFile {
		t.Errorf("protected by %s", s.Protector())
	}
}

// TestPrepareNewKey: the passphrase is lost and the store gets a new key, but only
// once there is something to seal with it, and only when asked to while other records
// need the old one. The old records stay sealed until they are replaced.
func TestPrepareNewKey(t *testing.T) {
	found := keystore.Options{PassphraseFile: secretFile(t, "found again")}
	dir := enrolledWith(t, found)
	s := open(t, dir, found)
	key, err := keystore.NewKey()
	must(t, err)
	must(t, s.PutController(key))
	must(t, s.PutAgent("second", testAgent("other")))
	if err := s.PrepareNewKey("main", true); err == nil {
		t.Error("a store that can be unsealed got a new key")
	}
	must(t, s.Close())
	before := snapshot(t, dir)

	s = open(t, dir, keystore.Options{})
	if err := s.PrepareNewKey("main", true); !errors.Is(err, keystore.ErrSealed) {
		t.Errorf("auto became weaker: %v", err)
	}
	must(t, s.Close())

	fresh := keystore.Options{PassphraseFile: secretFile(t, "fresh")}
	s = open(t, dir, fresh)
	var needed *keystore.KeyNeededError
	if err := s.PrepareNewKey("main", false); !errors.As(err, &needed) || !needed.ControllerKey || !slices.Equal(needed.Machines, []string{"second"}) {
		t.Errorf("without the flag: %v", err)
	}
	if err := s.PutAgent("main", testAgent("new")); !errors.Is(err, keystore.ErrSealed) {
		t.Errorf("PutAgent = %v", err)
	}
	must(t, s.PrepareNewKey("main", true))
	must(t, s.CheckDurable())
	must(t, s.PutIntent("main", &keystore.Intent{Label: "l"}))
	if i, err := s.Intent("main"); err != nil || i.Label != "l" {
		t.Errorf("the journal: %v", err)
	}
	if err := s.Condition(); !errors.Is(err, keystore.ErrSealed) {
		t.Errorf("only prepared: %v", err)
	}
	for what, err := range map[string]error{ // nothing but this machine's new agent commits the key
		"PutAgent of another machine": s.PutAgent("third", testAgent("x")), "PutIntent of another machine": s.PutIntent("third", &keystore.Intent{}),
		"DropAgent of another machine": s.DropAgent("second"), "PutController": s.PutController(key), "Reseal": s.Reseal(keystore.Protection{}),
		"AdoptHost": s.AdoptHost(),
	} {
		if !errors.Is(err, keystore.ErrSealed) {
			t.Errorf("%s with a prepared key: %v", what, err)
		}
	}
	crashed := snapshot(t, dir)
	must(t, s.DropIntent("main")) // no new agent: every byte is as it was
	must(t, s.Close())
	if d := cmp.Diff(before, snapshot(t, dir)); d != "" {
		t.Error(d)
	}
	again := open(t, restore(t, crashed), found) // or the process died, and the passphrase was found
	wantToken(t, again, "tok")
	if i, err := again.IntentFacts("main"); err != nil || i.Label != "l" {
		t.Errorf("the journal after a crash: %v", err)
	}

	s = open(t, dir, fresh)
	must(t, s.PrepareNewKey("main", true))
	must(t, s.PutIntent("main", &keystore.Intent{Label: "l"}))
	must(t, s.PutAgent("main", testAgent("new")))
	must(t, s.DropIntent("main"))
	must(t, s.Condition())
	wantToken(t, s, "new")
	if _, err := s.Agent("second"); !errors.Is(err, keystore.ErrSealed) {
		t.Errorf("another record under the old key: %v, want ErrSealed", err)
	}
	after := snapshot(t, dir)
	for _, slot := range []string{".a", ".b"} {
		if after["seal"+slot+".lost-1"] != before["seal"+slot] || after["agent-main"+slot+".lost-1"] != before["agent-main"+slot] {
			t.Errorf("the old files %s were not kept: %v", slot, slices.Sorted(maps.Keys(after)))
		}
	}
	other, err := keystore.NewKey()
	must(t, err)
	if err := s.PutController(other); !errors.Is(err, keystore.ErrKeyExists) {
		t.Errorf("a controller key that cannot be read was replaced: %v", err)
	}
	must(t, s.Close())

	// Only one passphrase can be configured, so the others stay sealed under the
	// first, and its wrap is kept.
	s = open(t, dir, fresh)
	wantToken(t, s, "new")
	if _, err := s.Controller(); !errors.Is(err, keystore.ErrSealed) {
		t.Errorf("the controller: %v, want ErrSealed", err)
	}
	if !s.UnfinishedReseal() {
		t.Error("the wrap that the controller needs is gone")
	}
	must(t, s.DropController())
	must(t, s.PutAgent("second", testAgent("other")))
	if s.UnfinishedReseal() || strings.Count(snapshot(t, dir)["seal.a"], `"protector"`) != 1 {
		t.Error("a wrap that nothing needs was kept")
	}
	must(t, s.Close())
	s = open(t, dir, fresh)
	wantToken(t, s, "new")
	must(t, s.Reset())
	if left := snapshot(t, dir); len(left) != 0 {
		t.Errorf("Reset left %v", slices.Sorted(maps.Keys(left)))
	}
}

// TestReplaceLostKeyByWeaker: after a loss, a weaker protector must be requested by name.
func TestReplaceLostKeyByWeaker(t *testing.T) {
	dir := enrolledWith(t, keystore.Options{PassphraseFile: secretFile(t, "lost")})
	for _, f := range []string{"seal.a", "seal.b"} { // even without the file that names the protector
		must(t, os.Remove(file(dir, f)))
	}
	s := open(t, dir, keystore.Options{})
	var sealed *keystore.SealError
	if err := s.PrepareNewKey("main", false); !errors.As(err, &sealed) || sealed.Reason != keystore.SealWouldWeaken ||
		sealed.Protector != keystore.ProtectorPassphrase || sealed.Weaker != keystore.ProtectorKeyFile {
		t.Errorf("auto became weaker: %v", err)
	}
	must(t, s.Close())
	s = open(t, dir, keystore.Options{Seal: "keyfile"})
	must(t, s.PrepareNewKey("main", false))
	must(t, s.PutAgent("main", testAgent("new")))
	wantToken(t, s, "new")
}

// TestLostSeal: a store without its seal file is sealed, and never silently gets a new
// key.
func TestLostSeal(t *testing.T) {
	for name, damage := range map[string]func(dir, f string) error{
		"gone":    func(dir, f string) error { return os.Remove(file(dir, f)) },
		"damaged": func(dir, f string) error { return os.WriteFile(file(dir, f), []byte("damaged"), 0o600) },
	} {
		dir := stored(t, "tok")
		must(t, errors.Join(damage(dir, "seal.a"), damage(dir, "seal.b")))
		s := open(t, dir, keystore.Options{})
		var sealed *keystore.SealError
		if _, err := s.Agent("main"); !errors.As(err, &sealed) || sealed.Reason != keystore.SealKeyMissing ||
			sealed.Path != file(dir, "seal.a") {
			t.Errorf("%s: Agent = %v, want a SealError about seal.a", name, err)
		}
		if err := s.PutAgent("main", testAgent("new")); !errors.Is(err, keystore.ErrSealed) {
			t.Errorf("%s: PutAgent = %v, want ErrSealed", name, err)
		}
		must(t, s.PrepareNewKey("main", false))
		must(t, s.PutAgent("main", testAgent("new")))
		wantToken(t, s, "new")
		must(t, s.Close())
		if kept := snapshot(t, dir)["seal.a.lost-1"]; (kept == "damaged") != (name == "damaged") {
			t.Errorf("%s: kept %q", name, kept)
		}
		wantToken(t, open(t, dir, keystore.Options{}), "new")
	}
}

func BenchmarkOpenWithPassphrase(b *testing.B) {
	o := keystore.Options{PassphraseFile: secretFile(b, "pass")}
	dir := b.TempDir()
	s := open(b, dir, o)
	must(b, s.PutAgent("main", testAgent("tok")))
	must(b, s.Close())
	for b.Loop() {
		s, err := keystore.Open(context.Background(), dir, o)
		must(b, err)
		wantToken(b, s, "tok")
		must(b, s.Close())
	}
}
