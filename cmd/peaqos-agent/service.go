package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kardianos/service"
	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/deploy/systemd"
)

const (
	unitDir = "/etc/systemd/system/"
	unit    = systemd.Name + ".service"
	// wantedBy is where enabling the unit puts a link to it.
	wantedBy = unitDir + "multi-user.target.wants/"
)

func (a *app) serviceCmd() *cobra.Command {
	return group("service", "Install and control the systemd service", a.serviceSealCmd(),
		a.serviceActionCmd("install", "Write the systemd unit and enable it", a.installService),
		a.serviceActionCmd("uninstall", "Stop and remove the unit; the state is kept", a.uninstallService),
		a.serviceActionCmd("start", "Start the service", a.control("started", service.Service.Start)),
		a.serviceActionCmd("stop", "Stop the service", a.control("stopped", service.Service.Stop)),
		a.serviceActionCmd("restart", "Restart the service", a.control("restarted", service.Service.Restart)),
		a.serviceActionCmd("status", "Show whether the service is running", a.serviceStatus),
	)
}

// serviceActionCmd returns a command without flags that does one thing with the service.
func (a *app) serviceActionCmd(name, short string, action func(context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs, Example: "  " + sudoFor(name) + "peaqos-agent service " + name,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := action(cmd.Context()); err != nil {
				return explainService(name, err)
			}
			return nil
		},
	}
}

// sudoFor is what an example begins with: everything but a look needs root.
func sudoFor(name string) string {
	if name == "status" {
		return ""
	}
	return "sudo "
}

// controlled prints what the service is after an action.
func (a *app) controlled(outcome string, changed bool) error {
	if a.json {
		return a.result(map[string]any{"changed": changed})
	}
	_, err := fmt.Fprintf(a.out, "The service is %s\n", outcome)
	return err
}

// control returns the action that does one thing with the service.
func (a *app) control(outcome string, action func(service.Service) error) func(context.Context) error {
	return func(ctx context.Context) error {
		s, err := systemdService(systemd.Unit())
		if err != nil {
			return err
		}
		if outcome != "stopped" {
			if err := startable(ctx); err != nil {
				a.progress("the service was left as it is")
				return err
			}
		}
		if err := action(s); err != nil {
			return err
		}
		return a.controlled(outcome, true)
	}
}

// startable refuses a start with a configuration that the service would reject: a restart
// would end an agent that works. Only the service itself knows what the environment and
// the flags of a changed unit add to the file.
func startable(ctx context.Context) error {
	properties, err := exec.CommandContext(ctx, "systemctl", "show", "--property=Environment,EnvironmentFiles,ExecStart", unit).Output()
	if err != nil || changedUnit(string(properties)) {
		return nil //nolint:nilerr // systemd itself will say it
	}
	_, err = config.Load(config.Source{})
	return err
}

// changedUnit reports whether the unit has more to say about the configuration than its file.
func changedUnit(properties string) bool {
	for _, word := range []string{"PEAQOS_", "EnvironmentFiles=/", " --"} {
		if strings.Contains(properties, word) {
			return true
		}
	}
	return false
}

// systemdService returns the service as the service library sees it. The unit is our own
// text, which the library takes for a template; and run does not go through the library,
// so systemd notices at once when the daemon ends.
func systemdService(text string) (service.Service, error) {
	if !systemdRuns() {
		return nil, status.NewProblem(status.CodeNoSystemd, "")
	}
	return service.New(noProgram{}, &service.Config{
		Name: systemd.Name, DisplayName: "peaqOS machine agent", Option: service.KeyValue{"SystemdScript": text},
	})
}

// noProgram satisfies the library, which requires a program to run; it runs none.
type noProgram struct{}

func (noProgram) Start(service.Service) error { return nil }
func (noProgram) Stop(service.Service) error  { return nil }

// systemdRuns reports whether systemd is the service manager of this system. It is not in
// a chroot, where images are made.
func systemdRuns() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// unitInstalled reports whether there is a unit of ours, written here or by a package.
func unitInstalled() bool {
	if _, err := os.Stat(unitDir + unit); err == nil {
		return true
	}
	return refuseShadow() != nil
}

// systemdInstalled reports whether systemd will run this system when it is booted.
func systemdInstalled() bool {
	for _, path := range []string{"/usr/lib/systemd/systemd", "/lib/systemd/systemd"} {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	return false
}

// uninstallService stops the service and removes its unit.
func (a *app) uninstallService(context.Context) error {
	text, err := os.ReadFile(unitDir + unit)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if packaged := refuseShadow(); packaged != nil {
			return packaged
		}
		return a.controlled("not installed", false)
	case err == nil && !strings.Contains(string(text), ourUnit): // such as a link to /dev/null, which masks the unit
		return status.NewProblem(status.CodeFileExists, unitDir+unit+" was not written by peaqos-agent, and was left as it is").
			Advise("look at it with systemctl cat peaqos-agent")
	}
	outcome := "removed; its state is kept"
	if kept, _ := filepath.Glob(unitDir + unit + ".d/*.conf"); len(kept) > 0 { // the pattern is valid
		outcome += ", and so are the drop-ins in " + unitDir + unit + ".d"
	}
	if !systemdRuns() { // an image: there is nothing to stop
		if err := os.Remove(wantedBy + unit); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Remove(unitDir + unit); err != nil {
			return err
		}
		return a.controlled(outcome, true)
	}
	s, err := systemdService(systemd.Unit())
	if err != nil {
		return err
	}
	if err := s.Stop(); err != nil {
		a.progress("warning: " + err.Error())
	}
	if err := s.Uninstall(); err != nil {
		return err
	}
	return a.controlled(outcome, true)
}

// refuseShadow prevents a unit in /etc from hiding one that a package installed.
func refuseShadow() error {
	for _, dir := range []string{"/usr/lib/systemd/system/", "/lib/systemd/system/"} {
		if _, err := os.Stat(dir + unit); err == nil {
			return status.NewProblem(status.CodePackagedUnit, dir+unit)
		}
	}
	return nil
}

// serviceView is what systemd reports about the service.
type serviceView struct {
	Installed   bool   `json:"installed"`
	Running     bool   `json:"running"`
	ActiveState string `json:"active_state"`
	SubState    string `json:"sub_state"`
	Result      string `json:"result"`
	Restarts    int    `json:"restarts"` // by systemd
}

// serviceStatus prints whether the service is running. The exit code is 8 if it is not.
func (a *app) serviceStatus(ctx context.Context) error {
	if !systemdRuns() {
		return status.NewProblem(status.CodeNoSystemd, "")
	}
	v, err := showService(ctx)
	if err != nil {
		return err
	}
	if a.json {
		err = a.result(v)
	} else {
		_, err = fmt.Fprintln(a.out, status.ForReader(v.text(), a.reader()))
	}
	if err == nil && !v.Running {
		err = exitError(status.ExitNotRunning)
	}
	return err
}

// showService asks systemd about the service.
func showService(ctx context.Context) (serviceView, error) {
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=LoadState,ActiveState,SubState,Result,NRestarts", unit).Output()
	if err != nil {
		return serviceView{}, err
	}
	return readService(string(out)), nil
}

// readService reads the properties that systemctl show prints.
func readService(properties string) serviceView {
	p := map[string]string{}
	for line := range strings.Lines(properties) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		p[name] = value
	}
	restarts, _ := strconv.Atoi(p["NRestarts"]) // systemd before 235 does not count
	return serviceView{
		Installed:   p["LoadState"] != "" && p["LoadState"] != "not-found",
		Running:     (p["ActiveState"] == "active" || p["ActiveState"] == "reloading") && p["SubState"] != "exited",
		ActiveState: p["ActiveState"], SubState: p["SubState"], Result: p["Result"], Restarts: restarts,
	}
}

func (v serviceView) text() string {
	failed := v.Result != "" && v.Result != "success"
	switch {
	case !v.Installed:
		return "The service is not installed"
	case v.Running && v.Restarts > 0:
		return fmt.Sprintf("The service is running; systemd has restarted it %d times", v.Restarts)
	case v.Running:
		return "The service is running"
	case v.SubState == "auto-restart" || (v.ActiveState == "activating" && v.Restarts > 0):
		return fmt.Sprintf("The service fails and is restarted again and again: %d restarts, last result %s; see sudo journalctl -u %s -e",
			v.Restarts, cmp.Or(v.Result, "unknown"), systemd.Name)
	case v.ActiveState == "activating":
		return "The service is starting"
	case failed || v.ActiveState == "failed":
		return fmt.Sprintf("The service is installed but has failed, result %s; see sudo journalctl -u %s -e", cmp.Or(v.Result, "unknown"), systemd.Name)
	}
	return "The service is installed but not running"
}

// failing says that the service does not stay up; "" if it does, or was stopped.
func (v serviceView) failing() string {
	if !v.Installed || v.Running || v.ActiveState == "inactive" || v.ActiveState == "activating" && v.Restarts == 0 && v.SubState != "auto-restart" {
		return ""
	}
	return v.text()
}

// explainService adds a next step to an error of a service command.
func explainService(name string, err error) error {
	var code exitError
	var p *status.Problem
	var invalid *config.Error
	if errors.As(err, &code) || errors.As(err, &p) || errors.As(err, &invalid) {
		return err
	}
	next := "see systemctl status peaqos-agent"
	if p := unreadableConfig(); p != nil {
		next = p.Detail + ": " + p.Next
	}
	if os.Geteuid() != 0 {
		next = "run the command with sudo"
	}
	return status.NewProblem(status.CodeService, "service "+name+": "+strings.TrimSpace(err.Error())).Advise(next).Wrap(err)
}

// under reports whether a path is in a directory or below it.
func under(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
