package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// trustConfig refuses to send a secret where a file says that somebody else can have
// written: the configuration names the orchestrator, ca_file whom to believe. Through
// sudo, the file of the person who ran it is fine.
func (a *app) trustConfig(cfg *config.Config) error {
	if faults := a.writableConfig(cfg); len(faults) > 0 {
		return status.NewProblem(status.CodeConfig, faults[0]+", who could have changed where the secret is sent; nothing was sent").
			Advise("chmod go-w and chown it, or use another file")
	}
	return nil
}

// writableConfig says how somebody else could have written the configuration, its drop-ins or ca_file.
func (a *app) writableConfig(cfg *config.Config) []string {
	var faults []string
	for _, path := range append([]string{cfg.Path, cfg.Orchestrator.CAFile}, cfg.DropIns...) {
		if path == "" {
			continue
		}
		if fault := writableByOthers(path, a.trustedUsers(), onReadOnlyMount); fault != "" {
			faults = append(faults, fault)
		}
	}
	return faults
}

// trustedUsers are root, ourselves and, for root run through sudo, the person who ran it.
func (a *app) trustedUsers() map[int]bool {
	users := map[int]bool{0: true, os.Geteuid(): true}
	if os.Geteuid() == 0 {
		if uid, err := strconv.Atoi(environment(a.env)["SUDO_UID"]); err == nil {
			users[uid] = true
		}
	}
	return users
}

// writableByOthers says how somebody else could have written a file; "" if nobody could.
// A group of the same number as its owner is that user's own. On a read-only mount a mode
// permits no writing: a kubelet mounts a ConfigMap so, in a directory of mode 0777.
func writableByOthers(path string, trusted map[int]bool, readOnly func(path string) bool) string {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		return fmt.Sprintf("%s cannot be checked (%v)", path, err)
	}
	if real, err = filepath.Abs(real); err != nil {
		return fmt.Sprintf("%s cannot be checked (%v)", path, err)
	}
	for at := real; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return fmt.Sprintf("%s cannot be checked (%v)", at, err)
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return ""
		}
		sticky := info.IsDir() && info.Mode()&os.ModeSticky != 0
		switch {
		case !trusted[int(st.Uid)]:
			return fmt.Sprintf("%s belongs to user %d", at, st.Uid)
		case sticky || readOnly(at):
		case info.Mode().Perm()&0o002 != 0:
			return at + " can be written by every user"
		case info.Mode().Perm()&0o020 != 0 && st.Gid != st.Uid && st.Gid != 0:
			return fmt.Sprintf("%s can be written by group %d", at, st.Gid)
		}
		if at == filepath.Dir(at) {
			return ""
		}
	}
}

// onReadOnlyMount reports whether nothing can be written below a path as it is mounted here.
func onReadOnlyMount(path string) bool {
	const readOnly = 1 // ST_RDONLY
	var fs syscall.Statfs_t
	return syscall.Statfs(path, &fs) == nil && fs.Flags&readOnly != 0
}
