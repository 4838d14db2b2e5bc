package agent

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func testQueue(t *testing.T, path string, hooks ...string) *queue {
	t.Helper()
	q, err := openQueue(path, hooks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.close() })
	return q
}

// drain delivers all that is due to a hook and returns the bodies.
func drain(q *queue, hook string) (bodies []string) {
	for {
		n, _ := q.next(hook, time.Now())
		if n == nil {
			return bodies
		}
		bodies = append(bodies, string(n.raw))
		q.delivered(hook, n)
	}
}

// TestQueueSurvivesAKill: a queue that is dropped without being closed is found again as
// it was, also by a process with another list of hooks.
func TestQueueSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control", "main.queue")
	q := testQueue(t, path, "a", "b")
	for i := range 3 {
		if got := q.push("mach_1", "p", fmt.Append(nil, i), "", 1); got != pushQueued {
			t.Fatal(got)
		}
	}
	n, _ := q.next("a", time.Now())
	q.delivered("a", n)
	again := testQueue(t, path, "a", "b", "c")
	for hook, want := range map[string]string{"a": "[1 2]", "b": "[0 1 2]", "c": "[0 1 2]"} {
		if got := fmt.Sprint(drain(again, hook)); got != want {
			t.Errorf("%s got %s, want %s", hook, got, want)
		}
	}
	if length, size, fault := again.figures(); length != 0 || size != 0 || fault != nil {
		t.Errorf("%d notifications, %d bytes, %v", length, size, fault)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestQueueCutAnywhere: a file that is cut after any byte gives the notifications before
// the cut, and takes new ones.
func TestQueueCutAnywhere(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	q := testQueue(t, whole, "a")
	for i := range 3 {
		q.push("mach_1", fmt.Sprint(i), fmt.Appendf(nil, `{"n":%d}`, i), "", 1)
	}
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(text) + 1 {
		path := filepath.Join(dir, "cut")
		if err := os.WriteFile(path, text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		q := testQueue(t, path, "a")
		complete := bytes.Count(text[:cut], []byte("\n"))
		if got := len(q.entries); got != complete {
			t.Fatalf("cut after %d bytes: %d notifications, want %d", cut, got, complete)
		}
		q.push("mach_1", "new", []byte(`"new"`), "", 1)
		again := testQueue(t, path, "a")
		if got := drain(again, "a"); len(got) != complete+1 || got[complete] != `"new"` {
			t.Fatalf("cut after %d bytes, then %q", cut, got)
		}
		_, _ = q.close(), again.close()
	}
}

// TestQueueDamaged: any one changed byte loses at most its own line.
func TestQueueDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q")
	q := testQueue(t, path, "a")
	for i := range 3 {
		q.push("mach_1", "", fmt.Append(nil, i), "", 1)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 0x01
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		q, err := openQueue(path, []string{"a"})
		if err != nil || len(q.entries) < 1 || len(q.entries) > 3 {
			t.Fatalf("byte %d: %d notifications, %v", i, len(q.entries), err)
		}
		_ = q.close()
	}
}

func FuzzQueueFile(f *testing.F) {
	good, err := formatRecord(record{Seq: 1, Machine: "m", Lane: "p", Raw: []byte("{}")})
	if err != nil {
		f.Fatal(err)
	}
	done, err := formatRecord(record{Seq: 1, Done: "a"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(append(good, done...))
	f.Add([]byte("00000000 {}\n\n\xff\x00 \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "q")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		q, err := openQueue(path, []string{"a"})
		if err != nil {
			t.Fatal(err)
		}
		before := len(q.entries)
		if q.push("m", "", []byte("new"), "", 1) != pushQueued {
			t.Fatal("not queued")
		}
		_ = q.close()
		again, err := openQueue(path, []string{"a"})
		if err != nil || len(again.entries) != before+1 {
			t.Fatalf("%d notifications after a restart, want %d; %v", len(again.entries), before+1, err)
		}
		_ = again.close()
	})
}

// TestQueueIsBounded: by number, by size, and on disk.
func TestQueueIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q")
	q := testQueue(t, path, "a")
	large := bytes.Repeat([]byte("x"), maxControlMessage)
	queued := 0
	for range 40 {
		if q.push("m", "", large, "", 1) == pushQueued {
			queued++
		}
	}
	if length, size, _ := q.figures(); length != queued || size > maxQueuedBytes || queued != maxQueuedBytes/maxControlMessage {
		t.Errorf("%d queued, %d bytes", length, size)
	}
	// Many small ones, in and out while one stays: the file is rewritten in between.
	q = testQueue(t, filepath.Join(t.TempDir(), "q"), "a", "down")
	for i := range 300 {
		q.push("m", fmt.Sprint(i), large[:20_000], "", 1)
		drain(q, "a")
		drain(q, "down")
		if i == 0 {
			q.push("m", "stays", []byte("stays"), "", 1)
			q.failed("down", mustNext(t, q, "down"), true, time.Now().Add(time.Hour))
		}
	}
	info, err := os.Stat(q.path)
	if err != nil || info.Size() > maxQueueFile+100_000 {
		t.Errorf("%v, %v", info, err)
	}
	if length, _, fault := q.figures(); length != 1 || fault != nil {
		t.Errorf("%d are left, %v", length, fault)
	}
}

func mustNext(t *testing.T, q *queue, hook string) *notification {
	t.Helper()
	n, wait := q.next(hook, time.Now())
	if n == nil {
		t.Fatalf("nothing is due for %s; wait %s", hook, wait)
	}
	return n
}

// TestQueueWithoutADisk: it works in memory and says why; when the disk is back, all
// that is pending goes there.
func TestQueueWithoutADisk(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "control")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil { // a file where the directory belongs
		t.Fatal(err)
	}
	path := filepath.Join(blocked, "main.queue")
	q, err := openQueue(path, []string{"a"})
	if err == nil {
		t.Fatal("no error")
	}
	defer q.close()
	if strings.Contains(err.Error(), dir) {
		t.Errorf("the path is in %q", err)
	}
	if q.push("m", "p", []byte("1"), "", 1) != pushQueued {
		t.Error("not queued")
	}
	if _, _, fault := q.figures(); fault == nil {
		t.Error("nothing says that the queue is in memory")
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	q.push("m", "p", []byte("2"), "", 1)
	if _, _, fault := q.figures(); fault != nil {
		t.Error(fault)
	}
	if got := fmt.Sprint(drain(testQueue(t, path, "a"), "a")); got != "[1 2]" {
		t.Errorf("%s", got)
	}
}

func TestQueueDuplicates(t *testing.T) {
	q := testQueue(t, filepath.Join(t.TempDir(), "q"), "a")
	for i, c := range []struct {
		key        string
		connection int
		want       pushResult
	}{
		{"k", 1, pushQueued},
		{"k", 1, pushQueued},    // the server means it
		{"k", 2, pushDuplicate}, // repeated after a reconnect
		{"k", 2, pushDuplicate},
		{"", 2, pushQueued},
		{"", 3, pushQueued},
		{"other", 3, pushQueued},
	} {
		if got := q.push("m", "", []byte("x"), c.key, c.connection); got != c.want {
			t.Errorf("push %d: %s, want %s", i, got, c.want)
		}
		drain(q, "a")
	}
	for i := range 2 * maxKnown {
		q.push("m", "", []byte("x"), fmt.Sprint(i), 4)
		drain(q, "a")
	}
	if len(q.known) > maxKnown || len(q.order) > maxKnown {
		t.Errorf("%d keys are remembered", len(q.known))
	}
}

// TestQueueOrder: one purchase one by one, different purchases at once; a hook that is
// down is tried with one notification at a time.
func TestQueueOrder(t *testing.T) {
	q := testQueue(t, filepath.Join(t.TempDir(), "q"), "a")
	for _, n := range []struct{ lane, body string }{{"p", "p1"}, {"p", "p2"}, {"q", "q1"}, {"r", "r1"}} {
		q.push("m", n.lane, []byte(n.body), "", 1)
	}
	now := time.Now()
	first, second, third := mustNext(t, q, "a"), mustNext(t, q, "a"), mustNext(t, q, "a")
	if string(first.raw) != "p1" || string(second.raw) != "q1" || string(third.raw) != "r1" {
		t.Errorf("%s, %s, %s", first.raw, second.raw, third.raw)
	}
	if n, wait := q.next("a", now); n != nil || wait != 0 {
		t.Errorf("%v is due, %s", n, wait)
	}
	q.failed("a", first, true, now)
	q.delivered("a", second)
	if n, wait := q.next("a", now); n != nil || wait <= 0 || wait > hookBackoff {
		t.Errorf("%v is due after a rejection, %s", n, wait)
	}
	q.failed("a", third, false, now)
	later := now.Add(2 * time.Second)
	again, _ := q.next("a", later)
	if again == nil || string(again.raw) != "p1" {
		t.Fatalf("%v", again)
	}
	if n, wait := q.next("a", later); n != nil || wait != 0 {
		t.Errorf("a second attempt at a hook that is down: %v, %s", n, wait)
	}
	q.delivered("a", again)
	if got := fmt.Sprint(drain(q, "a")); got != "[p2 r1]" {
		t.Errorf("%s", got)
	}
}

func TestAttempts(t *testing.T) {
	now := time.Now()
	var a attempts
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300} {
		a = a.again(now, 1)
		if got := a.next.Sub(now); got != want*time.Second {
			t.Errorf("failure %d: %s, want %d s", i+1, got, want)
		}
	}
	if got := a.again(now, 0).next.Sub(now); got != 150*time.Second {
		t.Errorf("%s", got)
	}
}
