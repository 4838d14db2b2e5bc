package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// The files in the directory of --tls. The CA is kept across restarts, so that devices continue to
// trust it. The server's own certificate is created at each start and never stored.
const (
	caFile    = "sandbox-ca.pem"
	caKeyFile = "sandbox-ca.key"

	caLifetime     = 5 * 365 * 24 * time.Hour
	serverLifetime = 365 * 24 * time.Hour
	// backdated allows for devices whose clock is a little behind.
	backdated = 24 * time.Hour
)

func certificateProblem(dir string, err error) error {
	return status.NewProblem(status.CodeTLSDir, err.Error()).Advise("check the directory " + dir + ", or empty it to start over")
}

// serverCertificate creates a certificate for the names, signed by the directory's CA, which is
// created if it does not exist.
func serverCertificate(dir string, names []string) (tls.Certificate, error) {
	ca, caKey, err := authority(dir)
	if err != nil {
		return tls.Certificate{}, certificateProblem(dir, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := newTemplate("peaqOS sandbox", serverLifetime)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		return tls.Certificate{}, certificateProblem(dir, err)
	}
	return tls.Certificate{Certificate: [][]byte{der, ca.Raw}, PrivateKey: key}, nil
}

func newTemplate(name string, lifetime time.Duration) *x509.Certificate {
	now := time.Now()
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-backdated), NotAfter: now.Add(lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
}

// authority reads the directory's CA or creates one. If only one of its two files exists, that is
// an error, because devices may trust the CA.
func authority(dir string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certificate, errC := os.ReadFile(filepath.Join(dir, caFile))
	key, errK := os.ReadFile(filepath.Join(dir, caKeyFile))
	if errors.Is(errC, fs.ErrNotExist) && errors.Is(errK, fs.ErrNotExist) {
		return newAuthority(dir)
	}
	if err := errors.Join(errC, errK); err != nil {
		return nil, nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, nil, err
	}
	private, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA || time.Now().After(pair.Leaf.NotAfter) {
		return nil, nil, errors.New(caFile + " is not a sandbox CA, or has expired")
	}
	return pair.Leaf, private, nil
}

func newAuthority(dir string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := newTemplate("peaqOS sandbox authority", caLifetime)
	template.IsCA, template.MaxPathLenZero = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	err = errors.Join(
		os.MkdirAll(dir, 0o700),
		writePEM(filepath.Join(dir, caKeyFile), "PRIVATE KEY", private, 0o600),
		writePEM(filepath.Join(dir, caFile), "CERTIFICATE", der, 0o644),
	)
	if err != nil {
		return nil, nil, err
	}
	ca, err := x509.ParseCertificate(der)
	return ca, key, err
}

func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
