package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Network is what leaves the device and what listens on it.
type Network struct {
	Contacts  []Contact  `json:"contacts"`
	Listeners []Listener `json:"listeners"`
}

// Contact is a host that the agent sends to.
type Contact struct {
	Host string `json:"host"` // with its port
	For  string `json:"for"`
	// Reached is the address that doctor itself connected to, empty if it did not.
	Reached string `json:"reached,omitempty"`
}

// Listener is an address at which the agent can be reached.
type Listener struct {
	Address string `json:"address"`
	For     string `json:"for"`
}

// NetworkOf lists every host and every listener of a configuration, with what doctor has
// contacted. Root is where etc/resolv.conf is read.
func NetworkOf(f Facts, root string) *Network {
	n := &Network{Contacts: []Contact{}, Listeners: []Listener{}}
	cfg := f.Config
	if cfg == nil {
		return n
	}
	orchestrator := Contact{Host: f.Reach.Host, For: "orchestrator: heartbeats, with the agent token"}
	if f.Reach.Proxy != "" {
		n.Contacts = append(n.Contacts, Contact{f.Reach.Proxy, "proxy to " + f.Reach.Host, f.Reach.Address})
	} else {
		orchestrator.Reached = f.Reach.Address
	}
	n.Contacts = append(n.Contacts, orchestrator)
	names := f.Reach.Proxy == "" && isName(f.Reach.Host)
	if cfg.Presence.Enabled {
		host := hostPort(cfg.Presence.URL)
		n.Contacts, names = append(n.Contacts, Contact{Host: host, For: "presence service: signed pushes"}), names || isName(host)
	}
	if cfg.Control.Enabled {
		n.Contacts = append(n.Contacts, Contact{Host: f.Reach.Host, For: "control socket, with the agent token"})
		for _, hook := range cfg.Control.Hooks {
			n.Contacts = append(n.Contacts, Contact{Host: withoutUser(hook), For: "hook: notifications"})
		}
	}
	for _, e := range f.Endpoints {
		target := e.ProbeURL
		if target == "" {
			target = e.BaseURL
		}
		host := hostPort(target)
		c := Contact{Host: host, For: "probe of endpoint " + e.ProviderKey + ": GET " + e.ProbePath}
		if e.Up {
			c.Reached = host
		}
		n.Contacts, names = append(n.Contacts, c), names || isName(host)
	}
	if names {
		for _, server := range nameServers(root) {
			n.Contacts = append(n.Contacts, Contact{Host: net.JoinHostPort(server, "53"), For: "name server"})
		}
	}
	if cfg.Telemetry.Listen != "" {
		n.Listeners = append(n.Listeners, Listener{cfg.Telemetry.Listen, "telemetry: metrics, health, status page"})
	}
	n.Listeners = append(n.Listeners, Listener{filepath.Join(cfg.Keystore.Dir, "admin.sock"), "commands of root and the agent's user (unix socket)"})
	return n
}

// isName reports whether a host with its port has to be resolved.
func isName(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(host)
	return err != nil
}

// hostPort is the host of a URL with its port.
func hostPort(base string) string {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// withoutUser is a URL without user and password.
func withoutUser(text string) string {
	if u, err := url.Parse(text); err == nil && u.User != nil {
		u.User = nil
		return u.String()
	}
	return text
}

// nameServers are those of resolv.conf, and the one that is used without any.
func nameServers(root string) []string {
	text, err := os.ReadFile(filepath.Join(root, "etc/resolv.conf"))
	if err != nil {
		return []string{"127.0.0.1"}
	}
	var servers []string
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) >= 2 && words[0] == "nameserver" && !slices.Contains(servers, words[1]) {
			servers = append(servers, words[1])
		}
	}
	if len(servers) == 0 {
		servers = []string{"127.0.0.1"}
	}
	return servers
}

func (n *Network) text() string {
	var b strings.Builder
	b.WriteString("\nSends to:\n")
	for _, c := range n.Contacts {
		fmt.Fprintf(&b, "  %-32s %s", c.Host, c.For)
		if c.Reached != "" {
			b.WriteString("; reached at " + c.Reached)
		}
		b.WriteString("\n")
	}
	b.WriteString("Listens on:\n")
	for _, l := range n.Listeners {
		fmt.Fprintf(&b, "  %-32s %s\n", l.Address, l.For)
	}
	return b.String()
}
