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

// saving is the state of writing the state file. Its lock is taken before the server's, never
// after.
type saving struct {
	mu         sync.Mutex
	generation uint64    // the last one in the file
	at         time.Time // time of the last snapshot
	took       time.Duration

	errMu sync.Mutex
	err   error
}

func (v *saving) lastError() error {
	v.errMu.Lock()
	defer v.errMu.Unlock()
	return v.err
}

// persist writes the state file if the state has changed. must waits for the write; otherwise it is
// best effort and limited in rate. Calls that wait for each other share one snapshot: the second
// finds its change already written.
func (s *Server) persist(must bool) {
	if s.stateFile == "" {
		return
	}
	if must {
		s.save.mu.Lock()
	} else if !s.save.mu.TryLock() {
		return // a snapshot is being written; a later heartbeat triggers the next one
	}
	defer s.save.mu.Unlock()
	begun := time.Now()
	s.mu.Lock()
	generation := s.generation
	if generation == s.save.generation || (!must && !s.due()) {
		s.mu.Unlock()
		return
	}
	b, err := marshal(&s.st)
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

// due reports whether heartbeats alone justify a snapshot: once a second, less often when writing
// is slow.
func (s *Server) due() bool {
	return time.Since(s.save.at) >= max(time.Second, 20*s.save.took)
}

// writeDurably replaces a file so that after a power cut it has either the old or the new content,
// never a part: temporary file, sync, rename, sync of the directory.
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

// load reads the state file, if it exists. A file that cannot be read is never overwritten: the
// server does not start.
func (s *Server) load() error {
	if s.stateFile == "" {
		return nil
	}
	b, err := os.ReadFile(s.stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		s.generation++
		s.persist(true) // fails now if the file cannot be written
		return s.save.lastError()
	}
	if err != nil {
		return fmt.Errorf("the sandbox's state file cannot be read: %w", err)
	}
	st := newState()
	st.Version, st.SessionKey = 0, nil
	if err := json.Unmarshal(b, &st); err != nil {
		return fmt.Errorf("the sandbox's state file %s is damaged: %w; move it away to start over", s.stateFile, err)
	}
	if st.Version != stateVersion || len(st.SessionKey) != 32 {
		return fmt.Errorf(
			"the sandbox's state file %s has version %d, but this program reads version %d; move it away to start over",
			s.stateFile, st.Version, stateVersion,
		)
	}
	st.marketState.resume()
	st.streamState.resume()
	s.st = st
	s.reindex()
	return nil
}
