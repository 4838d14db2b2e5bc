package agent

import (
	"encoding/binary"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// maxLinks bounds how many links and addresses are remembered; beyond it the memory
// starts over, which costs at most early attempts.
const maxLinks = 4096

// linkEvents reads the kernel's reports of network links and addresses (rtnetlink). It
// waits without a timer.
type linkEvents struct {
	file *os.File
	news linkNews
	buf  []byte
}

// openLinks subscribes to the reports. Errors: the system forbids the socket.
func openLinks() (*linkEvents, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	groups := unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: uint32(groups)}); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &linkEvents{file: os.NewFile(uintptr(fd), "rtnetlink"), buf: make([]byte, 8<<10)}, nil
}

// Close ends wait. It may be called for a nil value.
func (l *linkEvents) Close() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

// wait waits until a link or an address comes up; it is false when there are no
// reports, or no more.
func (l *linkEvents) wait() bool {
	if l == nil {
		return false
	}
	for {
		n, err := l.file.Read(l.buf)
		switch {
		case errors.Is(err, unix.ENOBUFS):
			return true // reports were lost: there may have been one
		case err != nil || n <= 0:
			return false
		case l.news.up(l.buf[:n]):
			return true
		}
	}
}

// linkNews tells links and addresses that come up from those that were up: a router's
// advertisements repeat an IPv6 address all day.
type linkNews struct {
	known map[string]bool
}

// up reports whether a datagram of rtnetlink has a link or an address that was not up
// before. Malformed messages are skipped.
func (n *linkNews) up(datagram []byte) bool {
	if len(n.known) > maxLinks {
		n.known = nil
	}
	if n.known == nil {
		n.known = map[string]bool{}
	}
	found := false
	for len(datagram) >= unix.SizeofNlMsghdr {
		length := int(native32(datagram))
		if length < unix.SizeofNlMsghdr || length > len(datagram) {
			break
		}
		kind, body := native16(datagram[4:]), datagram[unix.SizeofNlMsghdr:length]
		if n.message(kind, body) {
			found = true
		}
		datagram = datagram[min((length+3)&^3, len(datagram)):]
	}
	return found
}

// message records one message and reports whether something came up.
func (n *linkNews) message(kind uint16, body []byte) bool {
	var key string
	present := false
	switch kind {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK: // struct ifinfomsg: family, type, index, flags
		if len(body) < unix.SizeofIfInfomsg {
			return false
		}
		flags := native32(body[8:])
		if flags&unix.IFF_LOOPBACK != 0 {
			return false
		}
		key = "link " + string(body[4:8])
		present = kind == unix.RTM_NEWLINK && flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING != 0
	case unix.RTM_NEWADDR, unix.RTM_DELADDR: // struct ifaddrmsg: family, prefix length, flags, scope, index
		if len(body) < unix.SizeofIfAddrmsg {
			return false
		}
		if body[3] >= unix.RT_SCOPE_HOST { // loopback
			return false
		}
		if body[2]&unix.IFA_F_TENTATIVE != 0 { // not usable before the check for duplicates ends
			return false
		}
		key = "address " + string(body[:2]) + string(body[4:8]) + addressOf(body[unix.SizeofIfAddrmsg:])
		present = kind == unix.RTM_NEWADDR
	default:
		return false
	}
	was := n.known[key]
	if present {
		n.known[key] = true
	} else {
		delete(n.known, key)
	}
	return present && !was
}

// addressOf returns the bytes of the address among the attributes of a message.
func addressOf(attributes []byte) string {
	for len(attributes) >= unix.SizeofRtAttr {
		length := int(native16(attributes))
		if length < unix.SizeofRtAttr || length > len(attributes) {
			return ""
		}
		if native16(attributes[2:]) == unix.IFA_ADDRESS {
			return string(attributes[unix.SizeofRtAttr:length])
		}
		attributes = attributes[min((length+3)&^3, len(attributes)):]
	}
	return ""
}

func native16(b []byte) uint16 { return binary.NativeEndian.Uint16(b) }
func native32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }
