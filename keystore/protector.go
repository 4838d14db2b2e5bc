package keystore

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// Protector is what protects the store's key from someone who has the files. Its
// number is in every frame.
type Protector byte

// The protectors, from none to the strongest.
const (
	ProtectorNone       Protector = iota // nothing was sealed, or it is not known; also in frames of the seal file
	ProtectorKeyFile                     // the 0600 mode of the seal file: protects against partial copies only
	ProtectorPassphrase                  // a passphrase in a file elsewhere
	ProtectorCredential                  // a systemd credential, which can be bound to a TPM
)

// String is none, keyfile, passphrase or credential.
func (p Protector) String() string {
	return [...]string{"none", "keyfile", "passphrase", "credential"}[min(p, ProtectorCredential)]
}

// strength orders protectors: none is silently replaced by a weaker one.
func (p Protector) strength() int { return int(min(p, ProtectorPassphrase)) }

// CredentialName is the name under which the system hands us the secret of the
// protector credential: the file $CREDENTIALS_DIRECTORY/peaqos-agent.seal.
const CredentialName = "peaqos-agent.seal"

const minCredential = 16 // bytes

// The cost of a passphrase: Argon2id with 8 MiB and five passes, in the range
// that OWASP names and small enough for a board with 512 MB. The figures lie in
// the wrap; one that asks for more than the limits is refused.
const (
	argonMemory, argonPasses       = 8 << 10, 5
	argonMemoryMax, argonPassesMax = 64 << 10, 20
)

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

var errWrongSecret = errors.New("wrong passphrase or credential")

// secretFor reads the secret of a protector from where this process has it. Its
// errors are of type *SealError.
func (o *Options) secretFor(p Protector) ([]byte, error) {
	switch p {
	case ProtectorKeyFile:
		return nil, nil
	case ProtectorPassphrase:
		if o.PassphraseFile == "" {
			return nil, &SealError{Reason: SealNoPassphraseFile, Protector: p}
		}
		secret, err := ReadPassphraseFile(o.PassphraseFile)
		if err != nil {
			return nil, &SealError{Reason: SealBadPassphraseFile, Protector: p, Path: o.PassphraseFile, Err: err}
		}
		return secret, nil
	case ProtectorCredential:
		return readCredential()
	}
	return nil, &SealError{Reason: SealUnknownProtector}
}

func readCredential() ([]byte, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, &SealError{Reason: SealNoCredential, Protector: ProtectorCredential}
	}
	path := filepath.Join(dir, CredentialName)
	secret, err := ReadPassphraseFile(path)
	if err != nil {
		return nil, &SealError{Reason: SealBadCredential, Protector: ProtectorCredential, Path: path, Err: err}
	}
	if len(secret) < minCredential {
		clear(secret)
		return nil, &SealError{Reason: SealShortCredential, Protector: ProtectorCredential, Path: path}
	}
	return secret, nil
}
