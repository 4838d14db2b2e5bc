package keystore_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

const otherUser = 4243

// isRoot: only root can make files of other users.
func isRoot() bool { return os.Geteuid() == 0 }

// TestRootTrustsNoPath: root uses no directory that another user could replace, and
// changes nothing on the way.
func TestRootTrustsNoPath(t *testing.T) {
	if !isRoot() {
		return
	}
	for name, c := range map[string]struct {
		build func(dir string) string // returns keystore.dir
		want  keystore.FileProblem    // 0: it is used
	}{
		"a service user below root": {func(dir string) string {
			must(t, errors.Join(os.Mkdir(dir+"/s", 0o755), os.Chown(dir+"/s", otherUser, otherUser)))
			return dir + "/s"
		}, 0},
		"a service user, with the store": {func(dir string) string {
			must(t, errors.Join(os.MkdirAll(dir+"/s/keystore", 0o700), os.Chown(dir+"/s", otherUser, otherUser), os.Chown(dir+"/s/keystore", otherUser, otherUser)))
			return dir + "/s"
		}, 0},
		"root below a sticky directory": {func(dir string) string {
			must(t, errors.Join(os.Mkdir(dir+"/d", 0o700), os.Chmod(dir+"/d", 0o777|os.ModeSticky), os.Mkdir(dir+"/d/s", 0o700)))
			return dir + "/d/s"
		}, 0},
		"a link of root": {func(dir string) string {
			must(t, errors.Join(os.Mkdir(dir+"/s", 0o700), os.Symlink("s", dir+"/l")))
			return dir + "/l"
		}, 0},
		"another user below a sticky directory": {func(dir string) string {
			must(t, errors.Join(os.Mkdir(dir+"/d", 0o700), os.Chmod(dir+"/d", 0o777|os.ModeSticky), os.Mkdir(dir+"/d/s", 0o700), os.Chown(dir+"/d/s", otherUser, otherUser)))
			return dir + "/d/s"
		}, keystore.FileExposed},
		"a component of another user": {func(dir string) string {
			must(t, errors.Join(os.MkdirAll(dir+"/o/s", 0o755), os.Chown(dir+"/o", otherUser, otherUser)))
			return dir + "/o/s"
		}, keystore.FileExposed},
		"a component that all can write": {func(dir string) string {
			must(t, errors.Join(os.MkdirAll(dir+"/o/s", 0o755), os.Chmod(dir+"/o", 0o777)))
			return dir + "/o/s"
		}, keystore.FileExposed},
		"to be made where all can write": {func(dir string) string {
			must(t, errors.Join(os.Mkdir(dir+"/o", 0o700), os.Chmod(dir+"/o", 0o777)))
			return dir + "/o/s"
		}, keystore.FileExposed},
		"a component that another group can write": {func(dir string) string {
			must(t, errors.Join(os.MkdirAll(dir+"/o/s", 0o755), os.Chown(dir+"/o", 0, otherUser), os.Chmod(dir+"/o", 0o775)))
			return dir + "/o/s"
		}, keystore.FileExposed},
		"a link of another user": {func(dir string) string {
			must(t, errors.Join(os.Mkdir(dir+"/s", 0o700), os.Symlink("s", dir+"/l"), os.Lchown(dir+"/l", otherUser, otherUser)))
			return dir + "/l"
		}, keystore.FileExposed},
		"a store of another user in root's directory": {func(dir string) string {
			must(t, errors.Join(os.MkdirAll(dir+"/s/keystore", 0o700), os.Chown(dir+"/s/keystore", otherUser, otherUser)))
			return dir + "/s"
		}, keystore.FileWrongOwner},
		"a link of a service user in place of the store": {func(dir string) string {
			must(t, errors.Join(os.Mkdir(dir+"/s", 0o755), os.Mkdir(dir+"/victim", 0o755), os.Chown(dir+"/s", otherUser, otherUser),
				os.Symlink(dir+"/victim", dir+"/s/keystore"), os.Lchown(dir+"/s/keystore", otherUser, otherUser)))
			return dir + "/s"
		}, keystore.FileIsLink},
	} {
		dir := t.TempDir()
		store := c.build(dir)
		before := tree(t, dir)
		s, err := keystore.Open(context.Background(), store, keystore.Options{})
		var unsafe *keystore.UnsafeError
		switch {
		case c.want == 0 && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != 0 && (!errors.As(err, &unsafe) || unsafe.Problem != c.want):
			t.Errorf("%s: %v, want problem %d", name, err, c.want)
		case c.want != 0 && tree(t, dir) != before:
			t.Errorf("%s: something was changed:\n%s%s", name, before, tree(t, dir))
		}
		if err == nil {
			must(t, s.Close())
		}
	}
}

