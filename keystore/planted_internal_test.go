package keystore

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A seal that was changed by somebody who can write the files and knows no secret.

const testCredential = "0123456789abcdef0123456789abcdef"

// planting is a store, and what opens it.
type planting struct {
	dir string
	o   Options
}

func plantings(t *testing.T) map[string]planting {
	t.Helper()
	creds := t.TempDir()
	internalMust(t, os.WriteFile(filepath.Join(creds, CredentialName), []byte(testCredential), 0o600))
	t.Setenv("CREDENTIALS_DIRECTORY", creds)
	pass := filepath.Join(t.TempDir(), "pass")
	internalMust(t, os.WriteFile(pass, []byte("pass"), 0o600))
	all := map[string]planting{
		"passphrase":             {t.TempDir(), Options{PassphraseFile: pass, Volatile: true}},
		"credential, seal: auto": {t.TempDir(), Options{Volatile: true}},
		"key file":               {t.TempDir(), Options{Volatile: true}},
	}
	for name, p := range all {
		s := openInternal(t, p.dir, p.o)
		key, err := NewKey()
		internalMust(t, err)
		internalMust(t, errors.Join(s.PutController(key), s.PutAgent("main", &Agent{AgentID: "a", Token: NewSecret("tok")})))
		if strings.HasPrefix(name, "credential") { // what service seal does
			internalMust(t, s.Reseal(Protection{Credential: NewSecret(testCredential)}))
		}
		internalMust(t, s.Close())
	}
	return all
}

func openInternal(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir, o)
	internalMust(t, err)
	return s
}

func internalMust(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func slots(t *testing.T, dir string) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "keystore", "*.[ab]"))
	internalMust(t, err)
	all := map[string]string{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		internalMust(t, err)
		all[filepath.Base(name)] = string(b)
	}
	return all
}

// forge writes a seal into slots of a store, without any key of it.
func forge(t *testing.T, dir string, version byte, sequence uint64, body []byte, files ...string) {
	t.Helper()
	raw, err := encodeFrame(frame{version: version, name: sealName, sequence: sequence, body: body}, nil)
	internalMust(t, err)
	for _, f := range files {
		internalMust(t, os.WriteFile(filepath.Join(dir, "keystore", f), raw, 0o600))
	}
}

// TestPlantedSeal: the store is locked, says that the seal was changed, writes nothing,
// and nothing is ever sealed with the planted key.
func TestPlantedSeal(t *testing.T) {
	planted := &storeKey{number: 2, secret: slices.Repeat([]byte{7}, 32)}
	wrapOf := func(keys ...*storeKey) wrap {
		w, err := newWrap(ProtectorKeyFile, nil, keys)
		internalMust(t, err)
		return w
	}
	signed := func(f *sealFile, sequence uint64) []byte {
		body, err := encodeSeal(f, sequence, []*storeKey{planted})
		internalMust(t, err)
		return body
	}
	type forgery struct {
		version byte
		body    func(real *sealFile) []byte
	}
	for name, f := range map[string]forgery{
		"a newer key": {2, func(r *sealFile) []byte {
			return signed(&sealFile{Store: r.Store, Wraps: append(slices.Clone(r.Wraps), wrapOf(planted))}, 99)
		}},
		"a newer key, the real one declared lost": {2, func(r *sealFile) []byte {
			var lost [][]byte
			for id := range r.keys() {
				lost = append(lost, id[:])
			}
			return signed(&sealFile{Store: r.Store, Wraps: append(slices.Clone(r.Wraps), wrapOf(planted)), Lost: lost}, 99)
		}},
		"a newer key, with the MACs of the real seal": {2, func(r *sealFile) []byte {
			body := signed(&sealFile{Store: r.Store, Wraps: append(slices.Clone(r.Wraps), wrapOf(planted))}, 99)
			return []byte(strings.Replace(string(body), `"macs":[`, `"macs":[`+string(mustJSON(t, r.macs[0]))+`,`, 1))
		}},
		"a key with the same number": {2, func(r *sealFile) []byte {
			same := &storeKey{number: r.newest(), secret: planted.secret}
			return signed(&sealFile{Store: r.Store, Wraps: append(slices.Clone(r.Wraps), wrapOf(same))}, 99)
		}},
		"an older key": {2, func(r *sealFile) []byte {
			old := &storeKey{number: 0, secret: planted.secret}
			return signed(&sealFile{Store: r.Store, Wraps: append(slices.Clone(r.Wraps), wrapOf(old))}, 99)
		}},
		"only a planted key": {2, func(r *sealFile) []byte {
			return signed(&sealFile{Store: r.Store, Wraps: []wrap{wrapOf(planted)}}, 99)
		}},
		"a planted key in the format without MACs": {1, func(r *sealFile) []byte {
			return mustJSON(t, &sealFile{Store: r.Store, Wraps: append(slices.Clone(r.Wraps), wrapOf(planted))})
		}},
		"the real seal in the format without MACs": {1, func(r *sealFile) []byte {
			return mustJSON(t, &sealFile{Store: r.Store, Wraps: r.Wraps})
		}},
		"the real seal with another sequence": {2, func(r *sealFile) []byte {
			return mustJSON(t, sealBody{Seal: mustJSON(t, r), MACs: r.macs})
		}},
		"the real seal without a MAC": {2, func(r *sealFile) []byte {
			return mustJSON(t, sealBody{Seal: mustJSON(t, r)})
		}},
		"a planted wrap that cannot be opened": {2, func(r *sealFile) []byte {
			w, err := newWrap(ProtectorPassphrase, []byte("his"), []*storeKey{{number: r.newest(), secret: planted.secret}})
			internalMust(t, err)
			return mustJSON(t, sealBody{Seal: mustJSON(t, &sealFile{Store: r.Store, Wraps: append(slices.Clone(r.Wraps), w)}), MACs: r.macs})
		}},
	} {
		for _, files := range [][]string{{"seal.a"}, {"seal.b"}, {"seal.a", "seal.b"}, {"seal.a.tmp"}} {
			for protector, p := range plantings(t) {
				if protector == "passphrase" && files[0] != "seal.a" {
					continue // deriving its key is slow
				}
				what := name + " in " + strings.Join(files, " and ") + ", " + protector
				s := openInternal(t, p.dir, p.o)
				body := f.body(s.seal)
				internalMust(t, s.Close())
				forge(t, p.dir, f.version, 99, body, files...)
				before := slots(t, p.dir)

				var sealed *SealError
				s = openInternal(t, p.dir, p.o)
				if err := s.Condition(); !errors.As(err, &sealed) || sealed.Reason != SealChanged {
					t.Errorf("%s: %v, want SealChanged", what, err)
				}
				key, err := NewKey()
				internalMust(t, err)
				for call, err := range map[string]error{
					"PutAgent": s.PutAgent("main", &Agent{AgentID: "b", Token: NewSecret("new")}), "PutController": s.PutController(key),
					"PutIntent": s.PutIntent("main", &Intent{}), "Reseal": s.Reseal(Protection{}), "CheckDurable": s.CheckDurable(),
				} {
					if err == nil {
						t.Errorf("%s: %s was accepted", what, call)
					}
				}
				internalMust(t, s.Close())
				if !maps.Equal(before, slots(t, p.dir)) {
					t.Errorf("%s: the store was written to", what)
				}
			}
		}
	}
}

