package agent

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// TrustedListener reports whether the TCP listener of an address on this machine belongs
// to somebody who may speak for the agent of a store: root, ourselves, or the user of the
// store or of the service. Any user may listen on a port that is free.
func TrustedListener(dir string, address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return false
	}
	owners := listenersOn(tcp.Port)
	for _, uid := range owners {
		if !trustedServer(dir, uid) && (uid <= 0 || uid != storeOwner("/run/peaqos-agent")) {
			return false
		}
	}
	return len(owners) > 0
}

// listenersOn returns the user ids of the processes that listen on a TCP port, as the
// kernel lists them.
func listenersOn(port int) []int {
	var out []int
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		suffix := fmt.Sprintf(":%04X", port)
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			fields := strings.Fields(lines.Text()) // slot, local address, remote address, state, …, uid
			const listening = "0A"
			if len(fields) < 8 || fields[3] != listening || !strings.HasSuffix(fields[1], suffix) {
				continue
			}
			if uid, err := strconv.Atoi(fields[7]); err == nil {
				out = append(out, uid)
			}
		}
		_ = f.Close()
	}
	return out
}
