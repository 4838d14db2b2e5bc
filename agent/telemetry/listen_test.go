package telemetry

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

func hold(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestListenNamesTheHolder(t *testing.T) {
	taken := hold(t, "127.0.0.1:0").Addr().String()
	_, err := Listen(config.Telemetry{Listen: taken})
	var failed *ListenError
	if !errors.As(err, &failed) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("%v", err)
	}
	if want := "the telemetry address " + taken + " is taken by this very process"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestListenOtherFaults(t *testing.T) {
	_, err := Listen(config.Telemetry{Listen: "192.0.2.1:9757"}) // not an address of this host
	var failed *ListenError
	if !errors.As(err, &failed) || failed.Holder != "" || !strings.Contains(err.Error(), "cannot be bound: ") || strings.Count(err.Error(), "192.0.2.1") != 1 {
		t.Errorf("%v", err)
	}
}

// TestBusyPortHeals: a taken port is told in the state, and the listener comes
// by itself once the port is free.
func TestBusyPortHeals(t *testing.T) {
	holder := hold(t, "127.0.0.1:0")
	s := newService(t, holder.Addr().String()).serve()
	if a := s.snapshot().Process; a.Listener != "" || !strings.Contains(a.ListenerFault, "taken by this very process") {
		t.Fatalf("listener %q, fault %q", a.Listener, a.ListenerFault)
	}
	if r := status.Ready(s.snapshot()); r.Reasons[0].Code != "telemetry_port" {
		t.Errorf("readiness does not say so: %+v", r)
	}
	_ = holder.Close()
	eventually(t, "the port is taken over", func() bool { return s.address() != "" })
	if got := s.get("/healthz"); got.status != 200 || s.snapshot().Process.ListenerFault != "" {
		t.Errorf("%d, fault %q", got.status, s.snapshot().Process.ListenerFault)
	}
}

// TestListenerThatBreaks is told and bound anew.
func TestListenerThatBreaks(t *testing.T) {
	s := newService(t, "127.0.0.1:0")
	s.Bind()
	first := s.address()
	_ = s.listener.Close() // as if the kernel had taken it away
	s.serve()
	eventually(t, "another listener", func() bool { a := s.address(); return a != "" && a != first })
	if got := s.get("/healthz"); got.status != 200 {
		t.Errorf("%d", got.status)
	}
}

// TestLastDown: an answer that is under way is finished, and then the port is free.
func TestLastDown(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	address := s.address()
	idle, err := net.Dial("tcp", address) // a connection that never asks must not hold up the stop
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	began := time.Now()
	s.stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the stop took %v", took)
	}
	hold(t, address)
}

func TestSwitchedOff(t *testing.T) {
	for _, listen := range []string{"", "off"} {
		s := newService(t, listen)
		s.Bind()
		s.Serve(context.Background()) // returns at once
		if a := s.snapshot().Process; a.Listener != "" || a.ListenerFault != "" {
			t.Errorf("%q: listener %q, fault %q", listen, a.Listener, a.ListenerFault)
		}
	}
}

// TestConnectionLimit: the connection above the limit waits, and comes when
// another one ends.
func TestConnectionLimit(t *testing.T) {
	l := newLimitedListener(hold(t, "127.0.0.1:0"), 1)
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first := <-accepted
	if len(l.slots) != 1 {
		t.Errorf("%d slots in use", len(l.slots))
	}
	select {
	case <-accepted:
		t.Fatal("a second connection came in above the limit")
	case <-time.After(20 * time.Millisecond):
	}
	_ = first.Close()
	_ = first.Close() // gives back one slot, not two
	second := <-accepted
	_ = l.Close()
	_ = second.Close()
	if _, open := <-accepted; open {
		t.Error("a connection after the end")
	}
}

// procTree lays out the part of /proc that is read: one socket table and
// processes with their open files.
func procTree(t *testing.T, table string, processes map[string][]string) string {
	t.Helper()
	proc := t.TempDir()
	write := func(path, text string) {
		full := filepath.Join(proc, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("self/net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"+table)
	for pid, links := range processes {
		write(pid+"/comm", "python3\n")
		for i, target := range links {
			if err := os.MkdirAll(filepath.Join(proc, pid, "fd"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, filepath.Join(proc, pid, "fd", string(rune('0'+i)))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return proc
}

const (
	rowLoopback = "   0: 0100007F:261D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 777 1 0000000000000000 100 0 0 10 0\n"
	rowWildcard = "   1: 00000000:261D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 778 1 0000000000000000 100 0 0 10 0\n"
	rowTalking  = "   2: 0100007F:261D 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 779 1 0000000000000000 100 0 0 10 0\n"
)

func TestFindHolder(t *testing.T) {
	ours := netip.MustParseAddrPort("127.0.0.1:9757")
	tests := []struct {
		name, table string
		processes   map[string][]string
		want        string
	}{
		{"seen", rowLoopback, map[string][]string{"77": {"/dev/null", "socket:[777]"}, "78": {"socket:[1777]"}}, "pid 77 (python3)"},
		{"a wildcard stands in the way too", rowWildcard, map[string][]string{"80": {"socket:[778]"}}, "pid 80 (python3)"},
		{"hidden process", rowLoopback, nil, "a process of user id 1000 whose pid is hidden from this user"},
		{"only a connection, no listener", rowTalking, map[string][]string{"77": {"socket:[779]"}}, "a process that cannot be seen from here"},
		{"another port", strings.Replace(rowLoopback, "261D", "261E", 1), map[string][]string{"77": {"socket:[777]"}}, "a process that cannot be seen from here"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := findHolder(procTree(t, test.table, test.processes), ours).String(); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	if got := findHolder(t.TempDir(), ours).String(); got != "a process that cannot be seen from here" {
		t.Errorf("without proc: %q", got)
	}
}

func TestParseProcAddr(t *testing.T) {
	tests := map[string]string{
		"0100007F:261D": "127.0.0.1:9757", "00000000:0050": "0.0.0.0:80",
		"00000000000000000000000001000000:261D": "[::1]:9757", "0000000000000000FFFF00000100007F:261D": "[::ffff:127.0.0.1]:9757",
	}
	for in, want := range tests {
		got, ok := parseProcAddr(in)
		if !ok || got.String() != want {
			t.Errorf("%s: %v %v, want %s", in, got, ok, want)
		}
	}
	for _, in := range []string{"", ":", "0100007F", "0100007F:", "0100007F:1FFFF", "01:261D", "0100007G:261D", "0100007F:-1"} {
		if got, ok := parseProcAddr(in); ok {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func FuzzParseListening(f *testing.F) {
	f.Add(rowLoopback + rowWildcard + rowTalking)
	f.Add("garbage\n\n0A 0A 0A 0A 0A 0A 0A 0A 0A 0A\n")
	f.Fuzz(func(t *testing.T, table string) {
		sockets, _ := parseListening(strings.NewReader(table))
		again, _ := parseListening(strings.NewReader(table + "\n" + rowLoopback))
		if len(sockets) > strings.Count(table, "\n")+1 {
			t.Errorf("%d sockets in %q", len(sockets), table)
		}
		for _, s := range sockets {
			if !s.addr.IsValid() || s.inode == "" {
				t.Errorf("%+v", s)
			}
		}
		if len(sockets) > 0 && len(again) == len(sockets)+1 {
			if diff := cmp.Diff(sockets, again[:len(sockets)], cmp.AllowUnexported(socket{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
				t.Errorf("a line more changed the ones before it:\n%s", diff)
			}
		}
	})
}
