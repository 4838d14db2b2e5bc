package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// reader is the person at this command line, for whom commands are printed.
func (a *app) reader() status.Reader {
	r := status.Reader{Program: a.program, Flags: a.globalFlags()}
	if os.Geteuid() == 0 {
		// Through sudo, the next command is typed in the shell of who ran it.
		by := environment(a.env)["SUDO_UID"]
		r.Root = by == "" || by == "0"
		r.ServiceNeedsSudo, r.StoreNeedsSudo = !r.Root, !r.Root
		return r
	}
	if _, err := exec.LookPath("sudo"); err != nil {
		return r
	}
	r.ServiceNeedsSudo = true
	if cfg, err := a.read(); err == nil {
		r.StoreNeedsSudo = !mayChange(cfg.Keystore.Dir)
	}
	return r
}

// mayChange reports whether this user may change a store: it is theirs, or can be made.
func mayChange(dir string) bool {
	var st unix.Stat_t
	if unix.Stat(dir, &st) == nil {
		return int(st.Uid) == os.Geteuid()
	}
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		if unix.Stat(parent, &st) == nil || parent == "/" || parent == "." {
			return unix.Access(parent, unix.W_OK) == nil
		}
	}
}

// globalFlags are the flags of this command line that another command needs to use the
// same configuration and store.
func (a *app) globalFlags() string {
	var flags []string
	if a.config != "" && a.config != config.DefaultPath {
		flags = append(flags, "--config "+config.ShellWord(a.config))
	}
	if a.dir != "" {
		flags = append(flags, "--keystore-dir "+config.ShellWord(a.dir))
	}
	return strings.Join(flags, " ")
}

// programName is how this program can be started again: by its name if that is found in
// PATH, else as it was started.
func programName(arg0 string) string {
	const name = "peaqos-agent"
	self, err := os.Stat("/proc/self/exe")
	if err != nil || !strings.Contains(arg0, "/") {
		return name
	}
	if found, err := exec.LookPath(name); err == nil {
		if info, err := os.Stat(found); err == nil && os.SameFile(self, info) {
			return name
		}
	}
	return config.ShellWord(arg0)
}
