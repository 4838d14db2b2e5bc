package keystore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every state of the disk that POSIX allows after a power cut.
//
// The calls that change the disk are recorded from the real store. From them the
// states are computed: at any point, any subset of the directory operations since the
// last fsync of the directory, and of each file that was not synced any mixture of
// sectors that are old, new or zero, at any length. Each state is opened by the real
// store. Nothing that was acknowledged may be lost, and nothing may need a person.
//
// go test opens a sample of the states; KEYSTORE_CRASH_STATES=all opens all.

const sector = 512

// crashInode is a file: what is certainly on the disk, what was written since, and
// what its sectors may have held before.
type crashInode struct {
	synced, now, stale []byte
	dirty              bool
	torn               []string // contents, once they are computed
}

// entry is one directory operation: name becomes an inode, or nothing.
type entry struct {
	name  string
	inode *crashInode // nil: removed
	from  string      // of a rename: the name that goes away with it
}

// crashDisk is the model of the disk while a trace is played.
type crashDisk struct {
	durable map[string]*crashInode
	pending []entry
}

func (d *crashDisk) now() map[string]*crashInode {
	return apply(d.durable, d.pending)
}

func apply(base map[string]*crashInode, ops []entry) map[string]*crashInode {
	m := maps.Clone(base)
	for _, op := range ops {
		if op.inode == nil {
			delete(m, op.name)
			continue
		}
		m[op.name] = op.inode
		if op.from != "" && m[op.from] == op.inode {
			delete(m, op.from)
		}
	}
	return m
}

// play applies one call.
func (d *crashDisk) play(c call) {
	present := d.now()
	switch c.op {
	case "create":
		i := &crashInode{}
		if target := present[strings.TrimSuffix(c.name, tempSuffix)]; target != nil {
			i.stale = target.now // freed blocks may be used again
		}
		d.pending = append(d.pending, entry{name: c.name, inode: i})
	case "write":
		i := present[c.name]
		i.now, i.dirty, i.torn = c.data, true, nil
	case "zero":
		i := present[c.name]
		i.now, i.dirty, i.stale, i.torn = make([]byte, len(i.now)), true, i.synced, nil
	case "sync":
		if i := present[c.name]; i != nil {
			i.synced, i.dirty = i.now, false
		}
	case "rename":
		d.pending = append(d.pending, entry{name: c.to, inode: present[c.name], from: c.name})
	case "unlink":
		d.pending = append(d.pending, entry{name: c.name})
	case "syncdir":
		d.durable, d.pending = present, nil
	}
}

// contents are what a file may hold after a cut.
func (i *crashInode) contents(random *rand.Rand) []string {
	if i.torn != nil {
		return i.torn
	}
	out := map[string]bool{string(i.synced): true}
	lengths := []int{len(i.now)}
	step := 4 // the size is metadata, so any is possible
	if len(i.now) > 8*sector {
		step = sector
	}
	for n := 0; n < len(i.now) && i.synced == nil; n += step { // one that was there before keeps its length
		lengths = append(lengths, n)
	}
	for _, length := range lengths {
		sectors := (length + sector - 1) / sector
		total := 6 // of more sectors, a random part
		if sectors <= 4 {
			total = [...]int{1, 3, 9, 27, 81}[sectors]
		}
		for n := range total {
			pattern := n
			b := make([]byte, length)
			for s := range sectors {
				from, to := s*sector, min(length, (s+1)*sector)
				kind := pattern % 3
				if pattern /= 3; sectors > 4 {
					kind = random.IntN(3)
				}
				if source := [][]byte{nil, i.now, i.stale}[kind]; len(source) > from {
					copy(b[from:to], source[from:min(len(source), to)])
				}
			}
			out[string(b)] = true
		}
	}
	i.torn = slices.Sorted(maps.Keys(out))
	return i.torn
}

// states calls f with each state that a cut may leave now. With many operations or
// files that are not on the disk, it is a random part of them.
func (d *crashDisk) states(random *rand.Rand, f func(files map[string]string)) {
	subsets := 1 << min(len(d.pending), 6)
	for n := range subsets {
		var ops []entry
		for i, op := range d.pending {
			if len(d.pending) <= 6 && n&(1<<i) != 0 || len(d.pending) > 6 && random.IntN(2) == 1 {
				ops = append(ops, op)
			}
		}
		dir := apply(d.durable, ops)
		names := slices.Sorted(maps.Keys(dir))
		base := map[string]string{}
		var torn []string
		for _, name := range names {
			base[name] = string(dir[name].synced)
			if dir[name].dirty {
				torn = append(torn, name)
			}
		}
		switch len(torn) {
		case 0:
			f(base)
		case 1:
			for _, content := range dir[torn[0]].contents(random) {
				one := maps.Clone(base)
				one[torn[0]] = content
				f(one)
			}
		default:
			for range 8 {
				one := maps.Clone(base)
				for _, name := range torn {
					all := dir[name].contents(random)
					one[name] = all[random.IntN(len(all))]
				}
				f(one)
			}
		}
	}
}

