package keystore

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// giveToOwner gives a credential to this process, as systemd does.
func give(t *testing.T, secret string) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, CredentialName), []byte(secret))
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
}

const credential = "0123456789abcdef0123456789abcdef"

// enrolledWith makes a store with the options and returns its directory.
func enrolledWith(t *testing.T, o Options) string {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, o)
	must(t, s.CheckDurable())
	must(t, s.PutAgent("main", testAgent("tok")))
	must(t, s.Close())
	return dir
}

// TestNewStoreIsSealedAsAsked: auto is the passphrase if there is one, never the
// credential.
func TestNewStoreIsSealedAsAsked(t *testing.T) {
	give(t, credential)
	pass := secretFile(t, "correct horse\n")
	for _, c := range []struct {
		o    Options
		want Protector
	}{
		{Options{}, ProtectorKeyFile},
		{Options{Seal: "auto"}, ProtectorKeyFile},
		{Options{Seal: "keyfile"}, ProtectorKeyFile},
		{Options{PassphraseFile: pass}, ProtectorPassphrase},
		{Options{Seal: "passphrase", PassphraseFile: pass}, ProtectorPassphrase},
		{Options{Seal: "credential"}, ProtectorCredential},
	} {
		dir := enrolledWith(t, c.o)
		s := open(t, dir, c.o)
		wantToken(t, s, "tok")
		if got := s.Protector(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.o, got, c.want)
		}
		if holds := strings.Contains(snapshot(t, dir)["seal.a"], `"keyfile"`); holds != (c.want == ProtectorKeyFile) {
			t.Errorf("%+v: the key lies in the clear: %v", c.o, holds)
		}
		must(t, s.Close())
	}
}

