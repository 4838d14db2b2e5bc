package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// handover is where a secret goes that leaves this program: a new file that only its
// owner reads, or a pipe. A terminal, which remembers what it showed, is refused.
type handover struct {
	out  io.Writer
	file *os.File // nil for standard output
}

// openHandover proves that the place takes something before the secret exists.
func (a *app) openHandover(path string) (*handover, error) {
	if path == "-" {
		if isTerminal(a.out) {
			return nil, status.NewProblem(status.CodeTerminal, "")
		}
		return &handover{out: a.out}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, status.NewProblem(status.CodeFileExists, path+" is not overwritten").Wrap(err)
	}
	if err != nil {
		return nil, status.NewProblem(status.CodeFile, err.Error()).Wrap(err)
	}
	return &handover{out: f, file: f}, nil
}

// write hands the secret over, for good when it is a file.
func (h *handover) write(secret []byte) error {
	_, err := h.out.Write(secret)
	if err != nil || h.file == nil {
		return err
	}
	return errors.Join(h.file.Sync(), syncDir(filepath.Dir(h.file.Name())))
}

// close ends it; a file without its secret is removed.
func (h *handover) close(done bool) {
	if h.file == nil {
		return
	}
	_ = h.file.Close()
	if !done {
		_ = os.Remove(h.file.Name())
	}
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), d.Close())
	}
	return d.Close()
}
