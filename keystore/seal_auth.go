package keystore

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
)

// The seal file is authenticated, so that a process that can write it, but knows none of its
// keys, cannot have the records sealed with a key of his own. Its body is
//
//	{"seal": …, "macs": [{"key": ID, "mac": …}, …]}
//
// with one MAC over the bytes of the seal and the sequence number of the frame for
// each key that was known when it was written. A seal is believed if
//
//   - the current key, which protectors of this process open, signed it;
//   - so did every older key in it that can be opened: a key counts only if the key
//     that it replaces vouches for it;
//   - an older key that cannot be opened was given up by an explicit command, and the
//     current key is not protected by less (Options.Seal may ask for that by name);
//   - at least one record was sealed with a key that it holds or gave up, and none
//     that it cannot open was protected by more.
//
// Everything else is a seal that somebody changed: the store stays locked, the frame
// is not copied over the other slot, and nothing is sealed with anything in it.
//
// A seal of format 1 has no MACs. It is believed as long as no record has format 2,
// if the wrap of the current key also holds the older keys, which only somebody who
// knows them can make. It gets its MACs when it is opened, then the records get
// format 2.
type sealBody struct {
	Seal json.RawMessage `json:"seal"`
	MACs []sealMAC       `json:"macs"`
}

type sealMAC struct {
	Key []byte `json:"key"`
	MAC []byte `json:"mac"`
}

// macOf is the MAC of a seal under one of its keys.
func macOf(k *storeKey, sequence uint64, seal []byte) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, k.secret, nil, "peaqos-agent keystore seal/1", sha256.Size)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, sequence))
	mac.Write(seal)
	return mac.Sum(nil), nil
}

// encodeSeal is the body of the frame of a seal, signed by the keys that are in it.
func encodeSeal(f *sealFile, sequence uint64, known []*storeKey) ([]byte, error) {
	seal, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	body := sealBody{Seal: seal}
	inside := f.keys()
	for _, k := range known {
		id := k.id()
		if _, ok := inside[id]; !ok {
			continue
		}
		mac, err := macOf(k, sequence, seal)
		if err != nil {
			return nil, err
		}
		body.MACs = append(body.MACs, sealMAC{id[:], mac})
	}
	return json.Marshal(body)
}

// signedBy reports whether a key signed the seal in a frame.
func signedBy(k *storeKey, fr *frame, f *sealFile) bool {
	var body sealBody
	if fr.version < 2 || json.Unmarshal(fr.body, &body) != nil {
		return false
	}
	id := k.id()
	for _, m := range f.macs {
		if string(m.Key) == string(id[:]) {
			want, err := macOf(k, fr.sequence, body.Seal)
			return err == nil && hmac.Equal(want, m.MAC)
		}
	}
	return false
}

// believed reports whether a seal may be used, by the rules above. The ring holds the
// keys of it that could be opened, the current one among them. Weaker is the
// protector that the options ask for by name, ProtectorNone if they name none.
func believed(fr *frame, f *sealFile, ring *keyring, records []recordCopies, named Protector) bool {
	current := ring.current()
	id := current.id()
	strength := f.protectorOf(current.number).strength()
	enough := func(p Protector) bool {
		return p.strength() <= strength || named != ProtectorNone && named.strength() <= strength
	}
	if fr.version > 1 && !signedBy(current, fr, f) || fr.version == 1 && hasFormat2(records) {
		return false
	}
	for other, number := range f.keys() {
		if other == id {
			continue
		}
		if number >= current.number { // two keys cannot both be the current one
			return false
		}
		if k := ring.keys[other]; k != nil {
			if fr.version > 1 && !signedBy(k, fr, f) || fr.version == 1 && !f.wrappedTogether(id, other) {
				return false
			}
			continue
		}
		if fr.version > 1 && !f.gaveUp(other) || !enough(f.protectorOf(number)) ||
			fr.version == 1 && strength <= ProtectorKeyFile.strength() && named == ProtectorNone {
			return false
		}
	}
	return ofTheseRecords(f, records, enough)
}

// hasFormat2 reports whether the store has a record of which every copy says that its
// seal is authenticated.
func hasFormat2(records []recordCopies) bool {
	for _, r := range records {
		old := len(r.frames) == 0
		for _, f := range r.frames {
			old = old || f.version < 2
		}
		if !old {
			return true
		}
	}
	return false
}

// ofTheseRecords reports whether a seal is the one that the records were sealed under.
func ofTheseRecords(f *sealFile, records []recordCopies, enough func(Protector) bool) bool {
	keys := f.keys()
	known, strange := false, false
	for _, r := range records {
		opens, lost, strongest := false, false, ProtectorNone
		for _, fr := range r.frames {
			_, inside := keys[fr.key]
			opens = opens || inside
			lost = lost || f.gaveUp(fr.key)
			strongest = max(strongest, fr.protector)
		}
		switch {
		case opens:
			known = true
		case len(r.frames) == 0:
		case !enough(strongest):
			return false
		case lost:
			known = true
		default:
			strange = true
		}
	}
	return known || !strange
}

// wrappedTogether reports whether one wrap holds both keys. Only somebody who knows
// both can make one that opens.
func (f *sealFile) wrappedTogether(a, b keyID) bool {
	for _, w := range f.Wraps {
		one := sealFile{Wraps: []wrap{w}}
		keys := one.keys()
		_, hasA := keys[a]
		_, hasB := keys[b]
		if hasA && hasB {
			return true
		}
	}
	return false
}