// tree lists every file with its owner, mode and number of names.
func tree(t *testing.T, dir string) string {
	t.Helper()
	list := ""
	must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &st)
		}
		list += path + " " + strconv.Itoa(int(st.Uid)) + " " + strconv.FormatUint(uint64(st.Mode), 8) + " " + strconv.Itoa(int(st.Nlink)) + "\n"
		return err
	}))
	return list
}

// TestLinkedVictim: a file of root that the service's user linked into the store is
// not given away, changed, written to or deleted.
func TestLinkedVictim(t *testing.T) {
	if !isRoot() {
		return
	}
	for _, name := range []string{"lock", "host.a", "seal.a", "agent-main.a", "agent-main.b.tmp", "probe.a", "reset", "seal.a.lost-1"} {
		for _, mode := range []os.FileMode{0o600, 0o644} {
			dir := t.TempDir()
			must(t, os.Chown(dir, otherUser, otherUser))
			s := open(t, dir, keystore.Options{})
			must(t, s.PutAgent("main", testAgent("tok")))
			must(t, s.Close())
			victim := filepath.Join(t.TempDir(), "victim")
			write(t, victim, []byte("secret of root"))
			must(t, os.Chmod(victim, mode))
			must(t, os.RemoveAll(file(dir, name)))
			must(t, os.Link(victim, file(dir, name)))
			if s, err := keystore.Open(context.Background(), dir, keystore.Options{Volatile: true}); err == nil {
				_ = s.CheckDurable()
				_ = s.PutAgent("main", testAgent("new"))
				_ = s.Reset()
				must(t, s.Close())
			}
			var st unix.Stat_t
			must(t, unix.Stat(victim, &st))
			if string(read(t, victim)) != "secret of root" || st.Uid != 0 || os.FileMode(st.Mode&0o777) != mode {
				t.Errorf("%s, %04o: owner %d, mode %04o, %q", name, mode, st.Uid, st.Mode&0o777, read(t, victim))
			}
		}
	}
}

// TestGroupVolume: the root of a volume that our group can write, as with fsGroup.
func TestGroupVolume(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o775|os.ModeSetgid))
	s := open(t, dir, keystore.Options{})
	must(t, s.PutAgent("main", testAgent("tok")))
	wantToken(t, s, "tok")
}

// TestAnyUmask: no umask spoils what the store makes.
func TestAnyUmask(t *testing.T) {
	for _, mask := range []string{"0000", "0077", "0177", "0777"} {
		dir := filepath.Join(t.TempDir(), "made")
		cmd := exec.Command(os.Args[0]) //nolint:gosec // this test's own binary
		cmd.Env = append(os.Environ(), "KEYSTORE_TEST_ROLE=umask", "KEYSTORE_TEST_DIR="+dir, "KEYSTORE_TEST_UMASK="+mask)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("umask %s: %v: %s", mask, err, out)
			continue
		}
		for _, d := range []string{dir, filepath.Join(dir, "keystore")} {
			if st, err := os.Stat(d); err != nil || st.Mode().Perm() != 0o700 {
				t.Errorf("umask %s: %s has mode %v", mask, d, st.Mode())
			}
		}
		s := open(t, dir, keystore.Options{Observe: func(e keystore.Event) { t.Errorf("umask %s: event %+v", mask, e) }})
		wantToken(t, s, "tok")
	}
}

// TestVolatile: a store in memory is refused before anything is made in it, unless it
// is asked for.
func TestVolatile(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "store")
	if err != nil {
		return // there is no memory to put it in
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	key, err := keystore.NewKey()
	must(t, err)
	s, err := keystore.Open(context.Background(), dir, keystore.Options{})
	must(t, err)
	var volatile *keystore.VolatileError
	for what, err := range map[string]error{"CheckDurable": s.CheckDurable(), "PutController": s.PutController(key)} {
		if !errors.As(err, &volatile) || volatile.FileSystem != "tmpfs" {
			t.Errorf("%s = %v, want ErrVolatile", what, err)
		}
	}
	if !s.Volatile() || len(snapshot(t, dir)) != 0 {
		t.Errorf("volatile %v, files %v", s.Volatile(), snapshot(t, dir))
	}
	must(t, s.Close())
	s = open(t, dir, keystore.Options{Volatile: true})
	must(t, errors.Join(s.CheckDurable(), s.PutController(key), s.PutAgent("main", testAgent("tok"))))
	must(t, s.Close())
	s, err = keystore.Open(context.Background(), dir, keystore.Options{}) // an existing one stays usable
	must(t, err)
	wantToken(t, s, "tok")
	must(t, s.Close())
}
