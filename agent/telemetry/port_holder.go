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

// socket is one listening TCP socket as listed in /proc/net/tcp.
type socket struct {
	addr  netip.AddrPort
	uid   int
	inode string
}

// holder describes the process that has our port. pid is 0 if this user may not
// inspect that process; uid is -1 if not even the socket was found.
type holder struct {
	pid     int
	command string
	uid     int
}

func (h holder) String() string {
	switch {
	case h.pid == os.Getpid():
		return "this process"
	case h.pid != 0:
		return fmt.Sprintf("pid %d (%s)", h.pid, status.OrMissing(h.command))
	case h.uid >= 0:
		return fmt.Sprintf("a process of user id %d (pid not visible to this user)", h.uid)
	}
	return "a process that is not visible to this user"
}

// findHolder finds the listening socket that prevents binding addr, and the
// process that has it open. Sockets are read through this process's own directory
// in /proc, which remains visible when a hardened unit hides the rest.
func findHolder(proc string, addr netip.AddrPort) holder {
	for _, s := range listening(proc) {
		if s.blocks(addr) {
			pid := ownerOf(proc, s.inode)
			return holder{pid, commandOf(proc, pid), s.uid}
		}
	}
	return holder{uid: -1}
}

// ListenerUsers returns the user ids of the processes of this machine that listen on a
// TCP port at any address, as the kernel lists them.
func ListenerUsers(port uint16) []int {
	var users []int
	for _, s := range listening("/proc") {
		if s.addr.Port() == port {
			users = append(users, s.uid)
		}
	}
	return users
}

// Listening returns the addresses at which processes of this network namespace listen for
// TCP connections; none if the system does not list them.
func Listening() []netip.AddrPort {
	var all []netip.AddrPort
	for _, s := range listening("/proc") {
		all = append(all, s.addr)
	}
	return all
}

// listening returns the listening TCP sockets of this network namespace.
func listening(proc string) []socket {
	var all []socket
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(proc, "self/net", name))
		if err != nil {
			continue
		}
		sockets, _ := parseListening(f) // the rows before an error are good
		_ = f.Close()
		all = append(all, sockets...)
	}
	return all
}

// hasOwner reports whether a process that /proc shows has the socket of an established
// connection from peer to ours.
func hasOwner(proc string, peer, ours netip.AddrPort) bool {
	same := func(a, b netip.AddrPort) bool { return a.Port() == b.Port() && a.Addr().Unmap() == b.Addr().Unmap() }
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(proc, "self/net", name))
		if err != nil {
			continue
		}
		inode := ""
		lines := bufio.NewScanner(f)
		for inode == "" && lines.Scan() {
			row := strings.Fields(lines.Text())
			if len(row) < 10 {
				continue
			}
			from, ok := parseProcAddr(row[1])
			to, ok2 := parseProcAddr(row[2])
			if ok && ok2 && same(from, peer) && same(to, ours) {
				inode = row[9]
			}
		}
		_ = f.Close()
		if inode != "" && inode != "0" {
			return ownerOf(proc, inode) != 0
		}
	}
	return false
}

// blocks reports whether the socket prevents binding addr: it has the same port,
// and the same address or one of the two is a wildcard.
func (s socket) blocks(addr netip.AddrPort) bool {
	ours, theirs := addr.Addr().Unmap(), s.addr.Addr().Unmap()
	return s.addr.Port() == addr.Port() && (ours == theirs || theirs.IsUnspecified() || ours.IsUnspecified())
}

// parseListening reads the listening sockets of /proc/net/tcp. Lines in another
// format are skipped, because a newer kernel may add some. With an error it
// returns the sockets read before it.
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

// parseProcAddr parses an address such as "0100007F:261D": the IP address as 32-bit
// words in host byte order, then the port in hexadecimal.
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

// ownerOf returns the pid of the process that has a socket open, 0 if none is visible.
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

// commandOf returns the kernel's short name of a process. The full command line
// is not used because it may contain a password.
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
