package keystore

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// A slot is one file of one record:
//
//	magic      4   "PQAK"
//	version    1   of this format
//	protector  1   what protects the store key that seals the body
//	sequence   8   big endian; the higher one of two slots is the newer
//	nonce     24
//	length     4   of the sealed body, big endian
//	body       n   XChaCha20-Poly1305, additional data = all above and the name
//	checksum  32   SHA-256 of all above, so that damage is told from a wrong key
const (
	magic         = "PQAK"
	formatVersion = 1
	headerLen     = 4 + 1 + 1 + 8 + chacha20poly1305.NonceSizeX + 4
	maxRecord     = 64 << 10
)

// protector says what protects the store key. The byte is in every slot, so
// that a store is never opened as something weaker than it was written with.
type protector byte

const (
	protectNone    protector = 0 // the store key's own file: its 0600 mode is all
	protectKeyFile protector = 1 // the body is sealed with the key in that file
)

// slot is one decoded file, its body still sealed.
type slot struct {
	version   byte
	protector protector
	sequence  uint64
	nonce     []byte
	header    []byte
	body      []byte
}

var (
	errNotARecord = errors.New("not a record")
	errChecksum   = errors.New("checksum does not match")
)

// decodeSlot checks the frame. An intact frame of a newer format is
// ErrNewerFormat, everything else that is wrong is damage.
func decodeSlot(b []byte) (slot, error) {
	if len(b) < headerLen+sha256.Size || !bytes.HasPrefix(b, []byte(magic)) {
		return slot{}, errNotARecord
	}
	sum := sha256.Sum256(b[:len(b)-sha256.Size])
	if !bytes.Equal(sum[:], b[len(b)-sha256.Size:]) {
		return slot{}, errChecksum
	}
	s := slot{version: b[4], protector: protector(b[5]), sequence: binary.BigEndian.Uint64(b[6:]), header: b[:headerLen]}
	if s.version > formatVersion {
		return slot{}, fmt.Errorf("%w: format %d, this program knows %d", ErrNewerFormat, s.version, formatVersion)
	}
	s.nonce = b[14 : 14+chacha20poly1305.NonceSizeX]
	n := binary.BigEndian.Uint32(b[headerLen-4:])
	s.body = b[headerLen : len(b)-sha256.Size]
	if s.version == 0 || uint64(n) != uint64(len(s.body)) {
		return slot{}, errNotARecord
	}
	return s, nil
}

// encodeSlot frames a body; with protectNone it stays as it is.
func encodeSlot(name string, sequence uint64, p protector, key, body []byte) ([]byte, error) {
	b := append(make([]byte, 0, headerLen+len(body)+64), magic...)
	b = append(b, formatVersion, byte(p))
	b = binary.BigEndian.AppendUint64(b, sequence)
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	b = append(b, nonce...)
	if p == protectNone {
		b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
		b = append(b, body...)
	} else {
		aead, err := chacha20poly1305.NewX(key)
		if err != nil {
			return nil, err
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(body)+aead.Overhead()))
		b = aead.Seal(b, nonce, body, append(bytes.Clone(b), name...))
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), nil
}

// open unseals the body.
func (s slot) open(name string, key []byte) ([]byte, error) {
	if s.protector == protectNone {
		return s.body, nil
	}
	if s.protector != protectKeyFile {
		return nil, fmt.Errorf("%w: protector %d is not known to this program", ErrSealed, s.protector)
	}
	if key == nil {
		return nil, fmt.Errorf("%w: the key file that protects it is missing", ErrSealed)
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	body, err := aead.Open(nil, s.nonce, s.body, append(bytes.Clone(s.header), name...))
	if err != nil {
		return nil, fmt.Errorf("%w: the record was sealed with another key, or for another machine", ErrSealed)
	}
	return body, nil
}
