package sandbox

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const (
	defaultLease        = 90 * time.Second
	maxLease            = 24 * time.Hour
	defaultChallengeTTL = 5 * time.Minute
	defaultSessionTTL   = 24 * time.Hour
	defaultQuoteTTL     = 10 * time.Minute
)

// Option sets up a server. What an option cannot accept is an error of [Open].
type Option func(*Server) error

// WithAPIKey asks for this key on platform calls; may be given more than once.
// With none the API is open. An empty key is refused, because it would let
// everyone in while looking like a lock.
func WithAPIKey(key string) Option {
	return func(s *Server) error {
		if key == "" {
			return errors.New("sandbox: an API key must not be empty")
		}
		s.apiKeys = append(s.apiKeys, sha256.Sum256([]byte(key)))
		return nil
	}
}

// WithController names the address that controls an identity: ref is a decimal
// DID (did:peaq:42), its alias (peaqos:machine:42) or "" for every decimal
// identity without a controller of its own. Given again for the same identity it
// adds a further controller. An identity of the form did:peaq:0x<address> is
// controlled by that address and takes none.
func WithController(ref, address string) Option {
	return func(s *Server) error {
		if !isAddress(address) {
			return notAnAddress(address)
		}
		key, err := controllerRef(ref)
		if err == nil {
			s.controllers[key] = append(s.controllers[key], address)
		}
		return err
	}
}

// WithLeaseMax grants no lease longer than d: 1 s to 24 h, in whole seconds.
func WithLeaseMax(d time.Duration) Option {
	return func(s *Server) error {
		s.leaseMax = d
		return between("the longest lease", d, time.Second, maxLease)
	}
}

// WithChallengeTTL sets the life of a challenge, of machines and of agents alike:
// 1 ms to 24 h, 5 min without this option.
func WithChallengeTTL(d time.Duration) Option {
	return func(s *Server) error {
		s.challengeTTL = d
		return between("the life of a challenge", d, time.Millisecond, 24*time.Hour)
	}
}

// WithSessionTTL sets the life of a pairing token: 1 ms to a year, 24 h without
// this option.
func WithSessionTTL(d time.Duration) Option {
	return func(s *Server) error {
		s.sessionTTL = d
		return between("the life of a session", d, time.Millisecond, 366*24*time.Hour)
	}
}

// WithQuoteTTL sets the life of a quote: 1 ms to 24 h, 10 min without this option.
func WithQuoteTTL(d time.Duration) Option {
	return func(s *Server) error {
		s.quoteTTL = d
		return between("the life of a quote", d, time.Millisecond, 24*time.Hour)
	}
}

// WithPairingKey asks for the API key on pairing calls too. Without it a pairing
// token alone opens them, which lets clients before 0.12.1 in (contract §1.3).
func WithPairingKey() Option {
	return func(s *Server) error { s.pairingNeedsKey = true; return nil }
}

// WithEnforcedRails refuses a payment rail that the service does not list
// (contract §1.3).
func WithEnforcedRails() Option {
	return func(s *Server) error { s.enforceRails = true; return nil }
}

// WithStateFile keeps the state in a file, so that the server can be stopped and
// started. It is read by [Open], or begun when it does not exist, and is written
// durably before a change is answered; heartbeats are written about once a second.
func WithStateFile(path string) Option {
	return func(s *Server) error { s.stateFile = path; return nil }
}

// WithRPC names the JSON-RPC address where payments on a chain are looked up;
// chain "" stands for every chain without one of its own. Without any, a proof in
// mode rpc is refused with PAYMENT_RPC_REQUIRED.
func WithRPC(chain, address string) Option {
	return func(s *Server) error {
		u, err := url.Parse(address)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return fmt.Errorf("sandbox: the RPC address %q is not an http or https URL", address)
		}
		s.rpc[chain] = address
		return nil
	}
}

// WithOutbound replaces the transport by which the sandbox calls a machine's
// published endpoint or a chain's RPC address. Without it real HTTP is used,
// which refuses link-local and other addresses no machine can publish.
func WithOutbound(t http.RoundTripper) Option {
	return func(s *Server) error { s.outbound = t; return nil }
}

// WithScenario plays a script of faults from the start (see [Scenario]).
func WithScenario(script Script) Option {
	return func(s *Server) error { return s.Play(script) }
}

func between(what string, d, lowest, highest time.Duration) error {
	if d < lowest || d > highest {
		return fmt.Errorf("sandbox: %s must be between %v and %v, not %v", what, lowest, highest, d)
	}
	return nil
}
