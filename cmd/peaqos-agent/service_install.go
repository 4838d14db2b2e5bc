package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/deploy/systemd"
)

// unitStart is how the shipped unit starts the agent, which systemd finds in its path.
// service install writes the full path of this binary, and the flags that it was given,
// instead: the unit runs what the person tried.
const unitStart = "ExecStart=peaqos-agent run\n"

// ourUnit is a line of every version of our unit.
const ourUnit = "Description=peaqOS agent: keeps this machine online with its orchestrator\n"

// stateDir is the directory that the unit itself gives to the service.
const stateDir = "/var/lib/peaqos-agent"

// installService writes and enables the unit. In a system that is not booted, such as an
// image that is being made, enabling is a link. The same unit again changes nothing; an
// older one of ours is replaced.
func (a *app) installService(context.Context) error {
	if !systemdRuns() && !systemdInstalled() {
		return status.NewProblem(status.CodeNoSystemd, "")
	}
	if err := refuseShadow(); err != nil {
		return err
	}
	text, err := a.unitText()
	if err != nil {
		return err
	}
	existing, err := os.ReadFile(unitDir + unit)
	switch {
	case err == nil && !strings.Contains(string(existing), ourUnit):
		return status.NewProblem(status.CodeFileExists, unitDir+unit+" was not written by peaqos-agent").Advise("move it away, then run the command again")
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	same := err == nil && string(existing) == text
	if !same {
		if err := writeUnit(text, existing != nil); err != nil {
			return err
		}
	}
	switch {
	case same:
		return a.controlled("already installed", false)
	case existing != nil:
		return a.controlled(status.ForReader("installed; the previous unit was replaced. Restart it with peaqos-agent service restart", a.reader()), true)
	case !systemdRuns():
		return a.controlled("installed; it starts when this system boots", true)
	}
	return a.controlled(status.ForReader("installed; start it with peaqos-agent service start", a.reader()), true)
}

// writeUnit writes and enables the unit, in the place of an older one. The library does
// that where systemd is running; in an image, which it does not know, enabling is a link.
func writeUnit(text string, replace bool) error {
	if systemdRuns() {
		s, err := systemdService(text)
		if err != nil {
			return err
		}
		if replace {
			if err := s.Uninstall(); err != nil {
				return err
			}
		}
		return s.Install()
	}
	if err := os.MkdirAll(wantedBy, 0o755); err != nil {
		return err
	}
	if err := replaceFile(unitDir+unit, []byte(text), 0o644); err != nil {
		return err
	}
	if err := os.Symlink(unitDir+unit, wantedBy+unit); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// unitText is the shipped unit with this binary, the flags of this command line and what
// the configured state directory needs.
func (a *app) unitText() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", status.NewProblem(status.CodeService, "where this program is cannot be known: "+err.Error()).
			Advise("mount /proc in this system, then run the command again").Wrap(err)
	}
	cfg, err := a.read()
	if err != nil {
		return "", err
	}
	words := []string{self}
	if cfg.Path != "" && (cfg.Path != config.DefaultPath || a.config != "") {
		path, err := filepath.Abs(cfg.Path)
		if err != nil {
			return "", err
		}
		words = append(words, "--config", path)
		if err := readableByService(path, "the configuration"); err != nil {
			return "", err
		}
	} else if cfg.Path != "" {
		if err := readableByService(cfg.Path, "the configuration"); err != nil {
			return "", err
		}
	}
	for _, path := range cfg.DropIns {
		if err := readableByService(path, "the drop-in"); err != nil {
			return "", err
		}
	}
	if a.url != "" {
		words = append(words, "--orchestrator-url", a.url)
	}
	dir, err := filepath.Abs(cfg.Keystore.Dir)
	if err != nil {
		return "", err
	}
	if a.dir != "" {
		words = append(words, "--keystore-dir", dir)
	}
	if err := readableByService(self, "the binary"); err != nil {
		return "", err
	}
	return unitFor(append(words, "run"), dir)
}