// TestUnsealRefuses: each way not to open a store ends in ErrSealed, names the
// protector and what to do, leaves every file as it was, and still names the
// agent that would have to be replaced.
func TestUnsealRefuses(t *testing.T) {
	pass, wrong, empty := secretFile(t, "right"), secretFile(t, "wrong"), secretFile(t, "")
	give(t, credential)
	stores := map[Protector]string{
		ProtectorPassphrase: enrolledWith(t, Options{PassphraseFile: pass}),
		ProtectorCredential: enrolledWith(t, Options{Seal: "credential"}),
	}
	for _, c := range []struct {
		store      Protector
		credential string
		o          Options
		reason     SealReason
	}{
		{ProtectorPassphrase, "", Options{}, SealNoPassphraseFile},
		{ProtectorPassphrase, "", Options{Seal: "keyfile"}, SealNoPassphraseFile},
		{ProtectorPassphrase, "", Options{PassphraseFile: wrong}, SealWrongSecret},
		{ProtectorPassphrase, "", Options{PassphraseFile: empty}, SealBadPassphraseFile},
		{ProtectorPassphrase, "", Options{PassphraseFile: pass + "-gone"}, SealBadPassphraseFile},
		{ProtectorCredential, "", Options{}, SealNoCredential},
		{ProtectorCredential, "", Options{Seal: "credential"}, SealNoCredential},
		{ProtectorCredential, "short", Options{}, SealShortCredential},
		{ProtectorCredential, strings.ToUpper(credential), Options{}, SealWrongSecret},
	} {
		dir := stores[c.store]
		if t.Setenv("CREDENTIALS_DIRECTORY", ""); c.credential != "" {
			give(t, c.credential)
		}
		before := snapshot(t, dir)
		s := open(t, dir, c.o)
		_, err := s.Agent("main")
		var sealed *SealError
		if !errors.As(err, &sealed) || !errors.Is(s.Condition(), ErrSealed) {
			t.Fatalf("%s with %+v: %v, want ErrSealed", c.store, c.o, err)
		}
		if sealed.Protector != c.store || sealed.Reason != c.reason {
			t.Errorf("%s with %+v: %v (%d), want reason %d", c.store, c.o, sealed, sealed.Reason, c.reason)
		}
		if file := c.o.PassphraseFile; c.reason == SealBadPassphraseFile {
			var secret *SecretFileError
			if !errors.As(err, &secret) || sealed.Path != file || secret.Path != file {
				t.Errorf("%s with %+v: %v does not name the file", c.store, c.o, sealed)
			}
		}
		for what, err := range map[string]error{
			"PutAgent": s.PutAgent("main", testAgent("x")), "PutIntent": s.PutIntent("main", &Intent{}), "DropAgent": s.DropAgent("main"),
			"CheckDurable": s.CheckDurable(), "Reseal": s.Reseal(Protection{}),
		} {
			if !errors.Is(err, ErrSealed) {
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

// TestStrongerIsKept: options that ask for less change nothing.
func TestStrongerIsKept(t *testing.T) {
	give(t, credential)
	dir := enrolledWith(t, Options{Seal: "credential"})
	before := snapshot(t, dir)
	for _, seal := range []string{"auto", "keyfile", "credential"} {
		s := open(t, dir, Options{Seal: seal})
		wantToken(t, s, "tok")
		must(t, s.Close())
	}
	if !maps.Equal(before, snapshot(t, dir)) {
		t.Error("the store was sealed anew")
	}
}

// TestWeakerIsSealedAnew: a passphrase that is configured later is used from the
// next opening on, and the old key opens nothing any more.
func TestWeakerIsSealedAnew(t *testing.T) {
	dir := enrolledWith(t, Options{})
	oldSeal := snapshot(t, dir)
	pass := Options{PassphraseFile: secretFile(t, "pass")}
	var events []EventKind
	pass.Observe = func(e Event) { events = append(events, e.Kind) }
	s := open(t, dir, pass)
	wantToken(t, s, "tok")
	if s.Protector() != ProtectorPassphrase || !slices.Contains(events, EventResealed) {
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

	weak := snapshot(t, dir) // somebody brings the old key file back
	weak["seal.a"], weak["seal.b"] = oldSeal["seal.a"], oldSeal["seal.b"]
	if _, err := open(t, restore(t, weak), Options{}).Agent("main"); !errors.Is(err, ErrSealed) {
		t.Errorf("with the old key file: %v", err)
	}
}

// TestWeakerIsTold: a store that cannot be sealed as asked for goes on beating
// and says so, but takes no new token.
func TestWeakerIsTold(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	dir := enrolledWith(t, Options{})
	for name, o := range map[string]Options{"no credential": {Seal: "credential"}, "no passphrase": {PassphraseFile: "/nonexistent/p"}} {
		told := false
		o.Observe = func(e Event) { told = told || e.Kind == EventWeaker && e.Err != nil }
		s := open(t, dir, o)
		wantToken(t, s, "tok")
		if err := s.CheckDurable(); !told || !errors.Is(err, ErrSealed) {
			t.Errorf("%s: told %v; CheckDurable = %v", name, told, err)
		}
		must(t, s.Close())
	}
}

// TestWeakerFrame: a record that was written under a passphrase does not open
// when the same key turns up with less protection.
func TestWeakerFrame(t *testing.T) {
	pass := Options{PassphraseFile: secretFile(t, "pass")}
	dir := enrolledWith(t, pass)
	s := open(t, dir, pass)
	w, err := newWrap(ProtectorKeyFile, nil, []*storeKey{s.ring.current()})
	must(t, err)
	must(t, s.saveSeal(&sealFile{Store: s.seal.Store, Wraps: []wrap{w}}))
	must(t, s.Close())
	s = open(t, dir, Options{})
	var sealed *SealError
	if _, err := s.Agent("main"); !errors.As(err, &sealed) || sealed.Protector != ProtectorPassphrase || sealed.Reason != SealNowWeaker {
		t.Errorf("Agent = %v, want a SealError about the passphrase", err)
	}
}

// TestReseal: what service seal does: a credential with a recovery passphrase,
// either of which opens the store alone; and back to the key file, on request.
func TestReseal(t *testing.T) {
	dir := enrolledWith(t, Options{})
	s := open(t, dir, Options{})
	key, err := NewKey()
	must(t, err)
	must(t, s.PutController(key))
	must(t, s.PutIntent("main", &Intent{Label: "l"}))
	must(t, s.DropIntent("main"))
	if err := s.Reseal(Protection{Credential: NewSecret("short")}); err == nil {
		t.Error("a credential of five bytes was taken")
	}
	must(t, s.Reseal(Protection{Credential: NewSecret(credential), Passphrase: NewSecret("recovery")}))
	wantToken(t, s, "tok")
	must(t, s.Close())

	recovery := Options{PassphraseFile: secretFile(t, "recovery")}
	for name, open1 := range map[string]func() *Store{
		"credential": func() *Store { give(t, credential); return open(t, dir, Options{}) },
		"recovery":   func() *Store { t.Setenv("CREDENTIALS_DIRECTORY", ""); return open(t, dir, recovery) },
	} {
		s := open1()
		wantToken(t, s, "tok")
		if c, err := s.Controller(); err != nil || c.Address() != key.Signer().Address() {
			t.Errorf("%s: controller: %v", name, err)
		}
		if _, err := s.Intent("main"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: a dropped intent came back: %v", name, err)
		}
		if s.Protector() != ProtectorCredential || s.seal.unfinished() {
			t.Errorf("%s: %s, unfinished %v", name, s.Protector(), s.seal.unfinished())
		}
		must(t, s.Close())
	}

	s = open(t, dir, recovery)
	must(t, s.Reseal(Protection{}))
	must(t, s.Close())
	s = open(t, dir, Options{})
	wantToken(t, s, "tok")
	if s.Protector() != ProtectorKeyFile {
		t.Errorf("protected by %s", s.Protector())
	}
}

// TestRenew: the passphrase is lost. rotate gives the store a new key; the old
// records stay sealed until they are replaced, and open again if the passphrase
// is found.
func TestRenew(t *testing.T) {
	found := Options{PassphraseFile: secretFile(t, "found again")}
	dir := enrolledWith(t, found)
	s := open(t, dir, found)
	key, err := NewKey()
	must(t, err)
	must(t, s.PutController(key))
	if err := s.ReplaceLostKey(); err == nil {
		t.Error("a store that opens was given a new key")
	}
	must(t, s.Close())

	s = open(t, dir, Options{})
	if err := s.ReplaceLostKey(); !errors.Is(err, ErrSealed) {
		t.Errorf("auto became weaker: %v", err)
	}
	must(t, s.Close())

	fresh := Options{PassphraseFile: secretFile(t, "fresh")}
	s = open(t, dir, fresh)
	must(t, s.ReplaceLostKey())
	must(t, s.Condition())
	if _, err := s.Agent("main"); !errors.Is(err, ErrSealed) {
		t.Errorf("the old record: %v, want ErrSealed", err)
	}
	must(t, s.PutIntent("main", &Intent{Label: "l"}))
	must(t, s.CheckDurable())
	must(t, s.PutAgent("main", testAgent("new")))
	wantToken(t, s, "new")
	other, err := NewKey()
	must(t, err)
	if err := s.PutController(other); !errors.Is(err, ErrKeyExists) {
		t.Errorf("a controller key that cannot be read was replaced: %v", err)
	}
	must(t, s.Close())

	// Both passphrases cannot be given at once, so the controller stays sealed
	// under the first, and its wrap is kept.
	s = open(t, dir, fresh)
	wantToken(t, s, "new")
	if _, err := s.Controller(); !errors.Is(err, ErrSealed) {
		t.Errorf("the controller: %v, want ErrSealed", err)
	}
	if !s.seal.unfinished() {
		t.Error("the wrap that the controller needs is gone")
	}
	s.mu.Lock()
	must(t, s.drop(controllerName))
	s.mu.Unlock()
	if s.seal.unfinished() || len(s.seal.Wraps) != 1 {
		t.Error("a wrap that nothing needs was kept")
	}
	must(t, s.Close())
	wantToken(t, open(t, dir, fresh), "new")
}

// TestRenewToWeaker: a weaker protector after a loss must be spoken out.
func TestRenewToWeaker(t *testing.T) {
	dir := enrolledWith(t, Options{PassphraseFile: secretFile(t, "lost")})
	for _, f := range []string{"seal.a", "seal.b"} { // even the file that says so is gone
		must(t, os.Remove(file(dir, f)))
	}
	s := open(t, dir, Options{})
	var sealed *SealError
	if err := s.ReplaceLostKey(); !errors.As(err, &sealed) || sealed.Reason != SealWouldWeaken ||
		sealed.Protector != ProtectorPassphrase || sealed.Weaker != ProtectorKeyFile {
		t.Errorf("auto became weaker: %v", err)
	}
	must(t, s.Close())
	s = open(t, dir, Options{Seal: "keyfile"})
	must(t, s.ReplaceLostKey())
	must(t, s.PutAgent("main", testAgent("new")))
	wantToken(t, s, "new")
}

// TestLostSeal: without the file with its key a store is sealed, never silently
// given another one.
func TestLostSeal(t *testing.T) {
	for name, spoil := range map[string]func(dir, f string) error{
		"gone":    func(dir, f string) error { return os.Remove(file(dir, f)) },
		"damaged": func(dir, f string) error { return os.WriteFile(file(dir, f), []byte("rubbish"), 0o600) },
	} {
		dir := stored(t, "tok")
		must(t, errors.Join(spoil(dir, "seal.a"), spoil(dir, "seal.b")))
		s := open(t, dir, Options{})
		var sealed *SealError
		if _, err := s.Agent("main"); !errors.As(err, &sealed) || sealed.Reason != SealKeyMissing || sealed.Path != file(dir, "seal.a") {
			t.Errorf("%s: Agent = %v, want a SealError about seal.a", name, err)
		}
		if err := s.PutAgent("main", testAgent("new")); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: PutAgent = %v, want ErrSealed", name, err)
		}
		must(t, s.ReplaceLostKey())
		must(t, s.PutAgent("main", testAgent("new")))
		wantToken(t, s, "new")
		must(t, s.Close())
	}
}

func FuzzSealFile(f *testing.F) {
	key, err := newStoreKey(1)
	must(f, err)
	w, err := newWrap(ProtectorKeyFile, nil, []*storeKey{key})
	must(f, err)
	dir := f.TempDir()
	s := open(f, dir, Options{})
	must(f, s.saveSeal(&sealFile{Wraps: []wrap{w}}))
	must(f, s.Close())
	good, err := decodeFrame(read(f, file(dir, "seal.a")))
	must(f, err)
	f.Add(good.body)
	f.Add([]byte(`{"store":"x","wraps":[{"protector":"passphrase","keys":[{"number":1,"id":"AAAAAAAAAAA="}],"memory_kib":4294967295,"passes":4294967295}]}`))
	pass := secretFile(f, "pass")
	f.Fuzz(func(t *testing.T, body []byte) {
		if strings.Contains(string(body), "memory_kib") && len(body) > 400 {
			return // derivations that are allowed cost time, not safety
		}
		raw, err := encodeFrame(frame{name: sealName, sequence: 1, body: body}, nil)
		if err != nil {
			return
		}
		dir := restore(t, files{"seal.a": string(raw), "seal.b": string(raw)})
		s, err := Open(context.Background(), dir, Options{PassphraseFile: pass, Seal: "keyfile"})
		if err != nil {
			t.Fatal(err)
		}
		_ = s.PutAgent("main", testAgent("x"))
		_ = s.ReplaceLostKey()
		must(t, s.Close())
	})
}

func BenchmarkOpenWithPassphrase(b *testing.B) {
	o := Options{PassphraseFile: secretFile(b, "pass")}
	dir := b.TempDir()
	s := open(b, dir, o)
	must(b, s.PutAgent("main", testAgent("tok")))
	must(b, s.Close())
	for b.Loop() {
		s, err := Open(context.Background(), dir, o)
		must(b, err)
		wantToken(b, s, "tok")
		must(b, s.Close())
	}
}
