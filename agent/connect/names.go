package connect

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	// nameBudget bounds one lookup: a search list and a dead name server take 25 s.
	nameBudget = time.Minute
	// resolutionDelay is how long the addresses of one family wait for the other (RFC 8305).
	resolutionDelay = 50 * time.Millisecond
	// rememberedAfter is how long a lookup may take before the previous result is used.
	rememberedAfter = 300 * time.Millisecond
	// rememberedFor is how old that result may be.
	rememberedFor = 24 * time.Hour
)

// lookupFunc resolves a name to addresses of one family: network is ip4 or ip6.
type lookupFunc func(ctx context.Context, network, host string) ([]netip.Addr, error)

// names resolves names. A lookup belongs to no request: it ends on its own, and every
// request for the same name waits for the same lookup.
type names struct {
	lookup lookupFunc

	mu         sync.Mutex
	running    map[string]*lookup
	remembered map[string]remembered
}

// remembered is what the last successful lookup of a name found.
type remembered struct {
	addrs []netip.Addr
	at    time.Time
	used  netip.Addr // the one that was connected to last
}

// lookup is one lookup of both families.
type lookup struct {
	mu      sync.Mutex
	addrs   []netip.Addr
	err     error
	done    bool
	changed chan struct{} // closed at each change
}

func newNames(f lookupFunc) *names {
	if f == nil {
		f = func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, network, host)
		}
	}
	return &names{lookup: f, running: map[string]*lookup{}, remembered: map[string]remembered{}}
}

// resolve returns the lookup of a name that is under way, or starts one.
func (n *names) resolve(host string) *lookup {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.running[host]; l != nil {
		return l
	}
	l := &lookup{changed: make(chan struct{})}
	n.running[host] = l
	go n.run(host, l)
	return l
}

// run performs a lookup. A name with a dot is looked up as it is first: with ndots:5 the
// search list would cost four more lookups, each as slow as the slowest name server.
func (n *names) run(host string, l *lookup) {
	ctx, cancel := context.WithTimeout(context.Background(), nameBudget)
	defer cancel()
	forms := []string{host}
	if strings.Contains(host, ".") && !strings.HasSuffix(host, ".") {
		forms = []string{host + ".", host}
	}
	var err error
	for _, form := range forms {
		if err = n.bothFamilies(ctx, form, l); err == nil || !isNotFound(err) {
			break
		}
	}
	n.mu.Lock()
	delete(n.running, host)
	if err == nil {
		n.remembered[host] = remembered{addrs: l.found(), at: time.Now(), used: n.remembered[host].used}
	}
	n.mu.Unlock()
	l.finish(err)
}

// bothFamilies looks up both families at once and adds what is found as it comes. It
// fails only if neither has an address.
func (n *names) bothFamilies(ctx context.Context, host string, l *lookup) error {
	results := make(chan error, 2)
	for _, network := range []string{"ip4", "ip6"} {
		go func() {
			addrs, err := n.lookup(ctx, network, host)
			l.add(addrs)
			results <- err
		}()
	}
	err := worse(<-results, <-results)
	found := l.found()
	switch {
	case len(found) == 0:
		return err
	case allUnspecified(found):
		return &BlockedNameError{found[0].String()}
	}
	return nil
}

// worse is the error that says more: a name server that is silent or broken matters
// more than a family without addresses.
func worse(a, b error) error {
	if a == nil || (b != nil && isNotFound(a)) {
		return b
	}
	return a
}

func isNotFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

func allUnspecified(addrs []netip.Addr) bool {
	for _, a := range addrs {
		if !a.IsUnspecified() {
			return false
		}
	}
	return true
}

// last returns the addresses that the previous lookup found, if they are recent, the
// one that worked first.
func (n *names) last(host string) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.remembered[host]
	if time.Since(r.at) > rememberedFor {
		return nil
	}
	return preferred(r.addrs, r.used)
}

// used returns the address of a name that was connected to last.
func (n *names) used(host string) netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.remembered[host].used
}

// connected records the address that worked.
func (n *names) connected(host string, a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.remembered[host]
	r.used = a
	n.remembered[host] = r
}

func (l *lookup) add(addrs []netip.Addr) {
	if len(addrs) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range addrs {
		l.addrs = append(l.addrs, a.Unmap())
	}
	l.signal()
}

func (l *lookup) finish(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err, l.done = err, true
	l.signal()
}

func (l *lookup) signal() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *lookup) found() []netip.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]netip.Addr(nil), l.addrs...)
}

// look returns what is known now, and a channel that is closed when more is known.
func (l *lookup) look() (addrs []netip.Addr, done bool, changed <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]netip.Addr(nil), l.addrs...), l.done, l.changed, l.err
}

// preferred orders addresses for connecting: the one that worked last, then the
// families in turn, IPv6 first (RFC 8305). Unspecified addresses are left out.
func preferred(addrs []netip.Addr, last netip.Addr) []netip.Addr {
	var six, four, out []netip.Addr
	for _, a := range addrs {
		switch {
		case a.IsUnspecified():
		case a == last:
			out = append(out, a)
		case a.Is4():
			four = append(four, a)
		default:
			six = append(six, a)
		}
	}
	for len(six) > 0 || len(four) > 0 {
		if len(six) > 0 {
			out, six = append(out, six[0]), six[1:]
		}
		if len(four) > 0 {
			out, four = append(out, four[0]), four[1:]
		}
	}
	return out
}