// protocol is what a store does in several calls.
type protocol struct {
	name   string
	before func(*Store) error
	steps  []func(*Store) error // each is acknowledged when it returns nil
	// allowed are the tokens that may be read after so many acknowledged steps, ""
	// for none; keys are those of the controller likewise.
	allowed func(acknowledged int) (tokens, keys []string)
	o       func() Options
	from    string // a directory of files to begin with
}

func protocols(t *testing.T) []protocol {
	t.Helper()
	creds := t.TempDir()
	internalMust(t, os.WriteFile(filepath.Join(creds, CredentialName), []byte(testCredential), 0o600))
	t.Setenv("CREDENTIALS_DIRECTORY", creds)
	key, err := NewKey()
	internalMust(t, err)
	var providers []string
	for n := range 20 {
		providers = append(providers, fmt.Sprintf("a-provider-with-a-long-name-%02d", n))
	}
	agent := func(token string) *Agent {
		return &Agent{
			Origin: "https://o.example", MachineID: "mach_1", AgentID: "agent_" + token, Label: "a#12345678", Token: NewSecret(token),
			AllowedProviderKeys: providers, EnrolledAt: time.Unix(1, 0).UTC(),
		}
	}
	rotated := agent("old")
	rotated.Pending = &PendingToken{AgentID: "agent_new", Label: "a#2", Token: NewSecret("new"), AllowedProviderKeys: providers}
	put := func(a *Agent) func(*Store) error { return func(s *Store) error { return s.PutAgent("main", a) } }
	intent := func(s *Store) error {
		return s.PutIntent("main", &Intent{Kind: "enroll", Label: "a#1", IdentityRef: "did:peaq:42"})
	}
	dropIntent := func(s *Store) error { return s.DropIntent("main") }
	enrolled := func(s *Store) error {
		return errors.Join(s.CheckDurable(), intent(s), s.PutAgent("main", agent("old")), dropIntent(s), s.PutController(key))
	}
	since := func(step int, before, after string) func(int) []string {
		return func(n int) []string {
			switch {
			case n > step:
				return []string{after}
			case n == step:
				return []string{before, after}
			}
			return []string{before}
		}
	}
	always := func(what string) func(int) []string { return func(int) []string { return []string{what} } }
	both := func(tokens, keys func(int) []string) func(int) ([]string, []string) {
		return func(n int) ([]string, []string) { return tokens(n), keys(n) }
	}
	plain := func() Options { return Options{Volatile: true} }
	nothing := func(*Store) error { return nil }
	address := key.Signer().Address()
	return []protocol{
		{
			"enroll", nothing,
			[]func(*Store) error{(*Store).CheckDurable, intent, put(agent("tok")), dropIntent},
			both(since(2, "", "tok"), always("")), plain, "",
		},
		{
			"rotate", enrolled,
			[]func(*Store) error{intent, put(rotated), put(agent("new")), dropIntent},
			both(func(n int) []string {
				return [][]string{{"old"}, {"old", "old+new"}, {"old+new", "new"}, {"new"}, {"new"}}[n]
			}, always(address)), plain, "",
		},
		{
			"reseal", enrolled,
			[]func(*Store) error{func(s *Store) error { return s.Reseal(Protection{Credential: NewSecret(testCredential)}) }},
			both(always("old"), always(address)), plain, "",
		},
		{
			"import", put(agent("old")),
			[]func(*Store) error{func(s *Store) error { return s.PutController(key) }},
			both(always("old"), since(0, "", address)), plain, "",
		},
		{
			"unenroll", enrolled,
			[]func(*Store) error{func(s *Store) error { return s.DropAgent("main") }},
			both(since(0, "old", ""), always(address)), plain, "",
		},
		{
			"reset", enrolled,
			[]func(*Store) error{(*Store).Reset},
			both(since(0, "old", ""), since(0, address, "")), plain, "",
		},
		{
			"upgrade", nothing, nil, both(always("first release+next"), always("0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A")), plain,
			"testdata/format-1",
		},
	}
}

// recording is a protocol as calls, and how many steps were acknowledged before each.
type recording struct {
	disk  map[string]string
	calls []call
	acks  []int
}

func recordProtocol(t *testing.T, p protocol) recording {
	t.Helper()
	dir := t.TempDir()
	if p.from == "" {
		s := openInternal(t, dir, p.o())
		internalMust(t, p.before(s))
		internalMust(t, s.Close())
	} else {
		internalMust(t, errors.Join(os.CopyFS(filepath.Join(dir, "keystore"), os.DirFS(p.from)), os.Chmod(filepath.Join(dir, "keystore"), 0o700)))
		internalMust(t, os.WriteFile(filepath.Join(dir, "keystore", lockName), nil, 0o600))
	}
	r := recording{disk: crashFiles(t, dir)}
	acknowledged := 0
	o := p.o()
	o.trace = func(c call) {
		c.data = slices.Clone(c.data)
		r.calls, r.acks = append(r.calls, c), append(r.acks, acknowledged)
	}
	s := openInternal(t, dir, o)
	for _, step := range p.steps {
		internalMust(t, step(s))
		acknowledged++
	}
	r.calls, r.acks = append(r.calls, call{op: "end"}), append(r.acks, acknowledged)
	internalMust(t, s.Close())
	return r
}

func crashFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "keystore"))
	internalMust(t, err)
	files := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, "keystore", e.Name()))
		internalMust(t, err)
		files[e.Name()] = string(b)
	}
	return files
}

// crashes calls f with each distinct state of a recording and the number of
// acknowledged steps, until there were as many as the limit.
func (r recording) crashes(limit int, f func(files map[string]string, acknowledged int)) (distinct int) {
	random := rand.New(rand.NewPCG(1, 2))
	d := &crashDisk{durable: map[string]*crashInode{}}
	for name, content := range r.disk {
		d.durable[name] = &crashInode{synced: []byte(content), now: []byte(content)}
	}
	seen := map[[32]byte]bool{}
	for i, c := range r.calls {
		if d.play(c); len(seen) >= limit {
			break
		}
		acknowledged := r.acks[i]
		d.states(random, func(files map[string]string) {
			h := sha256.New()
			for _, name := range slices.Sorted(maps.Keys(files)) {
				fmt.Fprintf(h, "%d %q %d\n%s", acknowledged, name, len(files[name]), files[name])
			}
			if id := [32]byte(h.Sum(nil)); !seen[id] {
				seen[id] = true
				f(files, acknowledged)
			}
		})
	}
	return len(seen)
}

// survives opens a state with the real store and says what is wrong with it.
func (p protocol) survives(dir string, files map[string]string, acknowledged int) error {
	store := filepath.Join(dir, "keystore")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(store, 0o700)); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(store, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	s, err := Open(context.Background(), dir, p.o())
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.Condition(); err != nil {
		return fmt.Errorf("needs a person: %w", err)
	}
	tokens, keys := p.allowed(acknowledged)
	token, key := "", ""
	switch a, err := s.Agent("main"); {
	case err == nil && a.Pending != nil:
		token = string(a.Token.Reveal()) + "+" + string(a.Pending.Token.Reveal())
	case err == nil:
		token = string(a.Token.Reveal())
	case !errors.Is(err, ErrNotFound):
		return fmt.Errorf("the token: %w", err)
	}
	switch c, err := s.Controller(); {
	case err == nil:
		key = c.Address()
	case !errors.Is(err, ErrNotFound):
		return fmt.Errorf("the controller key: %w", err)
	}
	if !slices.Contains(tokens, token) || !slices.Contains(keys, key) {
		return fmt.Errorf("token %q and key %q, want %q and %q", token, key, tokens, keys)
	}
	if _, err := s.Intent("main"); err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("the journal: %w", err)
	}
	return s.PutIntent("main", &Intent{Label: "the next enrollment"})
}

// crashDirectory is in memory if there is one, since thousands of stores are opened.
func crashDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "crash")
	if err != nil {
		return filepath.Join(t.TempDir(), "state")
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "state")
}

func TestEveryLegalCrashState(t *testing.T) {
	all := os.Getenv("KEYSTORE_CRASH_STATES") == "all"
	dir := crashDirectory(t)
	total, opened, lost := 0, 0, 0
	for _, p := range protocols(t) {
		r := recordProtocol(t, p)
		mine, bad, n := 0, 0, 0
		distinct := r.crashes(1_000_000, func(files map[string]string, acknowledged int) {
			if n++; !all && n%150 != 0 {
				return
			}
			mine++
			if err := p.survives(dir, files, acknowledged); err != nil {
				if bad++; bad <= 3 {
					t.Errorf("%s, %d steps acknowledged, files %v: %v", p.name, acknowledged, slices.Sorted(maps.Keys(files)), err)
				}
			}
		})
		t.Logf("%-9s %4d calls, %6d states, %6d opened, %d lost or in need of a person", p.name, len(r.calls), distinct, mine, bad)
		total, opened, lost = total+distinct, opened+mine, lost+bad
	}
	t.Logf("%-9s %11s %6d states, %6d opened, %d lost or in need of a person", "all", "", total, opened, lost)
	if total < 10_000 {
		t.Errorf("only %d distinct states", total)
	}
}

// TestCrashStatesFindLoss: a store that renames without syncing loses tokens in the
// same states, so the search can find a loss.
func TestCrashStatesFindLoss(t *testing.T) {
	dir := crashDirectory(t)
	for _, p := range protocols(t)[:2] {
		r := recordProtocol(t, p)
		var careless recording
		careless.disk = r.disk
		for i, c := range r.calls {
			if c.op != "sync" && c.op != "syncdir" && !strings.HasPrefix(c.name, probeName) {
				careless.calls, careless.acks = append(careless.calls, c), append(careless.acks, r.acks[i])
			}
		}
		tried, lost := 0, 0
		n := 0
		careless.crashes(5000, func(files map[string]string, acknowledged int) {
			if n++; n%10 != 0 {
				return
			}
			if tried++; p.survives(dir, files, acknowledged) != nil {
				lost++
			}
		})
		t.Logf("%-9s without fsync: %d of %d states lose something", p.name, lost, tried)
		if lost == 0 {
			t.Errorf("%s: no loss was found in %d states", p.name, tried)
		}
	}
}
