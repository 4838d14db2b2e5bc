package keystore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"
	"runtime/debug"

	"golang.org/x/crypto/pbkdf2"
	"golang.org/x/crypto/scrypt"
)

// The cost of a passphrase: Argon2id with 8 MiB and five passes, in the range
// that OWASP names and small enough for a board with 512 MB. The figures lie in
// the wrap; one that asks for more than the limits is refused.
const (
	argonMemory, argonPasses       = 8 << 10, 5
	argonMemoryMax, argonPassesMax = 64 << 10, 20
)

// kdf makes the key of a Web3 file from its passphrase; there are two.
type kdf interface {
	memory() uint64                           // bytes that derive takes
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

// Limits on what a file may ask for: sixteen times what wallets write.
const (
	scryptMemoryMax = 4 << 30
	scryptWorkMax   = 1 << 26 // N·r·p
	pbkdf2Max       = 16 << 20
)

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
		if err != nil || serr != nil || len(salt) == 0 || p.PRF != "hmac-sha256" || p.C < 1 || p.C > pbkdf2Max || p.DKLen < 32 || p.DKLen > 64 {
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
	defer debug.FreeOSMemory() // else all of it stays resident for minutes
	return scrypt.Key(passphrase, salt, p.N, p.R, p.P, p.DKLen)
}

func (p pbkdf2Params) memory() uint64 { return 0 }

func (p pbkdf2Params) derive(passphrase []byte) ([]byte, error) {
	salt, err := hex.DecodeString(p.Salt)
	if err != nil {
		return nil, err
	}
	return pbkdf2.Key(passphrase, salt, p.C, p.DKLen, sha256.New), nil
}
