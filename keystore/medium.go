package keystore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FileSystem is the name of the file system that the store is on, such as "ext4"
// (also for ext2 and ext3), "tmpfs" or "overlay", or its number in hex if it is not
// known. An overlay is often lost with its container; whether that is acceptable is
// up to the caller.
func (s *Store) FileSystem() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "unknown"
	}
	return fileSystemOf(s.dir.fd())
}

// Volatile reports whether the store is in memory, and therefore lost at a restart:
// on a tmpfs or ramfs, on a disk in memory, or on an overlay whose upper layer is.
func (s *Store) Volatile() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && inMemory(s.dir.fd())
}

// volatile is the ErrVolatile of a store that may not be in memory.
func (s *Store) volatile() error {
	if s.closed || s.options.Volatile || !inMemory(s.dir.fd()) {
		return nil
	}
	return &VolatileError{Path: s.dir.f.Name(), FileSystem: fileSystemOf(s.dir.fd())}
}

func fileSystemOf(fd int) string {
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil {
		return "unknown"
	}
	return fileSystemName(uint32(fs.Type))
}

func fileSystemName(magic uint32) string {
	names := map[uint32]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "ramfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay",
		unix.BTRFS_SUPER_MAGIC: "btrfs", unix.XFS_SUPER_MAGIC: "xfs", unix.F2FS_SUPER_MAGIC: "f2fs", unix.NFS_SUPER_MAGIC: "nfs",
		unix.MSDOS_SUPER_MAGIC: "vfat", unix.FUSE_SUPER_MAGIC: "fuse", unix.V9FS_MAGIC: "9p", unix.SQUASHFS_MAGIC: "squashfs",
		0x24051905: "ubifs", 0x72b6: "jffs2", 0x2fc12fc1: "zfs", 0xca451a4e: "bcachefs", 0x2011bab0: "exfat",
		0xff534d42: "cifs", 0xfe534d42: "smb2", 0x7366746e: "ntfs3", 0x5346544e: "ntfs",
		0x6a656a63: "virtiofs",
	}
	if name, ok := names[magic]; ok {
		return name
	}
	return fmt.Sprintf("0x%x", magic)
}

// modeless is the name of the file system if chmod and chown cannot work on it, or
// have no effect: those of other systems, and what virtual machines share with their
// host. Otherwise it is empty.
func modeless(fd int) string {
	name := fileSystemOf(fd)
	if slices.Contains([]string{"vfat", "exfat", "ntfs", "ntfs3", "fuse", "9p", "cifs", "smb2", "virtiofs"}, name) {
		return name
	}
	return ""
}

// inMemory reports whether an open file is not on a disk.
func inMemory(fd int) bool {
	switch name := fileSystemOf(fd); name {
	case "tmpfs", "ramfs":
		return true
	case "overlay":
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		return err == nil && overlayInMemory(fd, parseMounts(string(mounts)))
	}
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && deviceInMemory("/", unix.Major(st.Dev), unix.Minor(st.Dev))
}

// deviceInMemory reports whether a block device is a RAM disk, or a file that is on
// one.
func deviceInMemory(root string, major, minor uint32) bool {
	link := filepath.Join(root, "sys/dev/block", fmt.Sprintf("%d:%d", major, minor))
	device, err := filepath.EvalSymlinks(link)
	if err != nil {
		return false
	}
	name := filepath.Base(device)
	if strings.HasPrefix(name, "ram") || strings.HasPrefix(name, "zram") {
		return true
	}
	file, err := os.ReadFile(filepath.Join(device, "loop/backing_file"))
	return err == nil && pathInMemory(strings.TrimSpace(string(file)))
}

func pathInMemory(path string) bool {
	var fs unix.Statfs_t
	if !filepath.IsAbs(path) || unix.Statfs(path, &fs) != nil {
		return false
	}
	name := fileSystemName(uint32(fs.Type))
	return name == "tmpfs" || name == "ramfs"
}

// mount is one line of /proc/self/mountinfo, for example
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
type mount struct {
	id                    int
	root, point, fs, opts string
}

