package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// The names of the checks, in the order of the report.
const (
	checkConfig       = "configuration"
	checkFiles        = "files"
	checkStore        = "store"
	checkMedium       = "medium"
	checkSeal         = "seal"
	checkHardware     = "hardware"
	checkTelemetry    = "telemetry"
	checkClock        = "clock"
	checkProxy        = "proxy"
	checkNames        = "names"
	checkConnection   = "connection"
	checkTLS          = "tls"
	checkOrchestrator = "orchestrator"
	checkEndpoint     = "endpoint"
	checkAgent        = "agent"
	checkToken        = "token"
	checkAgents       = "agents"
	checkRotation     = "rotation"
	checkPresence     = "presence"
	checkControl      = "control"
	checkService      = "service"
)

// Examine turns facts into findings.
func Examine(f Facts) Report {
	r := Report{Version: f.Version, At: f.Now.UTC()}
	if f.Config == nil {
		f.examineInvalid(&r)
	} else {
		f.examineConfig(&r)
		f.examineStore(&r)
		f.examineNetwork(&r)
		f.examineEndpoints(&r)
		f.examineState(&r)
		f.examineAccounts(&r)
	}
	f.examineUnit(&r)
	r.OK = true
	for i := range r.Findings {
		found := &r.Findings[i]
		found.Text, found.Next = status.Escape(found.Text), f.playable(found.Next)
		r.OK = r.OK && found.Level != Warning && found.Level != Problem
	}
	return r
}

// maxProblems is how many problems of a configuration are listed.
const maxProblems = 20

// examineInvalid lists what is wrong with the configuration; nothing else can be examined.
func (f *Facts) examineInvalid(r *Report) {
	invalid := f.invalid()
	if invalid == nil {
		r.problem(Problem, checkConfig, agent.Explain(f.ConfigError))
		return
	}
	for _, p := range invalid.Problems[:min(len(invalid.Problems), maxProblems)] {
		r.put(Finding{
			Check: checkConfig, Level: Problem, Code: status.CodeConfig, Text: status.SanitizeTo(p.String(), 400), Next: "peaqos-agent config check",
		})
	}
	r.add(Skipped, checkStore, "the other checks need a configuration that is valid")
}

// examineConfig looks at the configuration and the files that it names.
func (f *Facts) examineConfig(r *Report) {
	text := f.Config.Path
	if text == "" {
		text = "environment and defaults; there is no configuration file"
	}
	for _, w := range f.Config.Warnings {
		r.put(Finding{Check: checkConfig, Level: Warning, Code: status.CodeConfigWarning, Text: w, Next: "peaqos-agent config check"})
	}
	for _, w := range f.AllowList {
		r.put(Finding{Check: checkConfig, Level: Problem, Code: status.CodeAPIPolicyDenied, Text: w, Next: "peaqos-agent rotate --api-key-file FILE"})
	}
	for _, w := range f.Writable {
		r.code(Problem, checkConfig, status.CodeConfigOwner, w)
	}
	if !slices.ContainsFunc(r.Findings, func(x Finding) bool { return x.Check == checkConfig }) {
		r.add(OK, checkConfig, text)
	}
	before := len(r.Findings)
	for _, w := range f.Environment {
		level := Problem
		if w.Code == status.CodeProxyVariable { // ALL_PROXY alone
			level = Warning
		}
		next := w.Next
		if next == "" {
			next = "peaqos-agent config check"
		}
		r.put(Finding{Check: checkFiles, Level: level, Code: w.Code, Text: w.Message, Next: next})
	}
	if f.KeyFile != nil {
		level := Skipped // nothing but this command needs it
		if f.Config.Enroll.Auto {
			level = Problem
		}
		r.problem(level, checkFiles, f.KeyFile)
	}
	if f.Variable != nil {
		r.problem(Problem, checkProxy, f.Variable)
	}
	if len(r.Findings) == before {
		r.add(OK, checkFiles, "the files that the configuration names can be used")
	}
}

