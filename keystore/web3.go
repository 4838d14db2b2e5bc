package keystore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"
)

// What can be wrong with a Web3 key file, for errors.Is.
var (
	ErrBadWeb3         = errors.New("not a Web3 key file of version 3")
	ErrWrongPassphrase = errors.New("wrong passphrase for the key file")
	ErrMemory          = errors.New("not enough memory to decrypt the key file")
)

// web3File is the Web3 Secret Storage, version 3, as geth and eth-account write it.
// encoding/json ignores case, which older files with "Crypto" need.
type web3File struct {
	Address string      `json:"address"`
	Crypto  web3Crypto  `json:"crypto"`
	ID      string      `json:"id"`
	Version json.Number `json:"version"`
}

type web3Crypto struct {
	Cipher       string          `json:"cipher"`
	CipherText   string          `json:"ciphertext"`
	CipherParams web3IV          `json:"cipherparams"`
	KDF          string          `json:"kdf"`
	KDFParams    json.RawMessage `json:"kdfparams"`
	MAC          string          `json:"mac"`
}

type web3IV struct {
	IV string `json:"iv"`
}

// looseHex decodes hex as the tools write it: with 0x in front, or without the first
// zero of the first byte.
func looseHex(s string) ([]byte, error) {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	if len(s)%2 == 1 {
		s = "0" + s
	}
	return hex.DecodeString(s)
}

// leftPad adds zeros in front, which some tools leave out.
func leftPad(b []byte, size int) []byte {
	if len(b) >= size {
		return b
	}
	return append(make([]byte, size-len(b), size), b...)
}

// ImportWeb3 decrypts a Web3 key file (version 3; scrypt or PBKDF2). It reads what
// common tools write: iv and key may lack their leading zeros, and an address that is
// not 40 hex digits is not compared. The passphrase is used byte for byte; see
// PassphraseForms. A file of standard strength needs 256 MiB of memory and about a
// second on a server, so the free memory is checked first. Errors: ErrBadWeb3,
// ErrWrongPassphrase, ErrMemory, ErrBadKey.
func ImportWeb3(file, passphrase []byte) (*Key, error) {
	return importWeb3(file, passphrase, "/")
}

func importWeb3(file, passphrase []byte, root string) (*Key, error) {
	var f web3File
	if err := json.Unmarshal(trimText(file), &f); err != nil { // the cause may quote a secret that is in the wrong file
		return nil, fmt.Errorf("%w: it is not JSON in that format", ErrBadWeb3)
	}
	iv, ivErr := looseHex(f.Crypto.CipherParams.IV)
	text, textErr := looseHex(f.Crypto.CipherText)
	mac, macErr := looseHex(f.Crypto.MAC)
	switch {
	case f.Version != "3":
		return nil, fmt.Errorf("%w: its version is %.16s", ErrBadWeb3, f.Version)
	case f.Crypto.Cipher != "aes-128-ctr":
		return nil, fmt.Errorf("%w: its cipher is %.32q, not aes-128-ctr", ErrBadWeb3, f.Crypto.Cipher)
	case errors.Join(ivErr, textErr, macErr) != nil || len(iv) == 0 || len(iv) > aes.BlockSize || len(text) == 0 || len(text) > 1024 ||
		len(mac) != 32:
		return nil, fmt.Errorf("%w: iv, ciphertext or mac is not hex of the right length", ErrBadWeb3)
	}
	iv = leftPad(iv, aes.BlockSize)
	kdf, err := parseKDF(f.Crypto.KDF, f.Crypto.KDFParams)
	if err != nil {
		return nil, err
	}
	if err := enoughMemory(root, kdf.memory()); err != nil {
		return nil, err
	}
	derived, err := kdf.derive(passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	if subtle.ConstantTimeCompare(crypto.Keccak256(derived[16:32], text), mac) != 1 {
		return nil, ErrWrongPassphrase
	}
	defer clear(text) // decrypted in place
	if err := ctr(derived[:16], iv, text); err != nil {
		return nil, err
	}
	plain := text
	for len(plain) > 32 && plain[0] == 0 {
		plain = plain[1:]
	}
	for len(plain) > 32 && plain[len(plain)-1] == 0 {
		plain = plain[:len(plain)-1]
	}
	plain = leftPad(plain, 32)
	defer clear(plain)
	key, err := keyFromBytes(plain)
	if err != nil {
		return nil, fmt.Errorf("%w: what it holds is not a private key", ErrBadWeb3)
	}
	address := strings.TrimPrefix(strings.TrimPrefix(f.Address, "0x"), "0X") // other forms, such as xdc…, are not compared
	if len(address) == 40 && hexDigits().MatchString(address) && !SameAddress("0x"+address, key.Signer().Address()) {
		key.Wipe()
		return nil, fmt.Errorf("%w: its key does not belong to its address", ErrBadWeb3)
	}
	return key, nil
}

// PassphraseForm is one way to read a passphrase file.
type PassphraseForm struct {
	Name       string // empty for the content of the file, without one line end
	Passphrase []byte
}

// PassphraseForms are the passphrases that the content of a file may stand for, in
// the order to try them and each once: as it is, and without white space around it.
// Another normal form of Unicode is not tried: its tables would be a hundredth of the
// program.
func PassphraseForms(content []byte) []PassphraseForm {
	raw := trimLineEnd(content)
	trimmed := trimText(raw)
	forms := []PassphraseForm{{"", raw}}
	for _, f := range []PassphraseForm{
		{"without the white space around it", trimmed},
	} {
		if !slices.ContainsFunc(forms, func(g PassphraseForm) bool { return bytes.Equal(g.Passphrase, f.Passphrase) }) {
			forms = append(forms, f)
		}
	}
	return forms
}

// ExportWeb3 encrypts a key for geth, eth-account and other wallets that read Web3 key
// files. Opening a light file needs 4 MiB of memory, otherwise 256 MiB, which is more
// than some boards have free. With a passphrase of high entropy light is as secure.
// Error: ErrMemory.
func ExportWeb3(k *Key, passphrase []byte, light bool) ([]byte, error) {
	return exportWeb3(k, passphrase, light, "/")
}

func exportWeb3(k *Key, passphrase []byte, light bool, root string) ([]byte, error) {
	random := make([]byte, 32+aes.BlockSize+16)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	salt, iv, id := random[:32], random[32:48], random[48:]
	kdf := scryptParams{N: 1 << 18, R: 8, P: 1, DKLen: 32, Salt: hex.EncodeToString(salt)}
	if light {
		kdf.N, kdf.P = 1<<12, 6
	}
	if err := enoughMemory(root, kdf.memory()); err != nil {
		return nil, err
	}
	derived, err := kdf.derive(passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	text := k.bytes() // encrypted in place
	if err := ctr(derived[:16], iv, text); err != nil {
		return nil, err
	}
	params, err := json.Marshal(kdf)
	if err != nil {
		return nil, err
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return json.Marshal(web3File{
		Address: strings.ToLower(strings.TrimPrefix(k.Signer().Address(), "0x")),
		Crypto: web3Crypto{
			Cipher: "aes-128-ctr", CipherText: hex.EncodeToString(text), CipherParams: web3IV{hex.EncodeToString(iv)},
			KDF: "scrypt", KDFParams: params, MAC: hex.EncodeToString(crypto.Keccak256(derived[16:32], text)),
		},
		ID: fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]), Version: "3",
	})
}

// ctr applies AES-128 in counter mode in place.
func ctr(key, iv, text []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	cipher.NewCTR(block, iv).XORKeyStream(text, text)
	return nil
}