func parseMounts(mountinfo string) []mount {
	var all []mount
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(g) < 1 {
			continue
		}
		m := mount{root: unescapeMount(f[3]), point: unescapeMount(f[4]), fs: g[0]}
		m.id, _ = strconv.Atoi(f[0])
		if len(g) >= 3 {
			m.opts = g[2]
		}
		all = append(all, m)
	}
	return all
}

// unescapeMount decodes the octal escapes of mountinfo, such as \040 for a space.
func unescapeMount(s string) string {
	for _, e := range [][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		s = strings.ReplaceAll(s, e[0], e[1])
	}
	return s
}

// overlayInMemory reports whether the upper layer of the overlay of an open file is in
// memory. The path of that layer may be of another mount namespace, or hidden below
// the overlay. Then the layer is recognized by its free space, which an overlay
// reports as its own, and the root of a system that keeps it read-only by its command
// line.
func overlayInMemory(fd int, mounts []mount) bool {
	id := mountID(fd)
	i := slices.IndexFunc(mounts, func(m mount) bool { return m.id == id && m.fs == "overlay" })
	if i < 0 {
		return false
	}
	upper := ""
	for o := range strings.SplitSeq(mounts[i].opts, ",") {
		if dir, ok := strings.CutPrefix(o, "upperdir="); ok {
			upper = unescapeMount(dir)
		}
	}
	var fs unix.Statfs_t
	if filepath.IsAbs(upper) && unix.Statfs(upper, &fs) == nil && uint32(fs.Type) != unix.OVERLAYFS_SUPER_MAGIC {
		return pathInMemory(upper)
	}
	var own unix.Statfs_t
	if upper == "" || unix.Fstatfs(fd, &own) != nil {
		return false
	}
	for _, m := range mounts {
		if m.fs != "tmpfs" && m.fs != "ramfs" {
			continue
		}
		var other unix.Statfs_t
		if unix.Statfs(m.point, &other) == nil && own.Blocks == other.Blocks && own.Bfree == other.Bfree &&
			own.Files == other.Files && own.Ffree == other.Ffree && own.Bsize == other.Bsize {
			return true
		}
	}
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil || mounts[i].point != "/" || InContainer("/") {
		return false
	}
	return strings.Contains(string(line), "boot=overlay") || strings.Contains(string(line), "overlayroot=tmpfs")
}

// mountID is the id of the mount that an open file is on, 0 if it is not known.
func mountID(fd int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if id, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(id))
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// aclXattr is the extended attribute with the access control list of a file.
const aclXattr = "system.posix_acl_access"

// aclOf reports whether an access control list opens a file to others than root, the
// current user and its groups. Without a list, known is false.
func aclOf(fd int) (open, known bool) {
	buf := make([]byte, 4096)
	n, err := unix.Fgetxattr(fd, aclXattr, buf)
	if errors.Is(err, unix.ERANGE) {
		return true, true
	}
	if err != nil || n < 4 {
		return false, false
	}
	const userTag, groupObjTag, groupTag, maskTag, otherTag = 0x02, 0x04, 0x08, 0x10, 0x20
	type entry struct{ tag, perm, id int }
	var entries []entry
	mask := 7
	for b := buf[4:n]; len(b) >= 8; b = b[8:] {
		e := entry{int(b[0]) | int(b[1])<<8, int(b[2]) | int(b[3])<<8, int(b[4]) | int(b[5])<<8 | int(b[6])<<16 | int(b[7])<<24}
		if e.tag == maskTag {
			mask = e.perm
		}
		entries = append(entries, e)
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return true, true
	}
	for _, e := range entries {
		perm := e.perm & mask
		switch e.tag {
		case userTag:
			open = open || perm != 0 && !trusted(uint32(e.id))
		case groupObjTag:
			open = open || perm != 0 && !inGroup(int(st.Gid))
		case groupTag:
			open = open || perm != 0 && !inGroup(e.id)
		case otherTag:
			open = open || e.perm != 0
		}
	}
	return open, true
}
