package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxConfigFile bounds the file; a gateway of a thousand machines needs a third.
const maxConfigFile = 1 << 20

// readFile finds the file, reads it and hands its text to the YAML reader.
func (l *loader) readFile(src Source, env map[string]string) {
	path, named := src.Path, true
	if path == "" {
		path = env[envConfig]
	}
	if path == "" {
		path, named = src.defaultPath, false
		if path == "" {
			path = DefaultPath
		}
	}
	f, err := os.Open(path)
	if !named && errors.Is(err, fs.ErrNotExist) {
		return
	}
	l.file, l.config.Path = path, path
	if abs, err := filepath.Abs(path); err == nil {
		l.dir = filepath.Dir(abs)
	}
	var text []byte
	if err == nil {
		defer f.Close()
		text, err = io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	}
	switch {
	case err != nil:
		l.unread = true
		l.faultAt(Origin{Name: path}, "", "cannot be read: "+cause(err)+"; check the path and its mode, or name another with --config")
	case len(text) > maxConfigFile:
		l.unread = true
		l.faultAt(Origin{Name: path}, "", fmt.Sprintf("is larger than %d bytes; this does not look like a configuration", maxConfigFile))
	default:
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o002 != 0 {
			l.warn("%s can be written by every user of this machine, who could send the agent elsewhere; chmod o-w it", path)
		}
		l.readYAML(text)
	}
}

// cause is a file error without the path, which is said already.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
