package agent

import (
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func TestQuickRetries(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	var q quickRetries
	if !q.due(at(0)).IsZero() {
		t.Error("due without an event")
	}
	q.event(at(0.7))
	for i, want := range []float64{0.7, 3, 8, -1} { // 0.7, then 2 and 4 s after the failed attempts that end at 1 and 4
		got := q.due(at(want))
		if want < 0 {
			if !got.IsZero() {
				t.Errorf("one event is good for more than %d attempts", quickTries)
			}
			break
		}
		if !got.Equal(at(want)) {
			t.Errorf("attempt %d is due at %s, want %s", i+1, got.Sub(start), at(want).Sub(start))
		}
		q.attempted([]time.Time{at(1), at(4), at(9)}[i], true, false)
	}
	q.event(at(10))
	q.attempted(at(10), true, true)
	if !q.due(at(11)).IsZero() {
		t.Error("due although the heartbeat was accepted")
	}
	// Events without end: the allowance, then one attempt each 30 s.
	q = quickRetries{}
	attempts := 0
	for s := range 600 {
		q.event(at(float64(s)))
		if due := q.due(at(float64(s))); !due.After(at(float64(s))) {
			attempts++
			q.attempted(at(float64(s)), true, false)
		}
	}
	if want := quickBurst + 600/30; attempts > want || attempts < want-2 {
		t.Errorf("%d attempts in 600 s of flapping, want %d", attempts, want)
	}
}

// message is one message of rtnetlink.
func message(kind uint16, body []byte) []byte {
	head := make([]byte, unix.SizeofNlMsghdr)
	binary.NativeEndian.PutUint32(head, uint32(unix.SizeofNlMsghdr+len(body)))
	binary.NativeEndian.PutUint16(head[4:], kind)
	return append(head, body...)
}

func link(kind uint16, index, flags uint32) []byte {
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], index)
	binary.NativeEndian.PutUint32(body[8:], flags)
	return message(kind, body)
}

func addr(kind uint16, index uint32, flags, scope byte, ip ...byte) []byte {
	body := make([]byte, unix.SizeofIfAddrmsg)
	body[0], body[1], body[2], body[3] = unix.AF_INET, 24, flags, scope
	binary.NativeEndian.PutUint32(body[4:], index)
	attribute := make([]byte, unix.SizeofRtAttr)
	binary.NativeEndian.PutUint16(attribute, uint16(unix.SizeofRtAttr+len(ip)))
	binary.NativeEndian.PutUint16(attribute[2:], unix.IFA_ADDRESS)
	return message(kind, append(append(body, attribute...), ip...))
}

func TestLinkNews(t *testing.T) {
	const up = unix.IFF_UP | unix.IFF_RUNNING
	var n linkNews
	for _, c := range []struct {
		name string
		data []byte
		want bool
	}{
		{"a link comes up", link(unix.RTM_NEWLINK, 2, up), true},
		{"it is reported again", link(unix.RTM_NEWLINK, 2, up), false},
		{"the cable is out", link(unix.RTM_NEWLINK, 2, unix.IFF_UP), false},
		{"it is back", link(unix.RTM_NEWLINK, 2, up), true},
		{"an address", addr(unix.RTM_NEWADDR, 2, 0, 0, 10, 0, 0, 1), true},
		{"an advertisement repeats it", addr(unix.RTM_NEWADDR, 2, 0, 0, 10, 0, 0, 1), false},
		{"another address", addr(unix.RTM_NEWADDR, 2, 0, 0, 10, 0, 0, 2), true},
		{"the first one is gone", addr(unix.RTM_DELADDR, 2, 0, 0, 10, 0, 0, 1), false},
		{"and back", addr(unix.RTM_NEWADDR, 2, 0, 0, 10, 0, 0, 1), true},
		{"tentative", addr(unix.RTM_NEWADDR, 2, unix.IFA_F_TENTATIVE, 0, 10, 0, 0, 3), false},
		{"no longer tentative", addr(unix.RTM_NEWADDR, 2, 0, 0, 10, 0, 0, 3), true},
		{"loopback", link(unix.RTM_NEWLINK, 1, up|unix.IFF_LOOPBACK), false},
		{"an address of loopback", addr(unix.RTM_NEWADDR, 1, 0, unix.RT_SCOPE_HOST, 127, 0, 0, 1), false},
		{"a link is removed", link(unix.RTM_DELLINK, 2, up), false},
		{"two messages", append(link(unix.RTM_NEWLINK, 3, 0), link(unix.RTM_NEWLINK, 2, up)...), true},
		{"a route", message(unix.RTM_NEWROUTE, make([]byte, 12)), false},
		{"a short message", message(unix.RTM_NEWLINK, make([]byte, 3)), false},
		{"a wrong length", []byte{0xff, 0xff, 0xff, 0x7f, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, false},
	} {
		if got := n.up(c.data); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
	for i := range uint32(3 * maxLinks) {
		n.up(link(unix.RTM_NEWLINK, i+10, up))
	}
	if len(n.known) > maxLinks+1 {
		t.Errorf("%d links remembered", len(n.known))
	}
}

func FuzzLinkNews(f *testing.F) {
	f.Add(link(unix.RTM_NEWLINK, 2, unix.IFF_UP))
	f.Add(addr(unix.RTM_NEWADDR, 2, 0, 0, 10, 0, 0, 1))
	f.Fuzz(func(_ *testing.T, data []byte) {
		var n linkNews
		n.up(data) // must not panic
	})
}

// TestLinkEvents: a report wakes the wait, and Close ends it. A pipe stands for the
// kernel, because only root can change a link.
func TestLinkEvents(t *testing.T) {
	real, err := openLinks()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	piped := &linkEvents{file: r, buf: make([]byte, 8<<10)}
	woken := make(chan bool)
	wait := func(l *linkEvents) {
		for l.wait() {
			woken <- true
		}
		woken <- false
	}
	go wait(piped)
	for _, data := range [][]byte{link(unix.RTM_NEWLINK, 2, unix.IFF_UP), link(unix.RTM_NEWLINK, 2, unix.IFF_UP|unix.IFF_RUNNING)} {
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if !<-woken {
		t.Error("a link that came up was not reported")
	}
	go wait(real)
	for _, l := range []*linkEvents{piped, real} {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		for <-woken { // the machine's own links may change meanwhile
			continue
		}
	}
	_ = w.Close()
}

func TestClockEventsEnd(t *testing.T) {
	c, err := openClock()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() { done <- c.wait() }()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if <-done {
		t.Error("a closed descriptor reports a step")
	}
	var none *clockEvents
	if none.wait() || none.Close() != nil {
		t.Error("without a descriptor there is nothing to wait for")
	}
}

// TestLinkUpShortensTheWait: after an outage of the network the machine is online
// within seconds of the link, however long its interval is.
func TestLinkUpShortensTheWait(t *testing.T) {
	for _, lease := range []time.Duration{90 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, "demo")
			l.agent.beaters["main"].conf.LeaseTTL = lease
			l.mustEnroll()
			l.start()
			time.Sleep(lease)
			l.want(status.Online, "")
			l.server.SetFault(always(&sandbox.Fault{Drop: true}))
			time.Sleep(2*lease + 7*time.Second)
			l.want(status.Offline, "network")
			l.agent.changed() // the link is up; the route follows
			time.Sleep(1500 * time.Millisecond)
			l.server.SetFault(nil)
			time.Sleep(5 * time.Second)
			l.want(status.Online, "")
			l.close()
		})
	}
}

