package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// addEndpoints adds endpoints to the configuration file and returns its path. The new
// file is loaded before it replaces the old one, which is kept as a backup.
func (a *app) addEndpoints(cfg *config.Config, machine string, endpoints []config.Endpoint) (string, error) {
	path := configPath(cfg)
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) {
		c := &config.Config{Machines: []config.Machine{{Endpoints: endpoints}}}
		return path, a.replaceConfig(path, nil, []byte(config.FileText(c)))
	}
	if err != nil {
		return "", a.cannotWrite(path, err)
	}
	old, err := os.ReadFile(target)
	if err != nil {
		return "", a.cannotWrite(path, err)
	}
	text, err := config.AddEndpoints(old, machine, endpoints)
	if err != nil {
		return "", notAdded(path, err.Error())
	}
	return path, a.replaceConfig(target, old, text)
}

func notAdded(path, why string) *status.Problem {
	return status.NewProblem(status.CodeConfig, path+" was not changed: "+why).
		Advise("add the endpoint by hand, as peaqos-agent endpoints discover prints it")
}

// replaceConfig puts a new text into a configuration file: whole or not at all, with the
// owner and mode of the old one, and only if it can be loaded. old is the text that was
// read; nil means that there is no file yet.
func (a *app) replaceConfig(path string, old, text []byte) error {
	mode, owner := os.FileMode(0o644), [2]int{-1, -1}
	if info, err := os.Stat(path); err == nil {
		if old == nil {
			return notAdded(path, "it exists")
		}
		mode = info.Mode().Perm()
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			owner = [2]int{int(st.Uid), int(st.Gid)}
		}
	} else if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return a.cannotWrite(path, err)
	}
	temporary, err := writeBeside(path, text, mode, owner)
	if err != nil {
		return a.cannotWrite(path, err)
	}
	defer os.Remove(temporary)
	if err := a.loads(temporary, path); err != nil {
		return err
	}
	if old != nil {
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, old) {
			return notAdded(path, "somebody else changed it in this moment")
		}
		backup, err := writeBeside(path, old, mode, owner)
		if err == nil {
			err = os.Rename(backup, path+".bak")
		}
		if err != nil {
			return a.cannotWrite(path+".bak", err)
		}
	}
	if err := os.Rename(temporary, path); err != nil {
		return a.cannotWrite(path, err)
	}
	return syncDirectory(filepath.Dir(path))
}

// loads checks that a new file can be loaded, as the configuration that it will be.
func (a *app) loads(temporary, path string) error {
	_, err := config.Load(config.Source{Path: temporary, Env: a.env, Flags: a.flags()})
	var bad *config.Error
	if !errors.As(err, &bad) {
		return err
	}
	for i := range bad.Problems {
		if bad.Problems[i].File == temporary {
			bad.Problems[i].File = path
		}
	}
	return fmt.Errorf("%s was not changed, because the new one would not be valid: %w", path, bad)
}

// writeBeside writes a text to a new file in the directory of path, and returns its name.
func writeBeside(path string, text []byte, mode os.FileMode, owner [2]int) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode))
	if os.Geteuid() == 0 && owner[0] >= 0 {
		err = errors.Join(err, f.Chown(owner[0], owner[1]))
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return f.Name(), err
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// cannotWrite is the problem of a configuration file that cannot be written.
func (a *app) cannotWrite(path string, err error) error {
	if errors.Is(err, os.ErrPermission) && os.Geteuid() != 0 {
		return status.NewProblem(status.CodeNotPermitted, fmt.Sprintf("%s: %v", path, err)).Advise("run the command again with sudo").Wrap(err)
	}
	return status.NewProblem(status.CodeFile, fmt.Sprintf("%s: %v", path, err)).Wrap(err)
}
