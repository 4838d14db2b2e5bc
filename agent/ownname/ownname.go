// Package ownname tells the names and addresses of this machine from those of others.
// Debian and its derivatives give the machine's own name the address 127.0.1.1, so a
// name that resolves to loopback may be ours, or may have been made to do so by
// somebody else.
package ownname

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// hostsFile is where the system keeps the addresses of its own names.
const hostsFile = "/etc/hosts"

// maxHosts bounds in bytes what is read of it: lists of blocked names can be long, and
// the machine's own name is at the top.
const maxHosts = 64 << 10

// Is reports whether a host name, without port, is one of this machine: its host name,
// the first label of that, either of them with .local (mDNS), or a name which
// /etc/hosts gives the address 127.0.1.1 or lists in one line with the host name.
// localhost is not one: it is the same on every machine. Case and a trailing dot are
// ignored.
func Is(name string) bool {
	host, err := os.Hostname()
	if err != nil {
		return false
	}
	name, host = normalize(name), normalize(host)
	if isOf(name, host) {
		return true
	}
	f, err := os.Open(hostsFile)
	if err != nil {
		return false
	}
	defer f.Close()
	return listed(io.LimitReader(f, maxHosts), name, host)
}

func normalize(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

// isOf compares a name with the host name; both are normalized.
func isOf(name, host string) bool {
	if name == "" || host == "" || isLocalhost(name) || isLocalhost(host) {
		return false
	}
	short, _, _ := strings.Cut(host, ".")
	return name == host || name == short || name == short+".local"
}

func isLocalhost(name string) bool {
	return name == "localhost" || strings.HasPrefix(name, "localhost.") || strings.HasSuffix(name, ".localhost")
}

// listed reports whether a hosts file gives the name to this machine; name and host
// are normalized.
func listed(hosts io.Reader, name, host string) bool {
	if name == "" || isLocalhost(name) {
		return false
	}
	own := netip.AddrFrom4([4]byte{127, 0, 1, 1})
	lines := bufio.NewScanner(hosts)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil || !addr.IsLoopback() {
			continue
		}
		names := fields[1:]
		for i := range names {
			names[i] = normalize(names[i])
		}
		if slices.Contains(names, name) && (addr == own || host != "" && !isLocalhost(host) && slices.Contains(names, host)) {
			return true
		}
	}
	return false
}

// Addresses returns the addresses of this machine's interfaces, without loopback and
// link-local ones; none if the system does not tell.
func Addresses() []netip.Addr {
	var out []netip.Addr
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		prefix, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		if ip, ok := netip.AddrFromSlice(prefix.IP); ok {
			if ip = ip.Unmap(); !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
				out = append(out, ip)
			}
		}
	}
	return out
}
