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
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

// asleep is a machine that was off for two years: to its clock, the orchestrator's
// certificate is not valid yet, and the authority has been replaced. Once the clock and
// orchestrator.ca_file are right it is online within one interval, as the same agent.
func asleep(h *harness, r *row) {
	h.inWorlds(r, h.pick(1, 5), func(w *world, _ int) (attempt, error) {
		a := attempt{what: "two years"}
		caFile := filepath.Join(filepath.Dir(w.config), "ca.pem")
		before, err := newAuthority()
		if err != nil {
			return a, err
		}
		after, err := newAuthority()
		if err != nil {
			return a, err
		}
		now := time.Now()
		err = errors.Join(os.WriteFile(caFile, before.pem, 0o644), w.present(before, now), w.serveTLS(),
			w.writeConfig(lab.Config{Orchestrator: w.origin, OrchestratorKeys: "ca_file: " + caFile}))
		if err != nil {
			return a, err
		}
		enrolled, err := w.enroll()
		if err != nil {
			return a, err
		}
		// What the clock of the machine is behind, the certificates of the server are ahead.
		if err := w.present(after, now.AddDate(2, 0, 0)); err != nil {
			return a, err
		}
		d, err := w.run()
		if err != nil {
			return a, err
		}
		defer d.kill()
		shows := func(texts ...string) error {
			return lab.Until(h.ctx, 20*time.Second, strings.Join(texts, " or "), func() bool {
				o, err := w.runCommand(nil, "status")
				for _, text := range texts {
					if err == nil && strings.Contains(o.Stdout, text) {
						return true
					}
				}
				return false
			})
		}
		if err := w.untilAdmin(); err != nil {
			return a, err
		}
		early := shows("not valid yet", "not yet valid", "clock")
		if err := w.present(after, now); err != nil {
			return a, err
		}
		replaced := shows("unknown authority")
		a.landed = early == nil && replaced == nil
		if err := os.WriteFile(caFile, after.pem, 0o644); err != nil {
			return a, err
		}
		const interval = 2 * time.Second // a third of the lease
		beats, since := w.sandbox.Beats(), time.Now()
		if err := lab.Until(h.ctx, 20*time.Second, "a heartbeat", func() bool { return w.sandbox.Beats() > beats }); err != nil {
			a.halves, a.why = 1, err.Error()
		} else if took := time.Since(since); took > 2*interval {
			a.halves, a.why = 1, fmt.Sprintf("online after %s", took)
		}
		d.kill()
		left, err := w.look()
		if err == nil && left.agent != enrolled.AgentID {
			a.lost, a.why = 1, fmt.Sprintf("the store holds agent %s, want %s", left.agent, enrolled.AgentID)
		}
		if err != nil {
			return a, err
		}
		f, err := w.settle(true)
		if a.good() {
			a.finding = f
		}
		return a, err
	})
	r.how = "the orchestrator's certificate begins in two years, then it is valid and of an authority that is not known, then ca_file is replaced " +
		"under the running agent: the cause is shown each time, and the agent is online within two intervals of 2 s, as before"
}

// authority signs the certificates of an orchestrator.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial := big.NewInt(time.Now().UnixNano())
	form := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "authority " + serial.String()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(10, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, err
}

// present gives the world a certificate that begins at a time.
func (w *world) present(a *authority, from time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(w.address)
	if err != nil {
		return err
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "orchestrator"}, IPAddresses: []net.IP{net.ParseIP(host)},
		NotBefore: from.Add(-time.Hour), NotAfter: from.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, a.cert, key.Public(), a.key)
	w.certificate.Store(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	return err
}

// serveTLS closes the world's plain server and serves the same address with TLS.
func (w *world) serveTLS() error {
	w.origin = "https://" + w.address
	return w.sever()
}