// examineStore looks at what keeps the token.
func (f *Facts) examineStore(r *Report) {
	s := f.Store
	if unusable := f.ViewError != nil && f.ViewError.Code == status.CodeStoreUnusable; !s.Exists && !unusable {
		r.put(Finding{
			Check: checkStore, Level: Problem, Code: status.CodeNotEnrolled, Text: "not enrolled yet: there is no store in " + f.Config.Keystore.Dir,
			Next: f.nextFor(status.Unenrolled, status.NewCause(status.CodeNotEnrolled, "")),
		})
	}
	before := len(r.Findings)
	reachable, left := s.Reachable(), s.Interrupted()
	if len(reachable) > 0 {
		r.code(Problem, checkStore, status.CodeStoreModes, listed(reachable))
	}
	if len(left) > 0 {
		r.code(Warning, checkStore, status.CodeStoreLeftovers, listed(left))
	}
	if s.Full() {
		r.code(Problem, checkStore, status.CodeStoreFull, fmt.Sprintf("%d KiB and %d files are free on %s", s.FreeBytes>>10, s.FreeFiles, s.FileSystem))
	}
	f.examineOpening(r, len(reachable)+len(left) > 0)
	if s.Exists && s.Err == nil && len(r.Findings) == before {
		r.add(OK, checkStore, fmt.Sprintf("%s, %d files", s.Path, len(s.Files)))
	}
	switch {
	case s.FileSystem == "unknown":
		r.add(Skipped, checkMedium, "this user may not look at "+s.Path)
	case s.Volatile && !f.Config.Keystore.Volatile && !f.Config.Enroll.Ephemeral:
		r.code(Problem, checkMedium, status.CodeStoreVolatile, f.Config.Keystore.Dir+" is in memory ("+s.FileSystem+")")
	case s.Volatile:
		r.add(OK, checkMedium, "in memory ("+s.FileSystem+"), as the configuration accepts")
	default:
		r.add(OK, checkMedium, s.FileSystem)
	}
}

// examineOpening says why the store could not be opened, if it could not.
func (f *Facts) examineOpening(r *Report, closed bool) {
	switch p := f.ViewError; {
	case f.notPermitted():
		r.put(Finding{
			Check: checkStore, Level: Skipped, Code: status.CodeNotPermitted, Text: "this user may not look into the store",
			Next: "sudo peaqos-agent doctor",
		})
	case p != nil:
		r.problem(Problem, checkStore, p)
	case f.View == nil && f.Store.Exists && closed:
		r.code(Skipped, checkStore, status.CodeStoreNotLooked, "opening it would change what is reported above")
	}
}

// examineEndpoints looks at the runtimes.
func (f *Facts) examineEndpoints(r *Report) {
	if len(f.Endpoints) == 0 {
		r.code(Problem, checkEndpoint, status.CodeNoEndpoint, "")
	}
	for _, e := range f.Endpoints {
		found := Finding{Check: checkEndpoint, Machine: f.only(e.Machine), Level: OK, Text: fmt.Sprintf("%s at %s responds", e.ProviderKey, e.BaseURL)}
		if !e.Up {
			found.Level, found.Code, found.Next = Problem, status.CodeEndpointDown, "peaqos-agent endpoints check"
			found.Text = fmt.Sprintf("%s at %s is down: %s", e.ProviderKey, e.BaseURL, e.Fault)
			if e.Notice != "" {
				found.Text += "; " + e.Notice
			}
		} else if e.Notice != "" {
			found.Level, found.Code, found.Next = Warning, status.CodeEndpointMismatch, status.Lookup(status.CodeEndpointMismatch).Command
			found.Text = fmt.Sprintf("%s at %s responds, but %s", e.ProviderKey, e.BaseURL, e.Notice)
		}
		r.put(found)
		if f.NoRoots && e.CAFile == "" && strings.HasPrefix(e.BaseURL, "https:") && !r.has(status.CodeNoRoots) {
			r.code(Problem, checkEndpoint, status.CodeNoRoots, "needed for "+e.BaseURL)
		}
	}
}

// examineUnit looks at the systemd unit and the state of the service.
func (f *Facts) examineUnit(r *Report) {
	u := f.Unit
	if u.Path == "" {
		return
	}
	before := len(r.Findings)
	if !strings.Contains(u.Text, unitMark) {
		r.add(Skipped, checkService, u.Path+" was not written by peaqos-agent")
	} else if u.Outdated() {
		r.code(Warning, checkService, status.CodeOldUnit, u.Path)
	}
	if path := configOf(u.Text); f.Config != nil && path != "" && !sameFile(path, f.Config.Path) {
		r.put(Finding{
			Check: checkService, Level: Warning, Code: status.CodeUnitConfig, Text: status.NewCause(status.CodeUnitConfig, path).Text,
			Next: "peaqos-agent doctor --config " + config.ShellWord(path),
		})
	}
	for _, d := range u.DropIns {
		if changesStart(d.Text) {
			r.code(Warning, checkService, status.CodeUnitDropIn, d.Path)
		}
	}
	if u.Failing != "" {
		r.code(Problem, checkService, status.CodeServiceFailing, u.Failing)
	} else if u.Restarts >= manyRestarts {
		r.code(Warning, checkService, status.CodeServiceFailing, fmt.Sprintf("systemd has restarted it %d times", u.Restarts))
	}
	if len(r.Findings) == before {
		r.add(OK, checkService, u.Path)
	}
}

