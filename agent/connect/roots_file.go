package connect

import (
	"crypto/x509"
	"sync"
)

// RootsFile is a file of CA certificates that is read when it is needed, and again when
// it has changed.
type RootsFile struct {
	path string

	mu    sync.Mutex
	state fileState // of the file that roots was read from
	roots *x509.CertPool
}

// NewRootsFile does not read the file yet.
func NewRootsFile(path string) *RootsFile { return &RootsFile{path: path} }

// Pool returns the system's roots and those of the file. A file is never used in part;
// the error says why it cannot be used, without its path.
func (f *RootsFile) Pool() (*x509.CertPool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := stateOf(f.path)
	if f.roots != nil && !now.missing && now == f.state {
		return f.roots, nil
	}
	roots, err := readRoots(f.path)
	if err != nil {
		return nil, err
	}
	f.state, f.roots = now, roots
	return roots, nil
}
