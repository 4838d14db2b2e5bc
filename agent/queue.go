package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	maxQueued      = 1000    // notifications
	maxQueuedBytes = 1 << 20 // of these
	// maxQueueFile is when the file is rewritten without what was delivered.
	maxQueueFile = 3 << 20
	// maxKnown is how many notifications of earlier connections are recognized.
	maxKnown = 1024
	// hookBackoff and maxHookBackoff bound the wait after a failed delivery.
	hookBackoff    = time.Second
	maxHookBackoff = 5 * time.Minute
)

// notification is one received message that some hook has not got yet.
type notification struct {
	seq       uint64
	machineID string
	lane      string // of its purchase: a lane is delivered in order
	raw       []byte
	pending   map[string]bool // by hook
}

// queue keeps the notifications of one machine until every hook has got them, in the
// order in which they arrived. A notification is on disk before push returns, unless
// the disk fails, so that a crash loses none; what was delivered is recorded without
// waiting for the disk, so that a crash may deliver it again.
//
// The file has one line per record: a checksum and JSON. A line that is damaged or
// incomplete is ignored.
type queue struct {
	path  string
	hooks []string

	mu      sync.Mutex
	file    *os.File // nil when the queue is in memory only
	written int64    // size of file
	fault   error    // why the last notification is not on disk
	entries []*notification
	bytes   int
	seq     uint64
	known   map[string]int // key → connection of recent notifications
	order   []string       // of known, oldest first
	state   map[string]*hookState
	wake    map[string]chan struct{} // by hook
}

// hookState is how the deliveries to one hook went.
type hookState struct {
	inFlight map[string]bool     // lanes
	lanes    map[string]attempts // that failed with a response
	whole    attempts            // no response at all: the hook itself is down
}

// attempts are failures in a row and when to try again.
type attempts struct {
	failures int
	next     time.Time
}

// record is one line of the file: a notification, or its delivery to one hook.
type record struct {
	Seq     uint64 `json:"seq"`
	Machine string `json:"machine,omitempty"`
	Lane    string `json:"lane,omitempty"`
	Raw     []byte `json:"raw,omitempty"`
	Done    string `json:"done,omitempty"` // the hook
}

// openQueue reads what an earlier process left. The error says why the queue works in
// memory only; the queue is usable all the same.
func openQueue(path string, hooks []string) (*queue, error) {
	q := &queue{path: path, hooks: hooks, known: map[string]int{}, state: map[string]*hookState{}, wake: map[string]chan struct{}{}}
	for _, h := range hooks {
		q.state[h] = &hookState{inFlight: map[string]bool{}, lanes: map[string]attempts{}}
		q.wake[h] = make(chan struct{}, 1)
	}
	q.fault = q.open()
	return q, q.fault
}

func (q *queue) open() error {
	if err := os.MkdirAll(filepath.Dir(q.path), 0o700); err != nil {
		return withoutPath(err)
	}
	f, err := os.OpenFile(q.path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return withoutPath(err)
	}
	q.file = f
	q.read(f)
	return q.rewrite()
}

// withoutPath is a file error without the path.
func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// read takes over the lines of the file.
func (q *queue) read(f *os.File) {
	lines := bufio.NewReader(io.LimitReader(f, 2*maxQueueFile))
	bySeq := map[uint64]*notification{}
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) { // longer than the buffer
			rest, restErr := lines.ReadBytes('\n')
			line, err = append(slices.Clone(line), rest...), restErr
		}
		if err != nil {
			return // a line without its end was never confirmed
		}
		r, ok := parseRecord(line)
		switch {
		case !ok:
		case r.Done != "":
			if n := bySeq[r.Seq]; n != nil {
				delete(n.pending, r.Done)
			}
		case len(r.Raw) > 0 && r.Seq > q.seq && len(q.entries) < maxQueued && q.bytes+len(r.Raw) <= maxQueuedBytes:
			n := q.newNotification(r.Seq, r.Machine, r.Lane, r.Raw)
			bySeq[r.Seq] = n
			q.append(n)
		}
	}
}

