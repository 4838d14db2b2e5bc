package keystore

import (
	"errors"
	"fmt"
	"strings"
)

// resetName is the file that says that a Reset has begun. While it is there, opening
// the store continues it.
const resetName = "reset"

// Reset deletes everything: first the keys, so that nothing can be opened any
// more, then the records. Afterwards the store is empty and usable. If it is
// interrupted, the next Open finishes it. It does not check whether the controller
// key has another copy.
func (s *Store) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.writable()
	}
	_ = s.dir.writeDurable(resetName, []byte("everything in this directory is being deleted\n")) // also with a full disk, everything is deleted
	if err := s.deleteAll(); err != nil {
		return fmt.Errorf("keystore: %w", err)
	}
	s.ring.wipe()
	s.seal, s.sealErr, s.weaker, s.foreign, s.differs, s.prepared = nil, nil, nil, nil, nil, nil
	return nil
}

// finishReset deletes everything if a Reset has begun.
func (s *Store) finishReset() error {
	if !s.dir.exists(resetName) {
		return nil
	}
	return s.deleteAll()
}

// deleteAll deletes the seal, then the records, and last the file that says that a
// Reset has begun.
func (s *Store) deleteAll() error {
	files, err := s.dir.list()
	if err != nil {
		return err
	}
	base := func(file string) string { name, _, _ := strings.Cut(file, "."); return name }
	for _, part := range []func(string) bool{
		func(f string) bool { return base(f) == sealName },
		func(f string) bool { return base(f) == probeName || isRecord(base(f)) || f == resetName+tempSuffix },
	} {
		var faults []error
		for _, f := range files {
			if part(f) {
				faults = append(faults, s.dir.scrub(f))
			}
		}
		if err := errors.Join(append(faults, s.dir.sync())...); err != nil {
			return err
		}
	}
	return errors.Join(s.dir.scrub(resetName), s.dir.sync())
}
