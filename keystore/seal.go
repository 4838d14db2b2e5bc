package keystore

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// sealFile is the body of the record "seal": the store's keys, wrapped once for
// every protector that may open them. Wraps of an older key stay until no record
// needs it.
type sealFile struct {
	Store string `json:"store"` // random: two stores never take each other's file for their own
	Wraps []wrap `json:"wraps"`
}

func (f *sealFile) newest() uint32 {
	var n uint32
	for i := range f.Wraps {
		n = max(n, f.Wraps[i].newest())
	}
	return n
}

// strongest is the best protector in the file, of whatever key.
func (f *sealFile) strongest() Protector {
	p := ProtectorNone
	for i := range f.Wraps {
		p = max(p, protectorNamed(f.Wraps[i].Protector))
	}
	return p
}

// protectorOf is the strongest protector of the key with this number.
func (f *sealFile) protectorOf(number uint32) Protector {
	p := ProtectorNone
	for i := range f.Wraps {
		if f.Wraps[i].newest() == number {
			p = max(p, protectorNamed(f.Wraps[i].Protector))
		}
	}
	return p
}

// unfinished reports that wraps of an older key are still there.
func (f *sealFile) unfinished() bool {
	return slices.ContainsFunc(f.Wraps, func(w wrap) bool { return w.newest() < f.newest() })
}

// holdsAny reports whether one of the keys is inside.
func (f *sealFile) holdsAny(used map[keyID]bool) bool {
	for _, w := range f.Wraps {
		for _, k := range w.Keys {
			if len(k.ID) == len(keyID{}) && used[keyID(k.ID)] {
				return true
			}
		}
	}
	return false
}

func parseSeal(body []byte) (*sealFile, error) {
	var f sealFile
	if err := json.Unmarshal(body, &f); err != nil || f.Store == "" || len(f.Wraps) == 0 {
		return nil, errNotAFrame
	}
	return &f, nil
}

// wrap is the store's keys, protected in one way.
type wrap struct {
	Protector string    `json:"protector"`
	Keys      []wrapKey `json:"keys"` // in the clear: which keys are inside
	Salt      []byte    `json:"salt,omitempty"`
	MemoryKiB uint32    `json:"memory_kib,omitempty"`
	Passes    uint32    `json:"passes,omitempty"`
	Nonce     []byte    `json:"nonce,omitempty"`
	// Payload is the keys one after the other, 32 bytes each: sealed, but for the
	// key file, which is what its name says.
	Payload []byte `json:"payload"`
}

type wrapKey struct {
	Number uint32 `json:"number"`
	ID     []byte `json:"id"`
}

// newest is the number of the newest key inside.
func (w *wrap) newest() uint32 {
	var n uint32
	for _, k := range w.Keys {
		n = max(n, k.Number)
	}
	return n
}

// newWrap protects the keys with a secret; the key file has none.
func newWrap(p Protector, secret []byte, keys []*storeKey) (wrap, error) {
	w := wrap{Protector: p.String()}
	var payload []byte
	for _, k := range keys {
		id := k.id()
		w.Keys = append(w.Keys, wrapKey{k.number, id[:]})
		payload = append(payload, k.secret...)
	}
	if p == ProtectorKeyFile {
		w.Payload = payload
		return w, nil
	}
	defer clear(payload)
	w.Salt, w.Nonce = make([]byte, 16), make([]byte, chacha20poly1305.NonceSizeX)
	if _, err := rand.Read(w.Salt); err != nil {
		return wrap{}, err
	}
	if _, err := rand.Read(w.Nonce); err != nil {
		return wrap{}, err
	}
	if p == ProtectorPassphrase {
		w.MemoryKiB, w.Passes = argonMemory, argonPasses
	}
	key, err := w.derive(p, secret)
	if err != nil {
		return wrap{}, err
	}
	defer clear(key)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return wrap{}, err
	}
	w.Payload = aead.Seal(nil, w.Nonce, payload, w.bound())
	return w, nil
}

// open returns the keys inside.
func (w *wrap) open(p Protector, secret []byte) ([]*storeKey, error) {
	payload := w.Payload
	if p != ProtectorKeyFile {
		if len(w.Nonce) != chacha20poly1305.NonceSizeX {
			return nil, fmt.Errorf("%w: a wrapped key has no nonce", ErrDamaged)
		}
		key, err := w.derive(p, secret)
		if err != nil {
			return nil, err
		}
		defer clear(key)
		aead, err := chacha20poly1305.NewX(key)
		if err != nil {
			return nil, err
		}
		if payload, err = aead.Open(nil, w.Nonce, w.Payload, w.bound()); err != nil {
			return nil, errWrongSecret
		}
	}
	if len(w.Keys) == 0 || len(payload) != 32*len(w.Keys) {
		return nil, fmt.Errorf("%w: a wrapped key has the wrong length", ErrDamaged)
	}
	var keys []*storeKey
	for i, k := range w.Keys {
		key := &storeKey{k.Number, append([]byte(nil), payload[32*i:32*i+32]...)}
		if id := key.id(); string(id[:]) != string(k.ID) {
			return nil, fmt.Errorf("%w: a wrapped key is not the one it names", ErrDamaged)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// derive makes the key of a wrap from its secret.
func (w *wrap) derive(p Protector, secret []byte) ([]byte, error) {
	if p == ProtectorCredential { // random already: no stretching
		return hkdf.Key(sha256.New, secret, w.Salt, "peaqos-agent keystore credential/1", chacha20poly1305.KeySize)
	}
	if w.MemoryKiB < 8 || w.MemoryKiB > argonMemoryMax || w.Passes < 1 || w.Passes > argonPassesMax {
		return nil, fmt.Errorf("%w: the passphrase's cost is out of range", ErrDamaged)
	}
	key := argon2.IDKey(secret, w.Salt, w.Passes, w.MemoryKiB, 1, chacha20poly1305.KeySize)
	debug.FreeOSMemory() // else those 8 MiB stay resident for minutes
	return key, nil
}

// bound is the additional data: everything but the payload.
func (w *wrap) bound() []byte {
	c := *w
	c.Payload = nil
	b, err := json.Marshal(c)
	if err != nil { // a struct of numbers and bytes always marshals
		panic(err)
	}
	return b
}

var errWrongSecret = errors.New("wrong passphrase or credential")
