package keystore

import (
	"bytes"
	"crypto/sha256"
	"testing"
)

func fixChecksum(b []byte) {
	sum := sha256.Sum256(b[:len(b)-sha256.Size])
	copy(b[len(b)-sha256.Size:], sum[:])
}

func FuzzDecodeSlot(f *testing.F) {
	key := make([]byte, 32)
	good, err := encodeSlot("agent-main", 7, protectKeyFile, key, []byte(`{"token":"dG9r"}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("PQAK"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeSlot(b)
		if err != nil {
			return
		}
		body, err := s.open("agent-main", key)
		if err == nil && s.protector != protectNone && !bytes.Equal(b, good) {
			t.Errorf("something that we did not seal opened: %q", body)
		}
	})
}
