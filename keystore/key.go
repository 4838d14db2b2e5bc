package keystore

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/ethereum/go-ethereum/crypto"
)

// Key is a secp256k1 private key, such as the one that controls a machine's DID. It
// prints as [REDACTED] and can be wiped.
type Key struct{ held func(wipe bool) []byte }

// ErrBadKey is the error for anything that is not a private key. It does not repeat
// the input.
var ErrBadKey = errors.New("not a private key: expected 64 hex digits, with or without 0x, between 1 and the order of secp256k1")

// KeyFormError is ErrBadKey for a text of a form that is known.
type KeyFormError struct{ Form Form }

func (e *KeyFormError) Error() string        { return "not a private key: " + e.Form.String() }
func (e *KeyFormError) Is(target error) bool { return target == ErrBadKey }

// ParseKey reads 64 hex digits, with or without 0x in front. White space around them
// and a byte order mark are ignored. Errors: ErrBadKey, with a *KeyFormError if it is
// known what the text is instead.
func ParseKey(text []byte) (*Key, error) {
	form := FormOf(text)
	text = trimText(text)
	if len(text) >= 2 && text[0] == '0' && text[1]|0x20 == 'x' {
		text = text[2:]
	}
	var raw [32]byte
	defer clear(raw[:])
	if len(text) == 64 {
		if _, err := hex.Decode(raw[:], text); err == nil {
			return keyFromBytes(raw[:])
		}
	}
	if form == FormPlain {
		return nil, ErrBadKey
	}
	return nil, &KeyFormError{form}
}

// keyFromBytes makes a key from a copy of its 32 bytes. Error: ErrBadKey.
func keyFromBytes(raw []byte) (*Key, error) {
	if _, err := crypto.ToECDSA(raw); err != nil { // checks that it is 32 bytes and 1 <= k < n
		return nil, ErrBadKey
	}
	return &Key{hold(append([]byte(nil), raw...))}, nil
}

// NewKey makes a random key.
func NewKey() (*Key, error) {
	var raw [32]byte
	defer clear(raw[:])
	for {
		if _, err := rand.Read(raw[:]); err != nil {
			return nil, err
		}
		if k, err := keyFromBytes(raw[:]); err == nil { // fails once in 2^128
			return k, nil
		}
	}
}

// bytes is a copy of the 32 bytes. The caller wipes it.
func (k *Key) bytes() []byte { return append([]byte(nil), k.held(false)...) }

// Hex is the key in the format of ParseKey, for writing it to a file or socket.
func (k *Key) Hex() string { return "0x" + hex.EncodeToString(k.held(false)) }

// Wipe overwrites the key, which cannot be used afterwards.
func (k *Key) Wipe() { k.held(true) }

func (k *Key) equal(other *Key) bool {
	return subtle.ConstantTimeCompare(k.held(false), other.held(false)) == 1
}

func (k Key) String() string               { return redacted }
func (k Key) GoString() string             { return redacted }
func (k Key) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, redacted) }
func (k Key) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (k Key) LogValue() slog.Value         { return slog.StringValue(redacted) }

// trimLineEnd drops one trailing LF or CRLF.
func trimLineEnd(b []byte) []byte {
	n := len(b)
	if n > 0 && b[n-1] == '\n' {
		n--
		if n > 0 && b[n-1] == '\r' {
			n--
		}
	}
	return b[:n]
}
