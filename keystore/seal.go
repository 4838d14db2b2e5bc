package keystore

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealFile is the body of the record "seal": the store's keys, wrapped once for
// each protector that may open them. Wraps of an older key stay until no record
// needs that key.
type sealFile struct {
	Store string `json:"store"` // random, so that a seal file of another store is recognized
	Wraps []wrap `json:"wraps"`
	// Lost are the ids of keys that an explicit command gave up; records may still
	// need them.
	Lost [][]byte `json:"lost,omitempty"`

	macs    []sealMAC   // of the frame that this was read from; see seal_auth.go
	signers []*storeKey // keys that are not in the keyring yet and sign this too
}

// keys are the ids of the keys inside, each with its number.
func (f *sealFile) keys() map[keyID]uint32 {
	ids := map[keyID]uint32{}
	for _, w := range f.Wraps {
		for _, k := range w.Keys {
			if len(k.ID) == len(keyID{}) {
				ids[keyID(k.ID)] = k.Number
			}
		}
	}
	return ids
}

// gaveUp reports whether a key is among the lost ones.
func (f *sealFile) gaveUp(id keyID) bool {
	return slices.ContainsFunc(f.Lost, func(l []byte) bool { return string(l) == string(id[:]) })
}

func (f *sealFile) newest() uint32 {
	var n uint32
	for i := range f.Wraps {
		n = max(n, f.Wraps[i].newest())
	}
	return n
}

// strongest is the strongest protector in the file, of any key.
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

// unfinished reports whether wraps of an older key are still there.
func (f *sealFile) unfinished() bool {
	return slices.ContainsFunc(f.Wraps, func(w wrap) bool { return w.newest() < f.newest() })
}

// hasAnyKey reports whether at least one of the keys is in the file.
func (f *sealFile) hasAnyKey(used map[keyID]bool) bool {
	for id := range f.keys() {
		if used[id] {
			return true
		}
	}
	return false
}

// parseSeal reads the body of a seal frame. In format 1 it is the seal file alone.
func parseSeal(fr *frame) (*sealFile, error) {
	var body sealBody
	if fr.version == 1 {
		body.Seal = fr.body
	} else if err := json.Unmarshal(fr.body, &body); err != nil {
		return nil, errNotAFrame
	}
	f := sealFile{macs: body.MACs}
	if err := json.Unmarshal(body.Seal, &f); err != nil || f.Store == "" || len(f.Wraps) == 0 {
		return nil, errNotAFrame
	}
	return &f, nil
}

// wrap is the store's keys, protected in one way.
type wrap struct {
	Protector string    `json:"protector"`
	Keys      []wrapKey `json:"keys"` // which keys are inside, in plain text
	Salt      []byte    `json:"salt,omitempty"`
	MemoryKiB uint32    `json:"memory_kib,omitempty"`
	Passes    uint32    `json:"passes,omitempty"`
	Nonce     []byte    `json:"nonce,omitempty"`
	// Payload is the keys one after the other, 32 bytes each. It is encrypted,
	// except under the protector keyfile: then this file is the key file.
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

// newWrap protects the keys with a secret, which is nil for ProtectorKeyFile.
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

// unwrap returns the keys inside. Errors: errWrongSecret, ErrDamaged.
func (w *wrap) unwrap(p Protector, secret []byte) ([]*storeKey, error) {
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
			return nil, fmt.Errorf("%w: a wrapped key does not match its id", ErrDamaged)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// derive makes the key of a wrap from its secret.
func (w *wrap) derive(p Protector, secret []byte) ([]byte, error) {
	if p == ProtectorCredential {
		return credentialKey(secret, w.Salt)
	}
	return passphraseKey(secret, w.Salt, w.MemoryKiB, w.Passes)
}

// bound is the additional data: everything but the payload.
func (w *wrap) bound() []byte {
	c := *w
	c.Payload = nil
	b, err := json.Marshal(c)
	if err != nil { // cannot happen: a struct of numbers and bytes
		panic(err)
	}
	return b
}

var errWrongSecret = errors.New("wrong passphrase or credential")