// unitFor is the unit that runs a command line with a state directory.
func unitFor(words []string, dir string) (string, error) {
	if hidden := hiddenFromService(dir); hidden != "" {
		return "", notVisible("the state directory", dir, hidden)
	}
	for _, w := range append(slices.Clone(words), dir) {
		if strings.Contains(w, "{{") {
			return "", status.NewProblem(status.CodeService, fmt.Sprintf("%.200q contains {{, which cannot be written into a unit", w))
		}
		if config.TextFault(w) != "" {
			return "", status.NewProblem(status.CodeService, fmt.Sprintf("%.200q %s", w, config.TextFault(w)))
		}
	}
	var quoted []string
	for i, w := range words {
		quoted = append(quoted, unitWord(w, i == 0))
	}
	start := "ExecStart=" + strings.Join(quoted, " ") + "\n"
	text := strings.Replace(systemd.Unit(), unitStart, start, 1)
	if !strings.Contains(text, start) {
		return "", errors.New("the shipped unit has no line " + strings.TrimSpace(unitStart))
	}
	if !under(stateDir, dir) {
		text = strings.Replace(text, "ProtectSystem=strict\n",
			"ProtectSystem=strict\n# keystore.dir; it must belong to the service's user.\nReadWritePaths="+unitWord(dir, true)+"\n", 1)
	}
	return text, nil
}

// unitWord writes a word so that systemd reads it as it is: in quotes if it has to be,
// with % doubled, and $ as well where systemd expands variables.
func unitWord(word string, literal bool) string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(word)
	if !literal {
		quoted = strings.ReplaceAll(quoted, "$", "$$")
	}
	if quoted == word && word != "" && !strings.ContainsAny(word, " '\t;") {
		return word
	}
	return `"` + quoted + `"`
}

// hiddenFromService is the directory of a path that the unit hides from the service, ""
// if it is visible: ProtectHome and PrivateTmp.
func hiddenFromService(path string) string {
	for _, dir := range []string{"/home", "/root", "/run/user", "/tmp", "/var/tmp"} {
		if under(dir, path) {
			return dir
		}
	}
	return ""
}

func notVisible(what, path, hidden string) error {
	return status.NewProblem(status.CodeService, fmt.Sprintf("%s is %s, and the service does not see %s", what, path, hidden)).
		Advise("put it elsewhere, for example below /usr/local/bin, /etc/peaqos-agent or /var/lib")
}

// unreadableConfig is why the service's user may not be able to read the usual
// configuration; nil if it can, or if that is not known.
func unreadableConfig() *status.Problem {
	var p *status.Problem
	if errors.As(readableByService(config.DefaultPath, "the configuration"), &p) {
		return p
	}
	return nil
}

// readableByService refuses a file that the service's user could not open: below a hidden
// directory, or without permission for others in its path.
func readableByService(path, what string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	for _, p := range []string{path, real} {
		if hidden := hiddenFromService(p); hidden != "" {
			return notVisible(what, p, hidden)
		}
	}
	info, err := os.Stat(real)
	if err != nil {
		return err
	}
	need, mode := os.FileMode(0o004), "o+r"
	if what == "the binary" {
		need, mode = 0o005, "o+rx"
	}
	if info.Mode().Perm()&need != need {
		return status.NewProblem(status.CodeService, fmt.Sprintf("%s %s has the mode %04o, so the service's user cannot use it", what, path, info.Mode().Perm())).
			Advise("chmod " + mode + " " + path)
	}
	for dir := filepath.Dir(real); dir != "/" && dir != "/etc/peaqos-agent"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o001 == 0 {
			return status.NewProblem(status.CodeService, fmt.Sprintf("%s is below %s, which the service's user cannot enter", what, dir)).
				Advise("chmod o+x " + dir)
		}
	}
	return nil
}
