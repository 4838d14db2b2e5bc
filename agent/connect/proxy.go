package connect

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ProxyError is a variable of the environment that sets the proxy and cannot be used.
// It never contains the value, which may hold a password.
type ProxyError struct {
	Variable string
	Fault    string // the end of a sentence that begins with the variable
}

func (e *ProxyError) Error() string { return e.Variable + " " + e.Fault }

// Proxies is what the environment says about proxies for one scheme.
type Proxies struct {
	// Variable sets the proxy for this scheme; empty when none does.
	Variable string
	// Unusable is a variable that cannot be used; nil when all can.
	Unusable *ProxyError
	// OnlyAll reports whether ALL_PROXY is set and no variable that is used.
	OnlyAll bool
}

// ReadProxies reads the six variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in capitals
// or not, as they apply to a scheme. getenv is os.Getenv.
func ReadProxies(scheme string, getenv func(string) string) Proxies {
	first := func(names ...string) (name, value string) {
		for _, name := range names {
			if value := getenv(name); value != "" {
				return name, value
			}
		}
		return "", ""
	}
	var p Proxies
	var value string
	if p.Variable, value = first(strings.ToUpper(scheme)+"_PROXY", strings.ToLower(scheme)+"_proxy"); value == "" {
		_, all := first("ALL_PROXY", "all_proxy")
		p.OnlyAll = all != ""
		return p
	}
	if fault := proxyFault(value); fault != "" {
		p.Unusable = &ProxyError{p.Variable, fault}
		return p
	}
	if name, list := first("NO_PROXY", "no_proxy"); list != "" {
		if fault := noProxyFault(list); fault != "" {
			p.Unusable = &ProxyError{name, fault}
		}
	}
	return p
}

// proxyFault is why the address of a proxy cannot be used, empty when it can.
func proxyFault(value string) string {
	const forms = "; write it as http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT"
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	if strings.TrimSpace(value) != value || strings.ContainsAny(value, " \t\r\n") {
		return "contains spaces or line ends" + forms
	}
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return "is not a URL; a password with special characters must be percent-encoded" + forms
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" && u.Scheme != "socks5h":
		return "names a kind of proxy that is not supported" + forms
	case u.Hostname() == "":
		return "names no host" + forms
	case u.Path != "" && u.Path != "/":
		return "has a path" + forms
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "has a port that is not from 1 to 65535" + forms
		}
	}
	return ""
}

// noProxyFault is why an entry of NO_PROXY cannot be used: entries that are dropped
// without a word send requests to a proxy that was meant to be avoided.
func noProxyFault(list string) string {
	for entry := range strings.SplitSeq(list, ",") {
		entry = strings.TrimSpace(entry)
		if !strings.Contains(entry, "/") {
			continue
		}
		if _, _, err := net.ParseCIDR(entry); err != nil {
			return "has an entry that is not a network such as 10.0.0.0/8"
		}
	}
	return ""
}

// proxyOf is the host and port of the proxy that a request uses, empty when none.
func proxyOf(req *http.Request, choose func(*http.Request) (*url.URL, error)) string {
	u, err := choose(req)
	if err != nil || u == nil {
		return ""
	}
	return u.Host // without the user and the password
}

// isLoopback reports whether a host is loopback by its text: it is never reached
// through a proxy.
func isLoopback(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
