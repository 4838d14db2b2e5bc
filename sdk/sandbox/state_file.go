package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// saving is the state file's side of the server. Its lock is taken before the
// server's, never after.
type saving struct {
	mu         sync.Mutex
	generation uint64    // the newest one that is in the file
	at         time.Time // of the newest snapshot
	took       time.Duration

	errMu sync.Mutex
	err   error
}

func (v *saving) lastError() error {
	v.errMu.Lock()
	defer v.errMu.Unlock()
	return v.err
}

// persist writes the state when it must be kept. Calls that wait for each other
// share one snapshot: whoever comes second finds its change written already.
func (s *Server) persist(must bool) {
	if s.stateFile == "" {
		return
	}
	if must {
		s.save.mu.Lock()
	} else if !s.save.mu.TryLock() {
		return // a snapshot is being written; a later beat takes the next one
	}
	defer s.save.mu.Unlock()
	begun := time.Now()
	s.mu.Lock()
	generation := s.generation
	if generation == s.save.generation || (!must && !s.due()) {
		s.mu.Unlock()
		return
	}
	b, err := json.Marshal(&s.st)
	s.mu.Unlock()
	if err == nil {
		err = writeDurably(s.stateFile, b)
	}
	s.save.at, s.save.took = time.Now(), time.Since(begun)
	if err == nil {
		s.save.generation = generation
	} else {
		err = fmt.Errorf("the sandbox's state file cannot be written: %w", err)
	}
	s.save.errMu.Lock()
	s.save.err = err
	s.save.errMu.Unlock()
}

// due says whether heartbeats alone are worth a snapshot: once a second, less
// often when writing takes long.
func (s *Server) due() bool {
	return time.Since(s.save.at) >= max(time.Second, 20*s.save.took)
}

// writeDurably replaces a file so that after a power cut there is the old
// content or the new one, never a part: temporary file, sync, rename, sync of the
// directory.
func writeDurably(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	temp := f.Name()
	_, err = f.Write(b)
	if err := errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// load reads the state file, if there is one. A file that cannot be read is never
// overwritten: the server does not start.
func (s *Server) load() error {
	if s.stateFile == "" {
		return nil
	}
	b, err := os.ReadFile(s.stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		s.generation++
		s.persist(true) // so that a place that cannot be written is known now
		return s.save.lastError()
	}
	if err != nil {
		return fmt.Errorf("the sandbox's state file cannot be read: %w", err)
	}
	st := newState()
	st.Version, st.SessionKey = 0, nil
	if err := json.Unmarshal(b, &st); err != nil {
		return fmt.Errorf("the sandbox's state file %s is damaged: %w; move it away to begin anew", s.stateFile, err)
	}
	if st.Version != stateVersion || len(st.SessionKey) != 32 {
		return fmt.Errorf("the sandbox's state file %s is of version %d, this program reads %d; move it away to begin anew", s.stateFile, st.Version, stateVersion)
	}
	st.resume()
	s.st = st
	s.reindex()
	return nil
}
