package agent

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// supervisor is the service manager's side: a real datagram socket.
type supervisor struct {
	t    *testing.T
	conn *net.UnixConn
}

// supervise opens the socket and sets the environment that a service manager
// would; period 0 is a unit without a watchdog.
func supervise(t *testing.T, period time.Duration) *supervisor {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("WATCHDOG_USEC", "")
	if period > 0 {
		t.Setenv("WATCHDOG_USEC", strconv.FormatInt(period.Microseconds(), 10))
	}
	return &supervisor{t, conn}
}

// next is the next message, empty when none comes within the wait.
func (s *supervisor) next(wait time.Duration) string {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		s.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := s.conn.Read(buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// until reads up to the next message that has the prefix.
func (s *supervisor) until(prefix string) string {
	s.t.Helper()
	for {
		m := s.next(5 * time.Second)
		if m == "" {
			s.t.Fatalf("no message %q", prefix)
		}
		if strings.HasPrefix(m, prefix) {
			return m
		}
	}
}

// quiet reads what is there and fails when it feeds the watchdog.
func (s *supervisor) quiet() {
	s.t.Helper()
	for m := s.next(50 * time.Millisecond); m != ""; m = s.next(50 * time.Millisecond) {
		if strings.Contains(m, "WATCHDOG=1") {
			s.t.Fatalf("fed: %q", m)
		}
	}
}

func testWatchdog(t *testing.T) *watchdog {
	t.Helper()
	return newWatchdog(status.NewTracker(&config.Config{Machines: []config.Machine{{Name: "main"}}}, noon))
}

func running(t *testing.T, w *watchdog) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.run(ctx); err != context.Canceled {
			t.Errorf("ended with %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func pings(w *watchdog) uint64 { return w.state.Snapshot(noon, 0).Process.WatchdogPings }

func TestReadyIsSentOnce(t *testing.T) {
	s, w := supervise(t, 0), testWatchdog(t)
	w.sendReady()
	w.sendReady()
	if m := s.next(time.Second); !strings.HasPrefix(m, "READY=1\nSTATUS=unenrolled since 2026-03-01T12:00:00Z: ") {
		t.Errorf("%q", m)
	}
	w.sendStopping()
	if m := s.next(time.Second); !strings.HasPrefix(m, "STOPPING=1\n") {
		t.Errorf("%q after the first READY", m)
	}
}

func TestReloading(t *testing.T) {
	s, w := supervise(t, 0), testWatchdog(t)
	w.sendReloading()
	if m := s.next(time.Second); !strings.HasPrefix(m, "RELOADING=1\nMONOTONIC_USEC=") || strings.HasSuffix(m, "\n") {
		t.Errorf("%q", m)
	}
	w.sendReloaded()
	if m := s.next(time.Second); !strings.HasPrefix(m, "READY=1\n") {
		t.Errorf("%q", m)
	}
}

// TestWatchdogNeedsEveryLoop: one stuck loop is enough for it to expire, however often
// the others check in, and nothing else feeds it.
func TestWatchdogNeedsEveryLoop(t *testing.T) {
	s, w := supervise(t, time.Minute), testWatchdog(t)
	w.register("beat")
	w.register("probe")
	running(t, w)
	s.quiet() // registering is not checking in
	for range 50 {
		w.checkIn("probe")
	}
	w.checkIn("unregistered")
	s.quiet()
	w.checkIn("beat")
	s.until("WATCHDOG=1")
	w.checkIn("beat") // the other one has not checked in since
	w.checkIn("beat")
	s.quiet()
	w.checkIn("probe")
	s.until("WATCHDOG=1")
	for began := time.Now(); pings(w) != 2; runtime.Gosched() { // counted right after the datagram was sent
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d pings are counted, want 2", pings(w))
		}
	}
}

func TestWatchdogWithoutPeriod(t *testing.T) {
	s, w := supervise(t, 0), testWatchdog(t)
	w.register("beat")
	running(t, w)
	w.checkIn("beat")
	s.until("STATUS=")
	s.quiet()
	if pings(w) != 0 {
		t.Errorf("%d pings", pings(w))
	}
}

// TestWatchdogOfAnotherProcess: WATCHDOG_PID names another process, for example the
// wrapper that started this one.
func TestWatchdogOfAnotherProcess(t *testing.T) {
	s := supervise(t, time.Second)
	t.Setenv("WATCHDOG_PID", "1")
	w := testWatchdog(t)
	w.register("beat")
	running(t, w)
	w.checkIn("beat")
	s.quiet()
	if w.maxWait != defaultMaxWait {
		t.Errorf("limit %v", w.maxWait)
	}
}

// TestStatusLine follows the state, one message per change.
func TestStatusLine(t *testing.T) {
	s, w := supervise(t, time.Minute), testWatchdog(t)
	w.register("beat")
	running(t, w)
	w.checkIn("beat")
	if m := s.until("STATUS="); !strings.HasPrefix(m, "STATUS=unenrolled since ") {
		t.Errorf("%q", m)
	}
	w.state.Update("main", func(m *status.Machine) {
		m.SetState(status.Offline, &status.Cause{Code: status.CodeDNS, Text: "the name\ncannot be resolved"}, noon)
	})
	w.checkIn("beat")
	if m := s.until("STATUS="); m != "STATUS=offline since 2026-03-01T12:00:00Z: the name cannot be resolved" {
		t.Errorf("%q", m)
	}
	w.checkIn("beat")
	s.until("WATCHDOG=1")
	for m := s.next(50 * time.Millisecond); m != ""; m = s.next(50 * time.Millisecond) {
		if m != "WATCHDOG=1" {
			t.Errorf("sent again: %q", m)
		}
	}
}

// TestUnresponsiveSupervisor: a service manager that does not read fills its socket;
// neither a loop nor the stop may wait for it.
func TestUnresponsiveSupervisor(t *testing.T) {
	s, w := supervise(t, time.Minute), testWatchdog(t)
	w.register("beat")
	fill, err := net.DialUnix("unixgram", nil, s.conn.LocalAddr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	for err == nil {
		_ = fill.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		_, err = fill.Write([]byte("full"))
	}
	running(t, w)
	began := time.Now()
	for range 100 {
		w.checkIn("beat")
	}
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("a hundred check-ins took %v", took)
	}
	w.sendStopping()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if pings(w) != 0 {
		t.Error("a ping that was not delivered was counted")
	}
}

func TestUnsupervised(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	w := testWatchdog(t)
	w.register("beat")
	running(t, w)
	w.sendReady()
	w.checkIn("beat")
	w.sendStopping()
	if at := w.state.Snapshot(noon, 0).Process.Turns["beat"]; time.Since(at) > time.Minute {
		t.Errorf("the check-in was not recorded: %v", at)
	}
}

func TestMaxWait(t *testing.T) {
	for period, want := range map[time.Duration]time.Duration{
		0: 20 * time.Second, -1: 20 * time.Second, time.Minute: 20 * time.Second, 30 * time.Second: 10 * time.Second, 2: time.Millisecond,
	} {
		if got := maxWait(period); got != want {
			t.Errorf("%v: %v, want %v", period, got, want)
		}
	}
	supervise(t, 30*time.Second)
	if w := testWatchdog(t); w.maxWait != 10*time.Second || w.stuckAfter() != 30*time.Second {
		t.Errorf("from the environment: limit %v, bound %v", w.maxWait, w.stuckAfter())
	}
	t.Setenv("WATCHDOG_USEC", "soon")
	if w := testWatchdog(t); w.maxWait != defaultMaxWait {
		t.Errorf("malformed: limit %v", w.maxWait)
	}
}
