package keystore

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzSealFile opens a store whose seal file has any body.
func FuzzSealFile(f *testing.F) {
	key, err := newStoreKey(1)
	if err != nil {
		f.Fatal(err)
	}
	w, err := newWrap(ProtectorKeyFile, nil, []*storeKey{key})
	if err != nil {
		f.Fatal(err)
	}
	good, err := json.Marshal(sealFile{Store: "0123456789abcdef", Wraps: []wrap{w}})
	if err != nil {
		f.Fatal(err)
	}
	signed, err := encodeSeal(&sealFile{Store: "0123456789abcdef", Wraps: []wrap{w}}, 1, []*storeKey{key})
	if err != nil {
		f.Fatal(err)
	}
	planted, err := newStoreKey(2)
	if err != nil {
		f.Fatal(err)
	}
	other, err := newWrap(ProtectorKeyFile, nil, []*storeKey{planted})
	if err != nil {
		f.Fatal(err)
	}
	two, err := encodeSeal(&sealFile{Store: "0123456789abcdef", Wraps: []wrap{w, other}}, 1, []*storeKey{planted})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, byte(1))
	f.Add(signed, byte(2))
	f.Add(two, byte(2))
	f.Add([]byte(`{"store":"x","wraps":[{"protector":"passphrase","keys":[{"number":1,"id":"AAAAAAAAAAA="}],`+
		`"memory_kib":4294967295,"passes":4294967295}]}`), byte(1))
	pass := filepath.Join(f.TempDir(), "pass")
	if err := os.WriteFile(pass, []byte("pass"), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, version byte) {
		if strings.Contains(string(body), "memory_kib") && len(body) > 400 {
			return // a derivation within the limits is slow, but safe
		}
		raw, err := encodeFrame(frame{version: version, name: sealName, sequence: 1, body: body}, nil)
		if err != nil {
			return
		}
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "keystore"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, slot := range []string{"seal.a", "seal.b"} {
			if err := os.WriteFile(filepath.Join(dir, "keystore", slot), raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(context.Background(), dir, Options{PassphraseFile: pass, Seal: "keyfile", Volatile: true})
		if err != nil {
			t.Fatal(err)
		}
		_ = s.PutAgent("main", &Agent{AgentID: "agent_x", Token: NewSecret("x")})
		_ = s.PrepareNewKey("main", false)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
