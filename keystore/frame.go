package keystore

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// A frame is the content of one slot: one copy of one record. Numbers are big
// endian.
//
//	magic      4   "PQAK"
//	version    1   of the format
//	protector  1   what protected the store's key when this was written
//	state      1   0 a record, 1 dropped: the record was removed on purpose
//	name       1   length of the record's name
//	sequence   8   grows with every change; the higher of two slots is newer
//	key        8   id of the store key that seals the body, 0 if it is not sealed
//	nonce     24
//	facts      4   length
//	body       4   length
//	name       …   so that a file that was renamed is not taken for another record
//	facts      …   JSON in plain text: origin, machine, agent id, label, never a secret
//	body       …   XChaCha20-Poly1305, additional data = everything above
//	checksum  32   SHA-256 of everything above: tells damage from a wrong key
//
// The additional data binds the body to format, name, origin and machine. The facts
// are in plain text because a store that cannot be unsealed must still name the
// agent that has to be revoked. Every later version keeps magic, version and
// checksum at their places, so that this program can tell a newer file from a
// damaged one.
//
// Version 1 had a seal without authentication. A record of version 2 tells, since its
// version is bound in, that it belongs to an authenticated seal; see seal_auth.go.
type frame struct {
	version   byte // 0 when encoding: formatVersion
	protector Protector
	dropped   bool
	sequence  uint64
	key       keyID
	name      string
	facts     []byte
	body      []byte // sealed, except under ProtectorNone
	nonce     []byte
	bound     []byte // the additional data
	raw       []byte // the whole file
}

const (
	magic         = "PQAK"
	formatVersion = 2
	headerLen     = 4 + 4 + 8 + 8 + chacha20poly1305.NonceSizeX + 8
	maxFile       = 64 << 10 // bytes, far more than any record needs
)

var (
	errNotAFrame = errors.New("is not a record")
	errChecksum  = errors.New("is damaged: its checksum does not match")
	errOtherName = errors.New("belongs to another record")
	errForged    = errors.New("was not sealed with the store's key")
)

// decodeFrame parses a file. An intact file of a newer format is ErrNewerFormat, any
// other error means damage.
func decodeFrame(raw []byte) (*frame, error) {
	end := len(raw) - sha256.Size
	if end < 5 || !bytes.HasPrefix(raw, []byte(magic)) {
		return nil, errNotAFrame
	}
	if sum := sha256.Sum256(raw[:end]); !bytes.Equal(sum[:], raw[end:]) {
		return nil, errChecksum
	}
	if raw[4] > formatVersion {
		return nil, fmt.Errorf("%w: it has format %d, this program supports %d", ErrNewerFormat, raw[4], formatVersion)
	}
	if raw[4] == 0 || end < headerLen || raw[6] > 1 {
		return nil, errNotAFrame
	}
	names := uint64(raw[7])
	facts, body := uint64(binary.BigEndian.Uint32(raw[48:])), uint64(binary.BigEndian.Uint32(raw[52:]))
	if headerLen+names+facts+body != uint64(end) {
		return nil, errNotAFrame
	}
	at := headerLen + names
	return &frame{
		version: raw[4], protector: Protector(raw[5]), dropped: raw[6] == 1,
		sequence: binary.BigEndian.Uint64(raw[8:]), key: keyID(raw[16:24]),
		nonce: raw[24:48], name: string(raw[headerLen:at]), facts: raw[at : at+facts],
		body: raw[at+facts : end], bound: raw[:at+facts], raw: raw,
	}, nil
}

// encodeFrame makes the file of a frame. With a nil key the body is not sealed.
func encodeFrame(f frame, key *storeKey) ([]byte, error) {
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	size := len(f.body)
	if key != nil {
		f.key = key.id()
		size += chacha20poly1305.Overhead
	}
	var state byte
	if f.dropped {
		state = 1
	}
	b := append(make([]byte, 0, headerLen+len(f.name)+len(f.facts)+size+sha256.Size), magic...)
	b = append(b, cmp.Or(f.version, formatVersion), byte(f.protector), state, byte(len(f.name)))
	b = binary.BigEndian.AppendUint64(b, f.sequence)
	b = append(append(b, f.key[:]...), nonce...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.facts)))
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(append(b, f.name...), f.facts...)
	if key == nil {
		b = append(b, f.body...)
	} else {
		aead, err := chacha20poly1305.NewX(key.secret)
		if err != nil {
			return nil, err
		}
		b = aead.Seal(b, nonce, f.body, bytes.Clone(b))
	}
	sum := sha256.Sum256(b)
	b = append(b, sum[:]...)
	if len(b) > maxFile {
		return nil, fmt.Errorf("record %s would be %d bytes long, more than %d", f.name, len(b), maxFile)
	}
	return b, nil
}

// unseal returns the body in plain text.
func (f *frame) unseal(key *storeKey) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(key.secret)
	if err != nil {
		return nil, err
	}
	body, err := aead.Open(nil, f.nonce, f.body, f.bound)
	if err != nil {
		return nil, errForged
	}
	return body, nil
}
