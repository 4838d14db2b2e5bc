package agent

import (
	"crypto/x509"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// faultyTransport fails every request with one error, until it has none.
type faultyTransport struct {
	next  http.RoundTripper
	fault atomic.Pointer[error]
	sent  atomic.Int64
}

func (f *faultyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	f.sent.Add(1)
	if err := f.fault.Load(); err != nil {
		return nil, *err
	}
	return f.next.RoundTrip(r)
}

func (f *faultyTransport) become(err error) {
	if err == nil {
		f.fault.Store(nil)
		return
	}
	f.fault.Store(&err)
}

// TestAsleepForTwoYears: a machine that was in a warehouse has a clock that is behind, so
// that the server's certificate is not valid yet, and then an authority that was replaced.
// Its token is kept, and it is online within one interval of the last of them being right.
func TestAsleepForTwoYears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		enrolled := l.mustEnroll().AgentID
		l.close()
		time.Sleep(2 * 365 * 24 * time.Hour)

		server := &faultyTransport{next: l.server.Transport()}
		l.transport = server
		l.open()
		server.become(x509.CertificateInvalidError{
			Reason: x509.Expired, Cert: &x509.Certificate{NotBefore: time.Now().AddDate(2, 0, 0), NotAfter: time.Now().AddDate(3, 0, 0)},
		})
		l.start()
		time.Sleep(time.Hour)
		if m := l.status(); status.CodeOf(m.Cause) != status.CodeClock && status.CodeOf(m.Cause) != status.CodeTLSNotYet {
			t.Errorf("with a clock that is behind: %+v", m.Cause)
		}
		server.become(x509.UnknownAuthorityError{})
		time.Sleep(time.Hour)
		l.want(status.Offline, status.CodeUnknownCA)
		server.become(nil)
		time.Sleep(30 * time.Second)
		l.want(status.Online, "")
		if m := l.status(); m.AgentID != enrolled || len(l.activeAgents()) != 1 {
			t.Errorf("agent %s, active %v, want %s alone", m.AgentID, l.activeAgents(), enrolled)
		}
	})
}

// TestDeniedForADay: a refusal that lasts costs at most 30 requests a day, the agent does
// not end, and it is online again within one pause after the server's answer changes.
func TestDeniedForADay(t *testing.T) {
	for _, fault := range []sandbox.Fault{
		{Status: 403, Code: "AGENT_POLICY_DENIED"},
		{Status: 403, Code: "AGENT_PAIRING_INACTIVE"},
	} {
		t.Run(fault.Code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				defer func() { l.close() }()
				server := &faultyTransport{next: l.server.Transport()}
				l.transport = server
				l.reopen()
				enrolled := l.mustEnroll().AgentID
				l.start()
				time.Sleep(5 * time.Minute)
				l.want(status.Online, "")
				l.server.SetFault(always(&fault))
				time.Sleep(5 * time.Minute)
				before := server.sent.Load()
				time.Sleep(24 * time.Hour)
				if n := server.sent.Load() - before; n == 0 || n > 30 {
					t.Errorf("%d requests in a day of refusals, want 1 to 30", n)
				}
				l.server.SetFault(nil)
				time.Sleep(2 * time.Hour)
				l.want(status.Online, "")
				if m := l.status(); m.AgentID != enrolled {
					t.Errorf("agent %s, want %s", m.AgentID, enrolled)
				}
			})
		})
	}
}
