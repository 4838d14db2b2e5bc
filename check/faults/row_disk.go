package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

// tightDisk enrolls on file systems with few inodes or few bytes: enroll detects it
// before it uses an enrollment, and works once there is space.
func tightDisk(h *harness, r *row) {
	if r.notRun = notRoot(); r.notRun != "" {
		return
	}
	var options []string
	for n := 2; n <= 16; n++ {
		options = append(options, fmt.Sprintf("nr_inodes=%d", n))
	}
	step := h.pick(16, 4)
	for kib := 4; kib <= 96; kib += step {
		options = append(options, fmt.Sprintf("size=%dk", kib))
	}
	refused := 0
	for _, o := range options {
		f, limited, spent, no, err := h.tight(o)
		if err != nil {
			r.broken(fmt.Errorf("%s: %w", o, err))
			return
		}
		if no {
			refused++
		}
		if spent && f.good() {
			f.halves, f.why = 1, "an enrollment was used although the store could not be written"
		}
		r.add(attempt{"tmpfs " + o, limited, f})
	}
	r.how = fmt.Sprintf("tmpfs with nr_inodes 2 to 16 and size 4 to 96 KiB; "+
		"%d times enroll failed with an error before any request to the server, and worked once there was space", refused)
}

// tight enrolls on one tmpfs; limited reports that it is as small as the option says,
// spent that enroll failed too late.
func (h *harness) tight(option string) (f finding, limited, spent, refused bool, err error) {
	point, err := h.newDir()
	if err != nil {
		return f, false, false, false, err
	}
	if err := unix.Mount("tmpfs", point, "tmpfs", 0, "mode=0700,"+option); err != nil {
		return f, false, false, false, err
	}
	defer func() { _ = unix.Unmount(point, unix.MNT_DETACH) }()
	var size unix.Statfs_t
	if err := unix.Statfs(point, &size); err != nil {
		return f, false, false, false, err
	}
	limited = option == fmt.Sprintf("nr_inodes=%d", size.Files) || option == fmt.Sprintf("size=%dk", size.Blocks*uint64(size.Bsize)/1024)
	w, err := h.newWorld(point)
	if err != nil {
		return f, false, false, false, err
	}
	defer w.close()
	o, err := w.runCommand(nil, w.enrollArgs()...)
	if err != nil {
		return f, false, false, false, err
	}
	if o.Exit != 0 {
		refused = true
		spent = w.sandbox.Requests() > 0 && len(w.active()) > 0
		if o.Stderr == "" {
			f.halves, f.why = 1, "it failed without a message"
		}
	}
	if err := unix.Mount("tmpfs", point, "tmpfs", unix.MS_REMOUNT, "nr_inodes=1000,size=4m"); err != nil {
		return f, false, false, false, err
	}
	after, err := w.settle(o.Exit == 0)
	if f.good() {
		f = after
	}
	return f, limited, spent, refused, err
}

// diskUnderRun fills the disk of a running daemon, frees it, then makes it read-only
// as a failing card becomes: heartbeats continue, a change fails with an error, and
// the next one works.
func diskUnderRun(h *harness, r *row) {
	disks, why := h.host("ext4")
	if r.notRun = why; why != "" {
		return
	}
	p, err := disks.onDisk()
	if err != nil {
		r.broken(err)
		return
	}
	defer p.close()
	if _, err = p.enroll(); err != nil {
		r.broken(err)
		return
	}
	d, err := p.run()
	if err != nil {
		r.broken(err)
		return
	}
	defer d.kill()
	if err := p.untilAdmin(); err != nil {
		r.broken(err)
		return
	}
	for _, step := range []struct {
		what   string
		damage func() error
		repair func() error
	}{
		{"the disk is full", p.fill, p.unfill},
		{"the disk is read-only after an error", p.fail, func() error {
			d.kill()
			return errors.Join(p.disk.unmount(), p.disk.mount())
		}},
	} {
		f, err := p.onDamagedDisk(step.damage, step.repair)
		if err != nil {
			r.broken(fmt.Errorf("%s: %w", step.what, err))
			return
		}
		r.add(attempt{step.what, true, f}) // fill and fail have seen the error themselves
	}
	r.how = "ext4; two heartbeats each after the fault, rotate and enroll --force fail with an error while it lasts, enroll works after it"
}

// onDamagedDisk damages the disk under the daemon, and checks what the agent does.
func (p *poweredWorld) onDamagedDisk(damage, repair func() error) (finding, error) {
	if err := damage(); err != nil {
		return finding{}, err
	}
	var f finding
	for _, args := range [][]string{p.rotateArgs(), append(p.enrollArgs(), "--force")} {
		o, err := p.runCommand(nil, args...)
		if err != nil {
			return f, err
		}
		if o.Exit == 0 || strings.TrimSpace(o.Stderr) == "" {
			f.halves, f.why = f.halves+1, fmt.Sprintf("%s on that disk: %s", args[0], o)
		}
	}
	if n := len(p.active()); n != 1 {
		f.halves, f.why = f.halves+1, fmt.Sprintf("%d active agents after the failed commands", n)
	}
	before := p.sandbox.Beats()
	twoMore := func() bool { return p.sandbox.Beats() >= before+2 }
	if err := lab.Until(p.faults.ctx, 15*time.Second, "two more heartbeats", twoMore); err != nil {
		f.halves, f.why = f.halves+1, err.Error()
	}
	if err := repair(); err != nil {
		return f, err
	}
	after, err := p.settle(true)
	if f.good() {
		f = after
	}
	return f, err
}

// fill uses all the space that is left on the disk.
func (p *poweredWorld) fill() error {
	f, err := os.Create(filepath.Join(p.disk.point, "ballast"))
	if err != nil {
		return err
	}
	block := make([]byte, 1024)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, unix.ENOSPC) {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}

func (p *poweredWorld) unfill() error { return os.Remove(filepath.Join(p.disk.point, "ballast")) }

// fail reports an error to the file system, which then rejects all writes.
func (p *poweredWorld) fail() error {
	out, err := exec.CommandContext(p.faults.ctx, "findmnt", "-no", "SOURCE", p.disk.point).Output()
	if err != nil {
		return err
	}
	trigger := filepath.Join("/sys/fs/ext4", filepath.Base(strings.TrimSpace(string(out))), "trigger_fs_error")
	if err := os.WriteFile(trigger, []byte("1"), 0o200); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(p.disk.point, "probe"), nil, 0o600); !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("the disk is not read-only: %w", err)
	}
	return nil
}
