package sandbox

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	defaultLease        = 90 * time.Second
	maxLease            = 24 * time.Hour
	defaultChallengeTTL = 5 * time.Minute
	defaultSessionTTL   = 24 * time.Hour
	defaultQuoteTTL     = 10 * time.Minute
)

// Option configures a server. [Open] returns an error for an invalid one.
type Option func(*Server) error

// WithAPIKey makes platform calls require this key; repeat it for several keys. Without it the API
// is open. An empty key is an error, because it would look like protection and admit everyone.
func WithAPIKey(key string) Option {
	return func(s *Server) error {
		if key == "" {
			return errors.New("sandbox: an API key must not be empty")
		}
		s.apiKeys = append(s.apiKeys, sha256.Sum256([]byte(key)))
		return nil
	}
}

// WithController sets the address that controls an identity. ref is a decimal DID (did:peaq:42),
// its alias (peaqos:machine:42) or "", which means every decimal identity without a controller of
// its own. Repeating it for the same identity adds a controller. An identity of the form
// did:peaq:0x<address> is always controlled by that address.
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

// The values of [WithIdentityRefs].
const (
	RefsAny     = "any"
	RefsDecimal = "decimal"
)

// WithIdentityRefs sets which generation of identities the server accepts. RefsAny, the default,
// accepts decimal DIDs (did:peaq:42) and the addresses of the first generation (did:peaq:0x…).
// RefsDecimal rejects the latter with VALIDATION_ERROR.
func WithIdentityRefs(generation string) Option {
	return func(s *Server) error {
		if generation != RefsAny && generation != RefsDecimal {
			return fmt.Errorf("sandbox: unknown identity references %.100q; valid values: %s, %s", generation, RefsAny, RefsDecimal)
		}
		s.decimalRefs = generation == RefsDecimal
		return nil
	}
}

// NoController is the address that a challenge names as the controller of an identity that
// [WithTrustFirstSigner] has not bound yet.
const NoController = "0x0000000000000000000000000000000000000000"

// WithTrustFirstSigner binds an identity without a controller to the address that first proves it by
// a signature, for as long as its machine is registered. Until then a challenge names [NoController],
// because clients need at least one address. For trials only: anyone can claim any identity.
func WithTrustFirstSigner() Option {
	return func(s *Server) error { s.trustFirst = true; return nil }
}

// WithHosts adds names under which browsers may open the status page and the admin interface, in
// addition to localhost and IP addresses. A request for another host is rejected, so that no web page
// can read them by rebinding its own name to this computer.
func WithHosts(names ...string) Option {
	return func(s *Server) error { s.hosts = append(s.hosts, names...); return nil }
}

// WithoutLoopbackCalls makes the server refuse to call endpoints and RPC servers on loopback
// addresses, for a server that other computers can reach: their users could otherwise make it send
// requests to services on its own computer. It has no effect on a transport of [WithOutbound].
func WithoutLoopbackCalls() Option {
	return func(s *Server) error { s.outbound = outboundTransport(false); return nil }
}

// WithLeaseMax limits leases to d: 1 s to 24 h, in whole seconds.
func WithLeaseMax(d time.Duration) Option {
	return func(s *Server) error {
		s.leaseMax = d
		return between("the longest lease", d, time.Second, maxLease)
	}
}

// WithChallengeTTL sets the lifetime of challenges, for machines and agents: 1 ms to 24 h, default
// 5 min.
func WithChallengeTTL(d time.Duration) Option {
	return func(s *Server) error {
		s.challengeTTL = d
		return between("the lifetime of a challenge", d, time.Millisecond, 24*time.Hour)
	}
}

// WithSessionTTL sets the lifetime of pairing tokens: 1 ms to a year, default 24 h.
func WithSessionTTL(d time.Duration) Option {
	return func(s *Server) error {
		s.sessionTTL = d
		return between("the lifetime of a session", d, time.Millisecond, 366*24*time.Hour)
	}
}

// WithQuoteTTL sets the lifetime of quotes: 1 ms to 24 h, default 10 min.
func WithQuoteTTL(d time.Duration) Option {
	return func(s *Server) error {
		s.quoteTTL = d
		return between("the lifetime of a quote", d, time.Millisecond, 24*time.Hour)
	}
}

// WithPairingKey makes pairing calls require the API key in addition to the pairing token. By
// default the token alone is enough, which admits clients before 0.12.1 (contract §1.3).
func WithPairingKey() Option {
	return func(s *Server) error { s.pairingNeedsKey = true; return nil }
}

// WithEnforcedRails rejects a payment rail that the service does not list (contract §1.3).
func WithEnforcedRails() Option {
	return func(s *Server) error { s.enforceRails = true; return nil }
}

// WithPresenceOptIn makes the presence service refuse a machine that has not opted in.
func WithPresenceOptIn() Option {
	return func(s *Server) error { s.presenceNeedsOptIn = true; return nil }
}

// WithRegistry sets the chain and the MachineRegistry contract that opt-ins are signed for. The
// default is that of peaq mainnet.
func WithRegistry(chainID uint64, address string) Option {
	return func(s *Server) error {
		if !isAddress(address) {
			return notAnAddress(address)
		}
		s.contracts = contracts{chainID, strings.ToLower(address)}
		return nil
	}
}

// WithNotificationReplay makes each new control socket get the machine's last n notifications
// again, as a server might that does not know what arrived.
func WithNotificationReplay(n int) Option {
	return func(s *Server) error {
		s.replay = n
		if n < 0 || n > socketQueue/2 {
			return fmt.Errorf("sandbox: at most %d notifications can be replayed", socketQueue/2)
		}
		return nil
	}
}

// The values of [WithPaging].
const (
	PagingOffset   = "offset"
	PagingSequence = "sequence"
)

// WithPaging sets how lists are cut into pages. PagingOffset, the default, does what the published
// cursors of the real service show ({"v":1,"offset":2} in base64url): an item that is inserted or
// removed before the offset between two pages makes a client see another item twice or not at all.
// PagingSequence has stable pages: an item that exists during the whole walk is seen exactly once.
func WithPaging(mode string) Option {
	return func(s *Server) error {
		if mode != PagingOffset && mode != PagingSequence {
			return fmt.Errorf("sandbox: the paging %.100q is unknown; valid values: %s, %s", mode, PagingOffset, PagingSequence)
		}
		s.pagesBySequence = mode == PagingSequence
		return nil
	}
}

// WithStateFile keeps the state in a file across restarts. [Open] reads the file, or creates it. A
// change is on disk before its response is sent; heartbeats are written about once a second.
func WithStateFile(path string) Option {
	return func(s *Server) error { s.stateFile = path; return nil }
}

// WithRPC sets the JSON-RPC address where payments on a chain are looked up; chain "" covers every
// chain without an address of its own. Without an address a proof in mode rpc fails with
// PAYMENT_RPC_REQUIRED.
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

// WithOutbound replaces the transport for calls to machines' endpoints and RPC addresses. The
// default uses real HTTP and refuses link-local and other addresses that a machine cannot publish.
func WithOutbound(t http.RoundTripper) Option {
	return func(s *Server) error { s.outbound = t; return nil }
}

// WithScenario runs a script of faults from the start (see [Scenario]).
func WithScenario(script Script) Option {
	return func(s *Server) error { return s.Play(script) }
}

func between(what string, d, lowest, highest time.Duration) error {
	if d < lowest || d > highest {
		return fmt.Errorf("sandbox: %s must be between %v and %v, not %v", what, lowest, highest, d)
	}
	return nil
}
