package agent

import (
	"net"
	"path/filepath"

	"github.com/peaqnetwork/peaqos-agent/agent/telemetry"
)

// TrustedListener reports whether the TCP listener of an address on this machine belongs
// to somebody who may speak for the agent of a store: root, ourselves, or the user of the
// store or of the service. Any user may listen on a port that is free.
func TrustedListener(dir string, address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return false
	}
	owners := telemetry.ListenerUsers(tcp.AddrPort().Port())
	for _, uid := range owners {
		if !trustedServer(dir, filepath.Join(dir, adminSocket), uid) && (uid <= 0 || uid != storeOwner("/run/peaqos-agent")) {
			return false
		}
	}
	return len(owners) > 0
}
