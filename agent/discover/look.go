package discover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

const (
	lookBody    = 64 << 10        // bytes of one response that are read
	lookRequest = 2 * time.Second // for one request
	lookAll     = 8 * time.Second // for one address
	lookAtOnce  = 32              // addresses that are asked at a time
)

// questions are the paths that are requested until the runtime is recognized. Most are
// recognized by the first or the second.
func questions() []string {
	return []string{
		"/", modelsPath, "/v2", "/info", "/version", "/system_stats", "/props", "/api/tags", "/manifest.json", "/settings", "/api/v0/models",
	}
}

// ErrNotAllowed is the error of an address that is neither loopback nor private.
var ErrNotAllowed = errors.New("it is neither a loopback nor a private address")

// Find asks every address and returns those at which an HTTP server responds, in the
// order of the addresses.
func Find(ctx context.Context, origins []string) []Runtime {
	found := make([]*Runtime, len(origins))
	var all sync.WaitGroup
	places := make(chan struct{}, lookAtOnce)
	for i, origin := range origins {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if r, err := Look(ctx, origin); err == nil {
				found[i] = &r
			}
		})
	}
	all.Wait()
	out := []Runtime{}
	for _, r := range found {
		if r != nil {
			out = append(out, *r)
		}
	}
	return out
}

// Look asks the server at an origin, http://HOST:PORT, what it is. The error is that of
// the first request: nothing listens there, or it does not speak HTTP.
func Look(ctx context.Context, origin string) (Runtime, error) {
	ctx, cancel := context.WithTimeout(ctx, lookAll)
	defer cancel()
	l := newLooker(origin)
	defer l.client.CloseIdleConnections()
	var r Runtime
	for i, path := range questions() {
		err := l.get(ctx, path)
		if i == 0 && err != nil {
			return Runtime{}, err
		}
		if i == 0 && l.all["/"].Status == http.StatusBadRequest && l.all.server("TornadoServer") {
			l.upgrade(ctx)
		}
		if r = Identify(l.all); r.Name != "" || ctx.Err() != nil {
			break
		}
	}
	if k := find(r.ProviderKey); k != nil {
		for _, path := range []string{modelsPath, k.list, k.about} {
			if _, asked := l.all[path]; !asked && path != "" && (path != modelsPath || k.list != "") {
				_ = l.get(ctx, path)
			}
		}
		r = Identify(l.all)
	}
	r.BaseURL, r.Scope = origin, l.scope()
	return r, nil
}

// looker asks one server.
type looker struct {
	origin string
	client *http.Client
	all    Responses

	mu     sync.Mutex
	remote netip.Addr // the address that was reached
}

func newLooker(origin string) *looker {
	l := &looker{origin: strings.TrimRight(origin, "/"), all: Responses{}}
	dialer := &net.Dialer{Timeout: lookRequest, Control: l.check}
	l.client = &http.Client{
		Timeout: lookRequest,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, MaxResponseHeaderBytes: 16 << 10, DisableCompression: true, MaxIdleConnsPerHost: 1,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return l
}

// check allows connections to loopback and private addresses, after names were resolved.
func (l *looker) check(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	a := ap.Addr().Unmap().WithZone("")
	if !config.AddressAllowed(config.ScopeNearby, a) {
		return fmt.Errorf("%s: %w", a, ErrNotAllowed)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remote = a
	return nil
}

// scope is the network scope of the address that was reached.
func (l *looker) scope() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.remote.IsLoopback() {
		return "loopback"
	}
	return "lan"
}

// get requests a path and keeps the response.
func (l *looker) get(ctx context.Context, path string) error {
	return l.keep(ctx, path, path, nil)
}

// upgrade offers a WebSocket handshake, and closes the connection if it is accepted.
func (l *looker) upgrade(ctx context.Context) {
	_ = l.keep(ctx, "/", upgradeProbe, http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-WebSocket-Version": {"13"}, "Sec-WebSocket-Key": {"cGVhcW9zLWFnZW50LWxvb2s="},
	})
}

func (l *looker) keep(ctx context.Context, path, name string, header http.Header) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.origin+path, nil)
	if err != nil {
		return err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", "peaqos-agent-discover")
	res, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	kept := Response{Status: res.StatusCode, Header: res.Header}
	if res.StatusCode != http.StatusSwitchingProtocols {
		kept.Body, _ = io.ReadAll(io.LimitReader(res.Body, lookBody)) // what arrived before an error is good
	}
	l.all[name] = kept
	return nil
}

// mostCandidates bounds how many ports of this machine are asked.
const mostCandidates = 128

// KnownPorts are the ports at which the runtimes listen by default, sorted.
func KnownPorts() []uint16 {
	var ports []uint16
	for _, k := range kinds {
		ports = append(ports, k.ports...)
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// Candidates are the origins to ask on this machine, given what listens there as the
// system lists it: every port that can be reached over loopback, the known ones first.
// An empty list means that the system did not tell, and then the known ports are asked.
func Candidates(listening []netip.AddrPort) []string {
	known := KnownPorts()
	at := map[uint16]netip.Addr{}
	for _, l := range listening {
		a := l.Addr().Unmap()
		switch {
		case a.IsUnspecified():
			a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		case !a.IsLoopback():
			continue
		}
		if old, twice := at[l.Port()]; (!twice || a.Less(old)) && !printer(l.Port()) {
			at[l.Port()] = a
		}
	}
	if len(listening) == 0 {
		for _, p := range known {
			at[p] = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
	}
	var first, rest []uint16
	for p := range at {
		if _, ok := slices.BinarySearch(known, p); ok {
			first = append(first, p)
		} else {
			rest = append(rest, p)
		}
	}
	slices.Sort(first)
	slices.Sort(rest)
	var out []string
	for _, p := range append(first, rest...) {
		if len(out) < mostCandidates {
			out = append(out, "http://"+netip.AddrPortFrom(at[p], p).String())
		}
	}
	return out
}

// printer reports whether whatever is sent to a port may be printed on paper.
func printer(port uint16) bool { return port == 515 || port >= 9100 && port <= 9109 }

// HostCandidates are the origins to ask on another host: the known ports only, because
// nobody asked for a scan. A host with a port is one origin.
func HostCandidates(host string) ([]string, error) {
	bare := strings.Trim(host, "[]")
	if _, literal := netip.ParseAddr(bare); literal != nil {
		u, err := url.Parse("http://" + host)
		if err != nil || u.Host != host || u.Hostname() == "" {
			return nil, fmt.Errorf("%.100q is not a host name or an address", host)
		}
		if u.Port() != "" {
			if _, err := strconv.ParseUint(u.Port(), 10, 16); err != nil {
				return nil, fmt.Errorf("%.100q has no valid port", host)
			}
			return []string{"http://" + host}, nil
		}
	}
	var out []string
	for _, p := range KnownPorts() {
		out = append(out, "http://"+net.JoinHostPort(bare, fmt.Sprint(p)))
	}
	return out, nil
}