func (q *queue) newNotification(seq uint64, machineID, lane string, raw []byte) *notification {
	n := &notification{seq: seq, machineID: machineID, lane: lane, raw: raw, pending: map[string]bool{}}
	for _, h := range q.hooks {
		n.pending[h] = true
	}
	return n
}

func (q *queue) append(n *notification) {
	q.entries = append(q.entries, n)
	q.bytes += len(n.raw)
	q.seq = max(q.seq, n.seq)
}

// parseRecord reads one line.
func parseRecord(line []byte) (r record, ok bool) {
	sum, text, found := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if !found || err != nil || len(sum) != 8 || crc32.ChecksumIEEE(text) != uint32(want) {
		return record{}, false
	}
	return r, json.Unmarshal(text, &r) == nil
}

// formatRecord writes one line.
func formatRecord(r record) ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return append(fmt.Appendf(nil, "%08x ", crc32.ChecksumIEEE(text)), append(text, '\n')...), nil
}

// rewrite writes a new file with what is pending, and puts it in the place of the old
// one. q.mu is held, or nobody else has q yet.
func (q *queue) rewrite() error {
	q.entries = slices.DeleteFunc(q.entries, func(n *notification) bool {
		if len(n.pending) > 0 {
			return false
		}
		q.bytes -= len(n.raw)
		return true
	})
	if q.file != nil && len(q.entries) == 0 {
		q.written = 0
		if err := q.file.Truncate(0); err != nil {
			return withoutPath(err)
		}
		_, err := q.file.Seek(0, io.SeekStart)
		return withoutPath(err)
	}
	temp := q.path + ".new"
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return withoutPath(err)
	}
	written, err := q.writeAll(f)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(temp, q.path)
	}
	if err == nil {
		err = syncDirectory(filepath.Dir(q.path))
	}
	if err != nil {
		return errors.Join(withoutPath(err), f.Close(), os.Remove(temp))
	}
	if q.file != nil {
		_ = q.file.Close()
	}
	q.file, q.written = f, written
	return nil
}

func (q *queue) writeAll(f *os.File) (written int64, err error) {
	for _, n := range q.entries {
		records := []record{{Seq: n.seq, Machine: n.machineID, Lane: n.lane, Raw: n.raw}}
		for _, h := range q.hooks {
			if !n.pending[h] {
				records = append(records, record{Seq: n.seq, Done: h})
			}
		}
		for _, r := range records {
			line, err := formatRecord(r)
			if err != nil {
				return written, err
			}
			if _, err := f.Write(line); err != nil {
				return written, err
			}
			written += int64(len(line))
		}
	}
	return written, nil
}

func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// write appends a record. q.mu is held.
func (q *queue) write(r record, durably bool) error {
	if q.file == nil || q.fault != nil || q.written > maxQueueFile {
		return q.rewrite() // the entries include r, and what could not be written before
	}
	line, err := formatRecord(r)
	if err != nil {
		return err
	}
	n, err := q.file.WriteAt(line, q.written)
	if err != nil {
		return withoutPath(err) // the next line overwrites what is there of this one
	}
	q.written += int64(n)
	if durably {
		if err := q.file.Sync(); err != nil {
			// What a failed fsync left is unknown: never trust this descriptor again.
			_ = q.file.Close()
			q.file = nil
			return withoutPath(err)
		}
	}
	return nil
}

// pushResult is what became of a received notification: a label of status.MessageResults.
type pushResult string

const (
	pushQueued    pushResult = "queued"
	pushDuplicate pushResult = "duplicate"
	pushDropped   pushResult = "dropped"
)

// push takes a notification over. key identifies it where the contract gives an id,
// else it is empty; one that came over an earlier connection is a duplicate.
func (q *queue) push(machineID, lane string, raw []byte, key string, connection int) pushResult {
	q.mu.Lock()
	defer q.mu.Unlock()
	if key != "" {
		if earlier, seen := q.known[key]; seen && earlier != connection {
			return pushDuplicate
		}
	}
	if len(q.entries) >= maxQueued || q.bytes+len(raw) > maxQueuedBytes {
		return pushDropped
	}
	q.remember(key, connection)
	n := q.newNotification(q.seq+1, machineID, lane, raw)
	q.append(n)
	q.fault = q.write(record{Seq: n.seq, Machine: machineID, Lane: lane, Raw: raw}, true)
	for _, h := range q.hooks {
		q.signal(h)
	}
	return pushQueued
}

