package keystore

import (
	"crypto/rand"
	"crypto/sha256"
)

// storeKey seals the records of one store.
type storeKey struct {
	number uint32 // grows with every new key of the store
	secret []byte // 32 bytes
}

// keyID identifies a key in plain text. A key is random, so its hash reveals nothing.
type keyID [8]byte

func newStoreKey(number uint32) (*storeKey, error) {
	k := &storeKey{number: number, secret: make([]byte, 32)}
	if _, err := rand.Read(k.secret); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *storeKey) id() keyID {
	sum := sha256.Sum256(append([]byte("peaqos-agent keystore key id/1:"), k.secret...))
	return keyID(sum[:8])
}

// keyring is the keys that could be unwrapped, and the number of the newest key,
// which may not be among them.
type keyring struct {
	keys   map[keyID]*storeKey
	newest uint32 // the key that new records are sealed with; 0 before the first key
}

// current is the key for new records, nil if it could not be unwrapped.
func (r *keyring) current() *storeKey {
	for _, k := range r.keys {
		if k.number == r.newest {
			return k
		}
	}
	return nil
}

func (r *keyring) add(k *storeKey) {
	if r.keys == nil {
		r.keys = map[keyID]*storeKey{}
	}
	r.keys[k.id()] = k
	r.newest = max(r.newest, k.number)
}

// hasAll reports whether the ring already has every key in the wrap.
func (r *keyring) hasAll(w *wrap) bool {
	for _, k := range w.Keys {
		if len(k.ID) != len(keyID{}) || r.keys[keyID(k.ID)] == nil {
			return false
		}
	}
	return true
}

// wipe overwrites and removes all keys.
func (r *keyring) wipe() {
	for _, k := range r.keys {
		clear(k.secret)
	}
	r.keys, r.newest = nil, 0
}
