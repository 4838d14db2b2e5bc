package connect

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// maxBundle is the largest file of trust, in bytes: the bundle of a distribution has
// 250 KB.
const maxBundle = 4 << 20

// The keys of the configuration that name files of trust.
const (
	KeyCAFile         = "orchestrator.ca_file"
	KeyClientCertFile = "orchestrator.client_cert_file"
	KeyClientKeyFile  = "orchestrator.client_key_file"
)

// fileState identifies the content of a file without reading it.
type fileState struct {
	dev, ino uint64
	size     int64
	modified time.Time
	changed  syscall.Timespec
	missing  bool
}

func stateOf(path string) fileState {
	if path == "" {
		return fileState{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return fileState{missing: true}
	}
	s := fileState{size: info.Size(), modified: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.dev, s.ino, s.changed = uint64(sys.Dev), sys.Ino, sys.Ctim
	}
	return s
}

// material is what the files of trust contain.
type material struct {
	roots  *x509.CertPool // nil: the system's
	client *tls.Certificate
}

// read reads every file that is named. The error is a *FileError.
func (o Options) read() (material, error) {
	var m material
	var err error
	if o.CAFile != "" {
		if m.roots, err = readRoots(o.CAFile); err != nil {
			return material{}, &FileError{KeyCAFile, o.CAFile, err}
		}
	}
	if o.ClientCertFile == "" && o.ClientKeyFile == "" {
		return m, nil
	}
	switch {
	case o.ClientCertFile == "":
		return material{}, &FileError{KeyClientCertFile, "", errors.New("is not set, but " + KeyClientKeyFile + " is")}
	case o.ClientKeyFile == "":
		return material{}, &FileError{KeyClientKeyFile, "", errors.New("is not set, but " + KeyClientCertFile + " is")}
	}
	m.client, err = o.readClient()
	return m, err
}

// readRoots returns the system's roots and those of one more file.
func readRoots(path string) (*x509.CertPool, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	certs, err := ParseBundle(data)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	return pool, nil
}

func (o Options) readClient() (*tls.Certificate, error) {
	chain, err := readFile(o.ClientCertFile)
	if err != nil {
		return nil, &FileError{KeyClientCertFile, o.ClientCertFile, err}
	}
	certs, err := ParseBundle(chain)
	if err != nil {
		return nil, &FileError{KeyClientCertFile, o.ClientCertFile, err}
	}
	read := o.ReadSecret
	if read == nil {
		read = readFile
	}
	key, err := read(o.ClientKeyFile)
	if err != nil {
		return nil, &FileError{KeyClientKeyFile, o.ClientKeyFile, withoutPath(err)}
	}
	defer clear(key)
	if strings.Contains(string(key), "ENCRYPTED") {
		return nil, &FileError{KeyClientKeyFile, o.ClientKeyFile, errors.New("is encrypted with a passphrase; give a key without one, readable by this user only")}
	}
	pair, err := tls.X509KeyPair(encode(certs), key)
	if err != nil {
		return nil, &FileError{KeyClientKeyFile, o.ClientKeyFile, errors.New("is not the PEM private key of the first certificate in " + KeyClientCertFile)}
	}
	return &pair, nil
}

// readFile reads a regular file. Its errors do not repeat the path.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // the flag keeps a pipe from blocking
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxBundle+1))
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case len(data) > maxBundle:
		return nil, fmt.Errorf("is larger than %d bytes", maxBundle)
	}
	return data, nil
}

func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("cannot be read: %w", path.Err)
	}
	return err
}

// NoSystemRoots reports whether the system has no root certificates, as an image made
// from scratch.
func NoSystemRoots() bool {
	pool, err := x509.SystemCertPool()
	return err != nil || pool.Equal(x509.NewCertPool())
}