// TestLinkUpEndsTheWaitOfAutoEnroll: a sidecar that started without a network enrolls
// within seconds of the link, not minutes later.
func TestLinkUpEndsTheWaitOfAutoEnroll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := auto(t, true)
		tried := 0
		l.server.SetFault(func(*http.Request) *sandbox.Fault { tried++; return &sandbox.Fault{Drop: true} })
		l.start()
		time.Sleep(2 * time.Hour)
		l.want(status.Unenrolled, "network")
		before := tried
		for range 500 {
			l.agent.changed()
			time.Sleep(100 * time.Millisecond)
		}
		if tried-before > 4*(quickBurst+3) { // an attempt is up to four requests
			t.Errorf("%d requests in 50 s of flapping", tried-before)
		}
		time.Sleep(10 * time.Minute)
		l.server.SetFault(nil)
		l.agent.changed()
		time.Sleep(5 * time.Second)
		if l.status().State == status.Unenrolled {
			t.Errorf("not enrolled 5 s after the link: %+v", l.status().Cause)
		}
		l.close()
	})
}

// TestLinkUpDoesNotEndAWait: what the orchestrator asked for is not the network's matter.
func TestLinkUpDoesNotEndAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		l.mustEnroll()
		l.start()
		time.Sleep(5 * time.Minute)
		tried := 0
		l.server.SetFault(func(*http.Request) *sandbox.Fault {
			tried++
			return &sandbox.Fault{Status: 429, Code: "RATE_LIMITED", RetryAfter: "600"}
		})
		time.Sleep(time.Minute)
		before := tried
		for range 100 {
			l.agent.changed()
			time.Sleep(time.Second)
		}
		if tried != before {
			t.Errorf("%d requests although the orchestrator asked to wait", tried-before)
		}
		l.close()
	})
}

// TestFlappingLinks: 500 link flaps cost a bounded number of attempts, and the last one
// is followed by a heartbeat within seconds or the next refill of the allowance.
func TestFlappingLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		l.mustEnroll()
		l.start()
		time.Sleep(5 * time.Minute)
		before := runtime.NumGoroutine()
		fds := openDescriptors(t)
		tried := 0
		l.server.SetFault(func(*http.Request) *sandbox.Fault { tried++; return &sandbox.Fault{Drop: true} })
		rng := rand.New(rand.NewPCG(1, 2))
		begin := time.Now()
		for range 500 {
			l.agent.changed()
			time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
		}
		took := time.Since(begin)
		ordinary := int(took/(30*time.Second)) + 1
		if most := ordinary + quickBurst + int(took/quickRefill) + 1; tried > most {
			t.Errorf("%d attempts in %s of flapping, want at most %d", tried, took, most)
		}
		l.server.SetFault(nil)
		l.agent.changed()
		time.Sleep(quickRefill + 5*time.Second)
		l.want(status.Online, "")
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("%d goroutines, %d before", n, before)
		}
		if n := openDescriptors(t); n > fds {
			t.Errorf("%d descriptors, %d before", n, fds)
		}
		l.close()
	})
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
