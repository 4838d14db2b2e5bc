package telemetry

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// socket is one listening TCP socket as the kernel tells it in /proc/net/tcp.
type socket struct {
	addr  netip.AddrPort
	uid   int
	inode string
}

// holder is whoever has our port, as far as we may see. The pid is 0 when the
// process belongs to somebody we may not look at; uid is -1 when not even the
// socket was found.
type holder struct {
	pid     int
	command string
	uid     int
}

func (h holder) String() string {
	switch {
	case h.pid == os.Getpid():
		return "this very process"
	case h.pid != 0:
		return fmt.Sprintf("pid %d (%s)", h.pid, status.OrMissing(h.command))
	case h.uid >= 0:
		return fmt.Sprintf("a process of user id %d whose pid is hidden from this user", h.uid)
	}
	return "a process that cannot be seen from here"
}

// findHolder looks for the listening socket that stands in the way of addr and
// for the process that has it open. Sockets are read through our own entry in
// proc, which stays visible where a hardened unit hides the rest.
func findHolder(proc string, addr netip.AddrPort) holder {
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(proc, "self/net", name))
		if err != nil {
			continue
		}
		sockets, _ := parseListening(f) // what was read so far still counts
		_ = f.Close()
		for _, s := range sockets {
			if s.blocks(addr) {
				pid := ownerOf(proc, s.inode)
				return holder{pid, commandOf(proc, pid), s.uid}
			}
		}
	}
	return holder{uid: -1}
}

// blocks says whether the socket keeps us from binding addr: the same port, and
// the same address or a wildcard on either side.
func (s socket) blocks(addr netip.AddrPort) bool {
	ours, theirs := addr.Addr().Unmap(), s.addr.Addr().Unmap()
	return s.addr.Port() == addr.Port() && (ours == theirs || theirs.IsUnspecified() || ours.IsUnspecified())
}

// parseListening reads the kernel's table. Lines that have not its form are
// passed over, because a newer kernel may add some.
func parseListening(r io.Reader) ([]socket, error) {
	var out []socket
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[3] != "0A" { // TCP_LISTEN
			continue
		}
		addr, ok := parseProcAddr(f[1])
		uid, err := strconv.Atoi(f[7])
		if !ok || err != nil {
			continue
		}
		out = append(out, socket{addr, uid, f[9]})
	}
	return out, lines.Err()
}

// parseProcAddr reads "0100007F:261D": the address in 32-bit words of the
// host's byte order, the port in plain hexadecimal.
func parseProcAddr(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if !ok || err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(n)), ok
}

// ownerOf finds the process that has a socket open, 0 when none is visible.
func ownerOf(proc, inode string) int {
	fds, _ := filepath.Glob(filepath.Join(proc, "[0-9]*/fd/*"))
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && target == "socket:["+inode+"]" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(fd))))
			return pid
		}
	}
	return 0
}

// commandOf is the kernel's short name of a process. The command line would say
// more, and could hold somebody's password.
func commandOf(proc string, pid int) string {
	if pid == 0 {
		return ""
	}
	raw, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "comm"))
	if err != nil {
		return ""
	}
	return status.Sanitize(strings.TrimSpace(string(raw)))
}
