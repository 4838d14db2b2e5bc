package agent

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
)

// maxCAFile is the length in bytes of the largest CA file; the bundle of a whole
// operating system is a quarter of it.
const maxCAFile = 1 << 20

// caFile is a file of CA certificates that is read when it is needed and again when it
// has changed.
type caFile struct {
	path string

	mu    sync.Mutex
	read  os.FileInfo // of the file that roots was read from
	roots *x509.CertPool
}

// pool returns the system's CA certificates and those of the file.
func (f *caFile) pool() (*x509.CertPool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if f.roots != nil && os.SameFile(f.read, now) && f.read.ModTime().Equal(now.ModTime()) && f.read.Size() == now.Size() {
		return f.roots, nil
	}
	certificates, err := readCertificates(f.path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, c := range certificates {
		pool.AddCert(c)
	}
	f.read, f.roots = now, pool
	return pool, nil
}

// readCertificates reads every certificate of a regular file, or reports why one of
// them cannot be used: a bundle is never used in part.
func readCertificates(path string) ([]*x509.Certificate, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // the flag keeps a pipe from blocking
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(file, maxCAFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxCAFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxCAFile)
	}
	return parseCertificates(text)
}

// parseCertificates parses PEM, with any text around the blocks, or DER.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // a byte order mark
	const begin = "-----BEGIN "
	if !bytes.Contains(text, []byte(begin)) {
		found, err := x509.ParseCertificates(text)
		if err != nil || len(found) == 0 {
			return nil, errors.New("it contains no certificate, neither as PEM nor as DER")
		}
		return found, nil
	}
	var out []*x509.Certificate
	blocks := bytes.Count(text, []byte(begin))
	for n := 1; n <= blocks; n++ {
		block, rest := pem.Decode(text)
		if block == nil || bytes.Count(rest, []byte(begin)) != blocks-n {
			return nil, fmt.Errorf("block %d of %d is damaged or cut off", n, blocks)
		}
		text = rest
		if block.Type != "CERTIFICATE" && block.Type != "X509 CERTIFICATE" {
			return nil, fmt.Errorf("block %d is %.40q, not a certificate; remove it", n, block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %.120q", n, err.Error())
		}
		out = append(out, c)
	}
	return out, nil
}
