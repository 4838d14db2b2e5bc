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

// protector is what keeps the store key from whoever has the files. The number
// is in every frame.
type protector byte

const (
	protectNone       protector = iota // only in the file that holds the wrapped keys
	protectKeyFile                     // the 0600 mode of that file: guards against partial copies only
	protectPassphrase                  // a passphrase in a file elsewhere
	protectCredential                  // a credential of systemd, which can lie in a TPM
)

func (p protector) String() string {
	return [...]string{"none", "keyfile", "passphrase", "credential"}[min(p, protectCredential)]
}

// strength orders protectors: none is silently replaced by a weaker one.
func (p protector) strength() int { return int(min(p, protectPassphrase)) }

// CredentialName is the name under which the system hands us the secret of the
// protector credential: the file $CREDENTIALS_DIRECTORY/peaqos-agent.seal.
const CredentialName = "peaqos-agent.seal"

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
func newWrap(p protector, secret []byte, keys []*storeKey) (wrap, error) {
	w := wrap{Protector: p.String()}
	var payload []byte
	for _, k := range keys {
		id := k.id()
		w.Keys = append(w.Keys, wrapKey{k.number, id[:]})
		payload = append(payload, k.secret...)
	}
	if p == protectKeyFile {
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
	if p == protectPassphrase {
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
func (w *wrap) derive(p protector, secret []byte) ([]byte, error) {
	if p == protectCredential { // random already: no stretching
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
func (w *wrap) open(p protector, secret []byte) ([]*storeKey, error) {
	payload := w.Payload
	if p != protectKeyFile {
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

var errWrongSecret = errors.New("it does not fit")

// secretFor fetches what a protector needs from where this process has it.
func (o *Options) secretFor(p protector) ([]byte, error) {
	switch p {
	case protectKeyFile:
		return nil, nil
	case protectPassphrase:
		if o.PassphraseFile == "" {
			return nil, &SealError{
				Protector: "passphrase", Problem: "a passphrase protects it, and no passphrase file is configured",
				Next: "set keystore.passphrase_file; if the passphrase is lost, run peaqos-agent rotate with an API key",
			}
		}
		secret, err := ReadPassphraseFile(o.PassphraseFile)
		if err != nil {
			return nil, &SealError{Protector: "passphrase", Problem: "its passphrase cannot be read", Next: "mend the passphrase file " + o.PassphraseFile, Err: err}
		}
		return secret, nil
	case protectCredential:
		return readCredential()
	}
	return nil, &SealError{Problem: "what protects it is not known to this program", Next: "install the newer peaqos-agent again"}
}

func readCredential() ([]byte, error) {
	fail := func(problem string, err error) ([]byte, error) {
		return nil, &SealError{
			Protector: "credential", Problem: problem, Err: err,
			Next: "use it through the running service, give the recovery passphrase in keystore.passphrase_file, or run peaqos-agent rotate with an API key",
		}
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return fail("the system's credential "+CredentialName+" protects it, and this process was not given it", nil)
	}
	secret, err := ReadPassphraseFile(filepath.Join(dir, CredentialName))
	if err != nil {
		return fail("the system's credential "+CredentialName+" cannot be read", err)
	}
	if len(secret) < 16 {
		return fail("the system's credential "+CredentialName+" is shorter than 16 bytes", nil)
	}
	return secret, nil
}
