package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A disk is an image file with a file system, mounted through a loop device. What
// was written to the device is in the file, what the kernel still buffers is not: a
// copy of the file is the disk after a power cut. The copies are clones on
// a file system that shares blocks (xfs). A clone is atomic, so an image is the disk
// of one moment even while it is written to. Without such a file system the process
// is killed first and the file is copied.

// diskHost makes disks of one kind.
type diskHost struct {
	faults   *harness
	kind     string
	dir      string
	template string
	clones   bool
	mu       sync.Mutex // btrfs knows an image by an id that its copies share
}

// host prepares a kind of disk, once, or returns the reason why it cannot.
func (f *harness) host(kind string) (*diskHost, string) {
	if h := f.hosts[kind]; h != nil {
		return h, ""
	}
	if why := cmp.Or(notRoot(), missing("mkfs."+kind, "losetup", "mount")); why != "" {
		return nil, why
	}
	dir, clones, err := f.cloning()
	if err != nil {
		return nil, err.Error()
	}
	h := &diskHost{faults: f, kind: kind, clones: clones, template: filepath.Join(dir, kind+".template")}
	if h.dir, err = os.MkdirTemp(dir, kind); err != nil {
		return nil, err.Error()
	}
	size, args := int64(16<<20), []string{"-q"}
	switch kind {
	case "xfs":
		size = 300 << 20 // the smallest that mkfs.xfs makes
	case "btrfs":
		size = 128 << 20
	}
	if err := emptyFile(h.template, size); err != nil {
		return nil, err.Error()
	}
	if out, err := exec.CommandContext(f.ctx, "mkfs."+kind, append(args, h.template)...).CombinedOutput(); err != nil {
		return nil, fmt.Sprintf("mkfs.%s: %s", kind, strings.TrimSpace(string(out)))
	}
	probe, err := h.fresh()
	if err != nil {
		return nil, fmt.Sprintf("%s images cannot be mounted: %v", kind, err)
	}
	probe.remove()
	f.hosts[kind] = h
	return h, ""
}

// cloning returns a directory in which files can be cloned, or an ordinary one.
func (f *harness) cloning() (dir string, clones bool, err error) {
	dir = filepath.Join(f.root, "clones")
	if _, err := os.Stat(dir); err == nil {
		return dir, missing("mkfs.xfs") == "", nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil || missing("mkfs.xfs") != "" {
		return dir, false, err
	}
	image := dir + ".img"
	if err := emptyFile(image, 4<<30); err != nil {
		return dir, false, err
	}
	for _, line := range [][]string{{"mkfs.xfs", "-q", "-m", "reflink=1", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.CommandContext(f.ctx, line[0], line[1:]...).CombinedOutput(); err != nil {
			return dir, false, fmt.Errorf("%s: %s", line[0], strings.TrimSpace(string(out)))
		}
	}
	f.closers = append(f.closers, func() { _ = exec.Command("umount", dir).Run() })
	return dir, true, nil
}

func emptyFile(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// copyImage clones an image, or copies it as a sparse file.
func (h *diskHost) copyImage(from, to string) error {
	if !h.clones {
		if out, err := exec.CommandContext(h.faults.ctx, "cp", "--sparse=always", from, to).CombinedOutput(); err != nil {
			return fmt.Errorf("cp: %s", out)
		}
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(unix.IoctlFileClone(int(out.Fd()), int(in.Fd())), out.Close())
}

// disk is one image, mounted at point.
type disk struct {
	host  *diskHost
	image string
	point string
}

// fresh makes an empty disk and mounts it.
func (h *diskHost) fresh() (*disk, error) {
	d, err := h.copyOf(h.template)
	if err != nil {
		return nil, err
	}
	return d, d.mount()
}

// copyOf makes a disk with the content of another image; it is not mounted.
func (h *diskHost) copyOf(image string) (*disk, error) {
	name := filepath.Join(h.dir, fmt.Sprint(h.faults.counter.Add(1)))
	d := &disk{h, name + ".img", name}
	if err := os.Mkdir(d.point, 0o700); err != nil {
		return nil, err
	}
	return d, h.copyImage(image, d.image)
}

// mount mounts the disk, which replays the journal.
func (d *disk) mount() error {
	options := "loop"
	switch d.host.kind {
	case "ext4":
		options += ",errors=remount-ro"
	case "xfs":
		options += ",nouuid"
	case "btrfs":
		_ = exec.Command("btrfs", "device", "scan", "--forget").Run() // the copy has the id of its original
	}
	if out, err := exec.CommandContext(d.host.faults.ctx, "mount", "-o", options, d.image, d.point).CombinedOutput(); err != nil {
		return fmt.Errorf("mount: %s", strings.TrimSpace(string(out)))
	}
	return nil
}

func (d *disk) unmount() error {
	out, err := exec.Command("umount", d.point).CombinedOutput()
	if err != nil {
		return fmt.Errorf("umount: %s", strings.TrimSpace(string(out)))
	}
	return nil
}

// cut returns the disk after a power cut at this instant; it is not mounted.
func (d *disk) cut() (*disk, error) { return d.host.copyOf(d.image) }

// remove unmounts and deletes.
func (d *disk) remove() {
	_ = exec.Command("umount", "-q", d.point).Run()
	_ = os.Remove(d.image)
	_ = os.Remove(d.point)
}

// state makes the agent's state directory on this disk.
func (d *disk) state() (string, error) {
	dir := filepath.Join(d.point, "state")
	return dir, os.MkdirAll(dir, 0o700)
}
