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
)

// tightDisk enrolls on file systems that have so many inodes, or so many bytes:
// enroll finds out before it spends anything, and works once there is room.
func tightDisk(l *lab, r *row) {
	if r.notRun = notRoot(); r.notRun != "" {
		return
	}
	var options []string
	for n := 2; n <= 16; n++ {
		options = append(options, fmt.Sprintf("nr_inodes=%d", n))
	}
	step := l.pick(16, 4)
	for kib := 4; kib <= 96; kib += step {
		options = append(options, fmt.Sprintf("size=%dk", kib))
	}
	refused := 0
	for _, o := range options {
		f, spent, no, err := l.tight(o)
		if err != nil {
			r.broken(fmt.Errorf("%s: %w", o, err))
			return
		}
		if no {
			refused++
		}
		if spent && f.good() {
			f.halves, f.why = 1, "an enrollment was spent although the store could not keep it"
		}
		r.add("tmpfs "+o, f)
	}
	r.how = fmt.Sprintf("tmpfs with nr_inodes 2 to 16 and size 4 to 96 KiB; %d refused with a sentence before anything was asked of the server, then given room", refused)
}

// tight enrolls on one tmpfs; spent says that a refusal came too late.
func (l *lab) tight(option string) (f finding, spent, refused bool, err error) {
	point, err := l.newDir()
	if err != nil {
		return f, false, false, err
	}
	if err := unix.Mount("tmpfs", point, "tmpfs", 0, "mode=0700,"+option); err != nil {
		return f, false, false, err
	}
	defer func() { _ = unix.Unmount(point, unix.MNT_DETACH) }()
	w, err := l.newWorld(point)
	if err != nil {
		return f, false, false, err
	}
	defer w.close()
	o, err := w.verb(nil, w.enrollArgs()...)
	if err != nil {
		return f, false, false, err
	}
	if o.exit != 0 {
		refused = true
		spent = w.sandbox.Requests() > 0 && len(w.living()) > 0
		if o.stderr == "" {
			f.halves, f.why = 1, "refused without a word"
		}
	}
	if err := unix.Mount("tmpfs", point, "tmpfs", unix.MS_REMOUNT, "nr_inodes=1000,size=4m"); err != nil {
		return f, false, false, err
	}
	after, err := w.settle(o.exit == 0)
	if f.good() {
		f = after
	}
	return f, spent, refused, err
}

// diskUnderRun fills the disk of a running daemon, gives room again, then makes
// it read-only as a failing card becomes: the beats go on, a change is refused
// with a sentence, and the next one works.
func diskUnderRun(l *lab, r *row) {
	h, why := l.host("ext4")
	if r.notRun = why; why != "" {
		return
	}
	p, err := h.onDisk()
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
	if err := p.answersAdmin(); err != nil {
		r.broken(err)
		return
	}
	for _, step := range []struct {
		what  string
		spoil func() error
		mend  func() error
	}{
		{"the disk is full", p.fill, p.unfill},
		{"the disk is read-only after an error", p.fail, func() error { d.kill(); return errors.Join(p.disk.unmount(), p.disk.mount()) }},
	} {
		f, err := p.spoiled(step.spoil, step.mend)
		if err != nil {
			r.broken(fmt.Errorf("%s: %w", step.what, err))
			return
		}
		r.add(step.what, f)
	}
	r.how = "ext4; two beats each after the fault, rotate and enroll --force refused with a sentence while it lasts, enroll after it"
}

// spoiled breaks the disk under the daemon and judges.
func (p *plugged) spoiled(spoil, mend func() error) (finding, error) {
	if err := spoil(); err != nil {
		return finding{}, err
	}
	var f finding
	for _, args := range [][]string{p.rotateArgs(), append(p.enrollArgs(), "--force")} {
		o, err := p.verb(nil, args...)
		if err != nil {
			return f, err
		}
		if o.exit == 0 || strings.TrimSpace(o.stderr) == "" {
			f.halves, f.why = f.halves+1, fmt.Sprintf("%s on that disk: %s", args[0], o)
		}
	}
	if n := len(p.living()); n != 1 {
		f.halves, f.why = f.halves+1, fmt.Sprintf("%d agents live after the refusals", n)
	}
	before := p.sandbox.Beats()
	if err := until(p.lab.ctx, 15*time.Second, "two more beats", func() bool { return p.sandbox.Beats() >= before+2 }); err != nil {
		f.halves, f.why = f.halves+1, err.Error()
	}
	if err := mend(); err != nil {
		return f, err
	}
	after, err := p.settle(true)
	if f.good() {
		f = after
	}
	return f, err
}

// fill takes all that is left of the disk.
func (p *plugged) fill() error {
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

func (p *plugged) unfill() error { return os.Remove(filepath.Join(p.disk.point, "ballast")) }

// fail reports an error to the file system, which then takes no more writes.
func (p *plugged) fail() error {
	out, err := exec.CommandContext(p.lab.ctx, "findmnt", "-no", "SOURCE", p.disk.point).Output()
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
