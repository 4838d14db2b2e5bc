package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// secretOutput is where a secret leaves this program: a new file with mode 0600, or a
// pipe. A terminal is refused, because it keeps what it showed.
type secretOutput struct {
	out  io.Writer
	file *os.File // nil for standard output
	keep bool     // close does not remove the file
}

// openSecretOutput opens the output before the secret exists, so that a path that
// cannot be written costs nothing.
func (a *app) openSecretOutput(path string) (*secretOutput, error) {
	if path == "-" {
		if isTerminal(a.out) {
			return nil, status.NewProblem(status.CodeTerminal, "")
		}
		if err := privateOutput(a.out); err != nil {
			return nil, err
		}
		return &secretOutput{out: a.out}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, status.NewProblem(status.CodeFileExists, path+" is not overwritten").Wrap(err)
	}
	if err != nil {
		return nil, status.NewProblem(status.CodeFile, err.Error()).Wrap(err)
	}
	return &secretOutput{out: f, file: f}, nil
}

// privateOutput refuses standard output that is a file which others can read: the shell
// made it with its own mode.
func privateOutput(out io.Writer) error {
	f, ok := out.(*os.File)
	if !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return status.NewProblem(status.CodeFile, err.Error()).Wrap(err)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return status.NewProblem(status.CodeFile, fmt.Sprintf("standard output is a file that others can read (mode %04o)", info.Mode().Perm())).
			Advise("name the file instead of -, or run umask 077 first")
	}
	return nil
}

// write writes the secret, durably if the output is a file.
func (o *secretOutput) write(secret []byte) error {
	_, err := o.out.Write(secret)
	if err != nil || o.file == nil {
		return err
	}
	return errors.Join(o.file.Sync(), syncDir(filepath.Dir(o.file.Name())))
}

// close closes the file, and removes it unless keep was set: a command that failed
// leaves no file behind.
func (o *secretOutput) close() {
	if o.file == nil {
		return
	}
	_ = o.file.Close()
	if !o.keep {
		_ = os.Remove(o.file.Name())
	}
}

// syncDir makes the directory's entries durable.
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