// configOf is the configuration that a unit names, or the default one if it names none
// and starts this program; "" if that is not known.
func configOf(unit string) string {
	for line := range strings.Lines(unit) {
		words := strings.Fields(line)
		if len(words) == 0 || !strings.HasPrefix(words[0], "ExecStart=") {
			continue
		}
		for i, word := range words {
			if path, ok := strings.CutPrefix(word, "--config="); ok {
				return strings.Trim(path, `"`)
			}
			if word == "--config" && i+1 < len(words) {
				return strings.Trim(words[i+1], `"`)
			}
		}
		return config.DefaultPath
	}
	return ""
}

// RenewUnit is the current unit with the lines of an older one that say where and with
// which flags it was installed.
func RenewUnit(old, current string) string {
	var start, paths string
	for line := range strings.Lines(old) {
		switch {
		case strings.HasPrefix(line, "ExecStart="):
			start = line
		case strings.HasPrefix(line, "ReadWritePaths="):
			paths += line
		}
	}
	var b strings.Builder
	for line := range strings.Lines(current) {
		if start != "" && strings.HasPrefix(line, "ExecStart=") {
			line = start
		}
		b.WriteString(line)
		if strings.HasPrefix(line, "ProtectSystem=") {
			b.WriteString(paths)
		}
	}
	return b.String()
}

// Outdated reports whether a unit is ours and of another version.
func (u Unit) Outdated() bool {
	return u.Path != "" && strings.Contains(u.Text, unitMark) && unitCore(u.Text) != unitCore(u.Current)
}

// manyRestarts is how often systemd may have restarted the service before that is a sign
// of a fault.
const manyRestarts = 5

// unitMark is the beginning of a line that every version of our unit has.
const unitMark = "Description=peaqOS agent"

// unitCore is a unit without comments and without the lines that depend on where and
// with which flags it was installed.
func unitCore(unit string) string {
	var kept []string
	for line := range strings.Lines(unit) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && !strings.HasPrefix(line, "ExecStart=") && !strings.HasPrefix(line, "ReadWritePaths=") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// sameFile reports whether two paths name one file, or the configuration is made of the
// environment alone.
func sameFile(a, b string) bool {
	if b == "" || a == b {
		return true
	}
	abs, err := filepath.Abs(b)
	return err == nil && abs == a
}

// changesStart reports whether a drop-in changes which program runs, or as whom.
func changesStart(text string) bool {
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "=")
		if slices.Contains([]string{"ExecStart", "User", "DynamicUser", "Type"}, name) {
			return true
		}
	}
	return false
}

// nextFor is the command that helps with a cause.
func (f *Facts) nextFor(state status.State, cause *status.Cause) string {
	m := status.Machine{State: state, Cause: cause, Origin: f.Config.Orchestrator.URL, BaseURL: f.Config.Orchestrator.URL, CAFile: f.Config.Orchestrator.CAFile}
	if len(f.Config.Machines) > 0 {
		first := f.Config.Machines[0]
		m.Name, m.MachineID, m.IdentityRef = first.Name, first.ID, first.IdentityRef
	}
	meaning := status.Lookup(cause.Code)
	if strings.HasPrefix(meaning.Command, "peaqos-agent config ") && meaning.Advice != "" {
		return meaning.Advice // which says more than where the value comes from
	}
	if next := status.NextCommand(m); next != "" {
		return next
	}
	return meaning.Advice
}

// only is the name of a machine, empty if there is one alone.
func (f *Facts) only(machine string) string {
	if len(f.Config.Machines) <= 1 {
		return ""
	}
	return machine
}

// playable makes a command work for the person who reads it, with the configuration that
// was examined.
func (f *Facts) playable(next string) string {
	return status.ForReader(next, f.Reader)
}

// listed names a few of several files.
func listed(paths []string) string {
	const few = 4
	if len(paths) > few {
		return strings.Join(paths[:few], ", ") + fmt.Sprintf(" and %d more", len(paths)-few)
	}
	return strings.Join(paths, ", ")
}