func (q *queue) remember(key string, connection int) {
	if key == "" {
		return
	}
	if _, seen := q.known[key]; !seen {
		if len(q.order) >= maxKnown {
			delete(q.known, q.order[0])
			q.order = slices.Delete(q.order, 0, 1)
		}
		q.order = append(q.order, key)
	}
	q.known[key] = connection
}

func (q *queue) signal(hook string) {
	select {
	case q.wake[hook] <- struct{}{}:
	default:
	}
}

// next returns the next notification for a hook and marks its lane as in flight. If
// there is none now, wait is when there may be one: 0 is when the queue signals it.
func (q *queue) next(hook string, now time.Time) (n *notification, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.state[hook]
	if s.whole.failures > 0 && len(s.inFlight) > 0 {
		return nil, 0 // one attempt at a time, until the hook responds
	}
	if d := s.whole.next.Sub(now); d > 0 {
		return nil, d
	}
	passed := map[string]bool{}
	for _, n := range q.entries {
		if !n.pending[hook] || passed[n.lane] {
			continue
		}
		passed[n.lane] = true
		if s.inFlight[n.lane] {
			continue
		}
		if d := s.lanes[n.lane].next.Sub(now); d > 0 {
			if wait == 0 || d < wait {
				wait = d
			}
			continue
		}
		s.inFlight[n.lane] = true
		return n, 0
	}
	return nil, wait
}

// delivered records that a hook has accepted a notification.
func (q *queue) delivered(hook string, n *notification) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.state[hook]
	delete(s.inFlight, n.lane)
	delete(s.lanes, n.lane)
	s.whole = attempts{}
	delete(n.pending, hook)
	if len(n.pending) == 0 {
		if i := slices.Index(q.entries, n); i >= 0 {
			q.entries = slices.Delete(q.entries, i, i+1)
			q.bytes -= len(n.raw)
		}
	}
	if len(q.entries) == 0 {
		q.fault = q.rewrite()
	} else {
		q.fault = q.write(record{Seq: n.seq, Done: hook}, false)
	}
	q.signal(hook)
}

// failed records a delivery that did not succeed. With a response only the lane waits,
// because the hook may dislike this one notification; without one the hook waits.
func (q *queue) failed(hook string, n *notification, responded bool, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.state[hook]
	delete(s.inFlight, n.lane)
	if responded {
		s.whole = attempts{}
		s.lanes[n.lane] = s.lanes[n.lane].again(now, rand.Float64())
	} else {
		s.whole = s.whole.again(now, rand.Float64())
	}
	q.signal(hook)
}

// release gives a notification back that was not tried.
func (q *queue) release(hook string, n *notification) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.state[hook].inFlight, n.lane)
}

// again is one more failure: the wait doubles from hookBackoff to maxHookBackoff, and
// its second half is random.
func (a attempts) again(now time.Time, random float64) attempts {
	wait := maxHookBackoff
	if a.failures < 9 {
		wait = min(hookBackoff<<a.failures, maxHookBackoff)
	}
	return attempts{a.failures + 1, now.Add(wait/2 + time.Duration(random*float64(wait/2)))}
}

// figures are what status shows of the queue.
func (q *queue) figures() (length, size int, fault error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.entries), q.bytes, q.fault
}

// clear forgets everything, for a machine whose identity was deleted.
func (q *queue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range q.entries {
		clear(n.pending)
	}
	for _, s := range q.state {
		clear(s.lanes)
	}
	clear(q.known)
	q.order = nil
	q.fault = q.rewrite()
}

func (q *queue) close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.file == nil {
		return nil
	}
	f := q.file
	q.file = nil
	return f.Close()
}
