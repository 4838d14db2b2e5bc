package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Survey is what can be seen of a store without opening it: nothing is made, locked or
// changed, and no content is read.
type Survey struct {
	Path   string // of the store's directory, absolute
	Exists bool
	// Err is why the directory could not be looked at, or why it is not used: an
	// *UnsafeError, or an error of the file system.
	Err        error
	UID        int // whom the directory belongs to
	Mode       fs.FileMode
	Files      []FileSurvey // sorted by name
	FileSystem string       // such as ext4; see [Store.FileSystem]
	Volatile   bool         // in memory; see [Store.Volatile]
	FreeBytes  uint64       // of the disk, for this user
	FreeFiles  uint64       // how many more files fit; 0 with UnlimitedFiles
	// UnlimitedFiles: the file system has no fixed number of files.
	UnlimitedFiles bool
	HolderPID      int // the process that has the lock; 0: none, or not visible
}

// FileSurvey is one file of a store.
type FileSurvey struct {
	Name string
	Mode fs.FileMode // the permissions; with fs.ModeIrregular for anything but a regular file
	Size int64
	UID  int
}

// Look surveys the store in dir.
func Look(dir string) Survey {
	path, err := filepath.Abs(filepath.Join(dir, "keystore"))
	if err != nil {
		return Survey{Err: err}
	}
	s := Survey{Path: path, FileSystem: "unknown"}
	f, err := openForLook(path)
	if errors.Is(err, fs.ErrNotExist) {
		s.lookAtDisk(dir)
		return s
	}
	s.Exists = true
	if err != nil {
		s.Err = err
		return s
	}
	defer f.Close()
	s.lookAtMedium(int(f.Fd()))
	s.lookAtFiles(directory{f: f, observe: func(Event) {}})
	return s
}

// openForLook opens the directory of a store, which a symbolic link is not.
func openForLook(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		problem := FileNotRegular
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			problem = FileIsLink
		}
		return nil, &UnsafeError{FileFacts{Path: path, Dir: true, Problem: problem}}
	case err != nil:
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// lookAtDisk looks at the disk on which a store would be made: that of the nearest
// directory that exists.
func (s *Survey) lookAtDisk(dir string) {
	at, err := filepath.Abs(dir)
	for err == nil {
		var f *os.File
		if f, err = os.Open(at); err == nil {
			s.lookAtMedium(int(f.Fd()))
			_ = f.Close()
			return
		}
		if !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return
		}
		at, err = filepath.Dir(at), nil
	}
}

func (s *Survey) lookAtMedium(fd int) {
	s.FileSystem, s.Volatile = fileSystemOf(fd), inMemory(fd)
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) != nil {
		return
	}
	free := st.Bavail
	if os.Geteuid() == 0 {
		free = st.Bfree
	}
	s.FreeBytes, s.FreeFiles, s.UnlimitedFiles = free*uint64(st.Bsize), st.Ffree, st.Files == 0
}

// lookAtFiles looks at owner and mode of the directory and its files, by the rules by
// which they are opened.
func (s *Survey) lookAtFiles(d directory) {
	var own unix.Stat_t
	if s.Err = unix.Fstat(d.fd(), &own); s.Err != nil {
		return
	}
	s.UID, s.Mode, s.HolderPID = int(own.Uid), fs.FileMode(own.Mode&0o777), holder(d)
	if me := os.Geteuid(); me != 0 && s.UID != me {
		s.Err = &UnsafeError{FileFacts{Path: s.Path, Dir: true, Problem: FileWrongOwner, UID: s.UID, WantUID: me}}
		return
	}
	names, err := d.list()
	if err != nil {
		s.Err = err
		return
	}
	slices.Sort(names)
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
			continue
		}
		mode := fs.FileMode(st.Mode & 0o777)
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			mode |= fs.ModeIrregular
		}
		s.Files = append(s.Files, FileSurvey{name, mode, st.Size, int(st.Uid)})
		facts := FileFacts{Path: d.path(name), UID: int(st.Uid), WantUID: s.UID, Mode: fs.FileMode(st.Mode & 0o777)}
		switch {
		case st.Mode&unix.S_IFMT == unix.S_IFLNK:
			facts.Problem = FileIsLink
		case st.Mode&unix.S_IFMT != unix.S_IFREG:
			facts.Problem = FileNotRegular
		case int(st.Uid) != s.UID && st.Uid != 0:
			facts.Problem = FileWrongOwner
		}
		if facts.Problem != 0 && s.Err == nil {
			s.Err = &UnsafeError{facts}
		}
	}
}

// Reachable lists what other users can reach, with its mode.
func (s Survey) Reachable() []string {
	var open []string
	if s.Exists && s.Mode&0o077 != 0 {
		open = append(open, fmt.Sprintf("%s (%04o)", s.Path, s.Mode))
	}
	for _, f := range s.Files {
		if f.Mode.IsRegular() && f.Mode&0o077 != 0 {
			open = append(open, fmt.Sprintf("%s (%04o)", filepath.Join(s.Path, f.Name), f.Mode))
		}
	}
	return open
}

// Interrupted lists the temporary files that an interrupted write left. The next use of
// the store reads and removes them.
func (s Survey) Interrupted() []string {
	var left []string
	for _, f := range s.Files {
		if strings.HasSuffix(f.Name, tempSuffix) {
			left = append(left, filepath.Join(s.Path, f.Name))
		}
	}
	return left
}

// Full reports whether the disk has no room for the records of one machine.
func (s Survey) Full() bool {
	return s.FileSystem != "unknown" && (s.FreeBytes < 2*probeSize || !s.UnlimitedFiles && s.FreeFiles < 8)
}

// Tighten closes the directory of a store and its files to other users, as opening it
// does, and lists what it changed. Only what belongs to this user is changed, by root
// what belongs to the store's.
func Tighten(dir string) (changed []string, err error) {
	path, err := filepath.Abs(filepath.Join(dir, "keystore"))
	if err != nil {
		return nil, err
	}
	f, err := openForLook(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d := directory{f: f, observe: func(e Event) {
		if e.Err == nil {
			changed = append(changed, e.Path)
		} else {
			err = errors.Join(err, &os.PathError{Op: "chmod", Path: e.Path, Err: e.Err})
		}
	}}
	var st unix.Stat_t
	if err := unix.Fstat(d.fd(), &st); err != nil {
		return nil, err
	}
	d.uid, d.gid = int(st.Uid), int(st.Gid)
	if me := os.Geteuid(); me != 0 && d.uid != me {
		return nil, &UnsafeError{FileFacts{Path: path, Dir: true, Problem: FileWrongOwner, UID: d.uid, WantUID: me}}
	}
	if st.Mode&0o077 != 0 {
		d.observe(Event{Kind: EventTightened, Path: path, Err: unix.Fchmod(d.fd(), 0o700)})
	}
	d.tightenAll()
	return changed, err
}