// TestOlderSeal: a seal from before a Reseal does not open the records and is not
// used for new ones; next to the current one it is healed.
func TestOlderSeal(t *testing.T) {
	dir := t.TempDir()
	o := Options{Volatile: true}
	s := openInternal(t, dir, o)
	internalMust(t, s.PutAgent("main", &Agent{AgentID: "a", Token: NewSecret("tok")}))
	old := slots(t, dir)
	internalMust(t, s.Reseal(Protection{}))
	internalMust(t, s.Close())
	current := slots(t, dir)
	put := func(f, content string) {
		internalMust(t, os.WriteFile(filepath.Join(dir, "keystore", f), []byte(content), 0o600))
	}
	put("seal.a", old["seal.a"])
	s = openInternal(t, dir, o)
	if a, err := s.Agent("main"); err != nil || string(a.Token.Reveal()) != "tok" {
		t.Errorf("with one older slot: %v", err)
	}
	internalMust(t, s.Close())
	if got := slots(t, dir); got["seal.a"] != current["seal.a"] {
		t.Error("the older slot was not healed")
	}
	put("seal.a", old["seal.a"])
	put("seal.b", old["seal.b"])
	s = openInternal(t, dir, o)
	var sealed *SealError
	if err := s.Condition(); !errors.As(err, &sealed) || sealed.Reason != SealChanged {
		t.Errorf("with two older slots: %v", err)
	}
	internalMust(t, s.Close())
}

// TestPlantedSealIsReplaced: a new key that is asked for takes nothing over from a
// seal that was changed.
func TestPlantedSealIsReplaced(t *testing.T) {
	planted := &storeKey{number: 2, secret: slices.Repeat([]byte{7}, 32)}
	w, err := newWrap(ProtectorKeyFile, nil, []*storeKey{planted})
	internalMust(t, err)
	p := plantings(t)["passphrase"]
	s := openInternal(t, p.dir, p.o)
	body, err := encodeSeal(&sealFile{Store: s.seal.Store, Wraps: append(slices.Clone(s.seal.Wraps), w)}, 99, []*storeKey{planted})
	internalMust(t, err)
	internalMust(t, s.Close())
	forge(t, p.dir, 2, 99, body, "seal.a", "seal.b")
	s = openInternal(t, p.dir, p.o)
	internalMust(t, s.PrepareNewKey("main", true))
	internalMust(t, s.PutAgent("main", &Agent{AgentID: "b", Token: NewSecret("new")}))
	internalMust(t, s.Close())
	s = openInternal(t, p.dir, p.o)
	if a, err := s.Agent("main"); err != nil || string(a.Token.Reveal()) != "new" {
		t.Errorf("the new record: %v", err)
	}
	if _, ok := s.seal.keys()[planted.id()]; ok || s.Protector() != ProtectorPassphrase {
		t.Errorf("the planted key is still in the seal; %s", s.Protector())
	}
	internalMust(t, s.Close())
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	internalMust(t, err)
	return b
}
