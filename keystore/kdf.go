package keystore

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"
	"runtime/debug"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/pbkdf2"
	"golang.org/x/crypto/scrypt"
)

// The cost of the store's passphrase: Argon2id with 8 MiB and five passes, which is
// in the range that OWASP recommends and small enough for a board with 512 MB. Each
// wrap records its own cost; one above the limits is refused.
const (
	argonMemory, argonPasses       = 8 << 10, 5 // KiB, passes
	argonMemoryMax, argonPassesMax = 64 << 10, 20
)

// passphraseKey makes the key of a wrap from a passphrase. A cost that is out of
// range is ErrDamaged.
func passphraseKey(passphrase, salt []byte, memoryKiB, passes uint32) ([]byte, error) {
	if memoryKiB < 8 || memoryKiB > argonMemoryMax || passes < 1 || passes > argonPassesMax {
		return nil, fmt.Errorf("%w: the passphrase's cost is out of range", ErrDamaged)
	}
	key := argon2.IDKey(passphrase, salt, passes, memoryKiB, 1, chacha20poly1305.KeySize)
	debug.FreeOSMemory() // otherwise those 8 MiB stay resident for minutes
	return key, nil
}

// credentialKey makes the key of a wrap from a systemd credential, which is random
// and needs no stretching.
func credentialKey(secret, salt []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, salt, "peaqos-agent keystore credential/1", chacha20poly1305.KeySize)
}

// kdf makes the key of a Web3 file from its passphrase: scrypt or PBKDF2.
type kdf interface {
	memory() uint64                           // bytes that derive needs
	derive(passphrase []byte) ([]byte, error) // 32 bytes or more
}

type scryptParams struct {
	DKLen int    `json:"dklen"`
	N     int    `json:"n"`
	P     int    `json:"p"`
	R     int    `json:"r"`
	Salt  string `json:"salt"`
}

type pbkdf2Params struct {
	C     int    `json:"c"`
	DKLen int    `json:"dklen"`
	PRF   string `json:"prf"`
	Salt  string `json:"salt"`
}

// Limits on the cost in a Web3 file: sixteen times what wallets write.
const (
	scryptMemoryMax = 4 << 30
	scryptWorkMax   = 1 << 26 // N·r·p
	pbkdf2Max       = 16 << 20
)

// parseKDF reads the parameters of a Web3 file's key derivation. Its error is
// ErrBadWeb3.
func parseKDF(name string, params []byte) (kdf, error) {
	switch name {
	case "scrypt":
		var p scryptParams
		err := json.Unmarshal(params, &p)
		salt, serr := hex.DecodeString(p.Salt)
		if err != nil || serr != nil || len(salt) == 0 || !p.inRange() {
			return nil, fmt.Errorf("%w: its scrypt parameters are out of range", ErrBadWeb3)
		}
		return p, nil
	case "pbkdf2":
		var p pbkdf2Params
		err := json.Unmarshal(params, &p)
		salt, serr := hex.DecodeString(p.Salt)
		if err != nil || serr != nil || len(salt) == 0 || !p.inRange() {
			return nil, fmt.Errorf("%w: its PBKDF2 parameters are out of range", ErrBadWeb3)
		}
		return p, nil
	}
	return nil, fmt.Errorf("%w: its key derivation is %.32q, neither scrypt nor pbkdf2", ErrBadWeb3, name)
}

func (p scryptParams) inRange() bool {
	if p.N < 2 || bits.OnesCount64(uint64(p.N)) != 1 || p.R < 1 || p.P < 1 || p.DKLen < 32 || p.DKLen > 64 {
		return false
	}
	const each = 1 << 26 // so that the products below do not overflow
	if p.N > each || p.R > 1<<10 || p.P > 1<<10 {
		return false
	}
	return p.memory() <= scryptMemoryMax && uint64(p.N)*uint64(p.R)*uint64(p.P) <= scryptWorkMax
}

func (p scryptParams) memory() uint64 {
	return 128 * uint64(p.R) * (uint64(p.N) + uint64(p.P))
}

func (p scryptParams) derive(passphrase []byte) ([]byte, error) {
	salt, err := hex.DecodeString(p.Salt)
	if err != nil {
		return nil, err
	}
	defer debug.FreeOSMemory() // otherwise all of it stays resident for minutes
	return scrypt.Key(passphrase, salt, p.N, p.R, p.P, p.DKLen)
}

func (p pbkdf2Params) inRange() bool {
	return p.PRF == "hmac-sha256" && p.C >= 1 && p.C <= pbkdf2Max && p.DKLen >= 32 && p.DKLen <= 64
}

func (p pbkdf2Params) memory() uint64 { return 0 }

func (p pbkdf2Params) derive(passphrase []byte) ([]byte, error) {
	salt, err := hex.DecodeString(p.Salt)
	if err != nil {
		return nil, err
	}
	return pbkdf2.Key(passphrase, salt, p.C, p.DKLen, sha256.New), nil
}
