package keystore

// What the tests of package keystore_test need in addition to the exported API.

// UnfinishedReseal reports whether the seal file still has wraps of an older key.
func (s *Store) UnfinishedReseal() bool { return s.seal.unfinished() }

// DropController removes the controller key.
func (s *Store) DropController() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drop(controllerName)
}

// WeakenSeal writes a seal file in which the current key is protected by the key
// file only.
func (s *Store) WeakenSeal() error {
	w, err := newWrap(ProtectorKeyFile, nil, []*storeKey{s.ring.current()})
	if err != nil {
		return err
	}
	return s.saveSeal(&sealFile{Store: s.seal.Store, Wraps: []wrap{w}})
}

// TextHash is the EIP-191 hash of a text.
func TextHash(text string) []byte { return textHash(text) }

// ReadPassphraseFile is readPassphraseFile.
func ReadPassphraseFile(path string) ([]byte, error) { return readPassphraseFile(path) }
