package keystore

import (
	"bytes"
	"crypto/sha256"
	"testing"
)

func FuzzDecodeFrame(f *testing.F) {
	key, err := newStoreKey(1)
	if err != nil {
		f.Fatal(err)
	}
	good, err := encodeFrame(frame{
		name: "agent-main", sequence: 7, protector: ProtectorKeyFile, facts: []byte(`{}`), body: []byte(`{"token":"dG9r"}`),
	}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[:len(good)-sha256.Size])
	f.Add([]byte("PQAK"))
	f.Fuzz(func(t *testing.T, b []byte) {
		sum := sha256.Sum256(b) // otherwise nothing would get past the checksum
		file := append(bytes.Clone(b), sum[:]...)
		fr, err := decodeFrame(file)
		if err != nil {
			return
		}
		if n := headerLen + len(fr.name) + len(fr.facts) + len(fr.body) + sha256.Size; n != len(file) {
			t.Errorf("%d bytes of %d are accounted for", n, len(file))
		}
		if body, err := fr.unseal(key); err == nil && !bytes.Equal(file, good) {
			t.Errorf("a frame that we did not seal was opened: %q", body)
		}
	})
}
