package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/kardianos/service"
	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/deploy/systemd"
)

// unitStart is how the shipped unit starts the agent, which systemd finds in its path.
// service install writes the full path of this binary instead.
const unitStart = "ExecStart=peaqos-agent "

func (a *app) serviceCmd() *cobra.Command {
	return group("service", "Install and control the systemd service", a.serviceSealCmd(),
		a.serviceActionCmd("install", "Write the systemd unit and enable it", func(s service.Service) error {
			if err := refuseShadow(); err != nil {
				return err
			}
			return a.controlled("installed; start it with peaqos-agent service start", s.Install)
		}),
		a.serviceActionCmd("uninstall", "Stop and remove the unit; the state is kept", func(s service.Service) error {
			_ = s.Stop() // it may be stopped already
			return a.controlled("removed; its state is kept in /var/lib/peaqos-agent", s.Uninstall)
		}),
		a.serviceActionCmd("start", "Start the service", func(s service.Service) error { return a.controlled("started", s.Start) }),
		a.serviceActionCmd("stop", "Stop the service", func(s service.Service) error { return a.controlled("stopped", s.Stop) }),
		a.serviceActionCmd("restart", "Restart the service", func(s service.Service) error { return a.controlled("restarted", s.Restart) }),
		a.serviceActionCmd("status", "Show whether the service is running", a.serviceStatus),
	)
}

// serviceActionCmd returns a command without flags that does one thing with the service.
func (a *app) serviceActionCmd(name, short string, action func(service.Service) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs, Example: "  " + sudoFor(name) + "peaqos-agent service " + name,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.service()
			if err != nil {
				return err
			}
			if err := action(s); err != nil {
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

// controlled runs one action and prints what the service is afterwards.
func (a *app) controlled(outcome string, action func() error) error {
	if err := action(); err != nil {
		return err
	}
	if a.json {
		return a.result(map[string]any{"changed": true})
	}
	_, err := fmt.Fprintf(a.out, "The service is %s\n", outcome)
	return err
}

// service returns the service as the service library sees it. The unit is our own
// file, and run does not go through the library, so systemd notices at once when the
// daemon ends.
func (a *app) service() (service.Service, error) {
	if service.Platform() != "linux-systemd" {
		return nil, status.NewProblem(status.CodeNoSystemd, fmt.Sprintf("the service manager is %.40q", service.Platform()))
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	unit := strings.Replace(systemd.Unit(), unitStart, "ExecStart="+self+" ", 1)
	return service.New(noProgram{}, &service.Config{
		Name: systemd.Name, DisplayName: "peaqOS machine agent", Executable: self, Arguments: []string{"run"},
		Option: service.KeyValue{"SystemdScript": unit},
	})
}

// noProgram satisfies the library, which requires a program to run; it runs none.
type noProgram struct{}

func (noProgram) Start(service.Service) error { return nil }
func (noProgram) Stop(service.Service) error  { return nil }

// refuseShadow prevents a unit in /etc from hiding one that a package installed.
func refuseShadow() error {
	for _, dir := range []string{"/usr/lib/systemd/system/", "/lib/systemd/system/"} {
		if _, err := os.Stat(dir + systemd.Name + ".service"); err == nil {
			return status.NewProblem(status.CodePackagedUnit, dir+systemd.Name+".service")
		}
	}
	return nil
}

// serviceStatus prints whether the service is running. The exit code is 8 if it is not.
func (a *app) serviceStatus(s service.Service) error {
	running, err := s.Status()
	installed := !errors.Is(err, service.ErrNotInstalled)
	if err != nil && installed {
		return err
	}
	text := "The service is not installed"
	switch {
	case running == service.StatusRunning:
		text = "The service is running"
	case installed:
		text = "The service is installed but not running"
	}
	if a.json {
		err = a.result(map[string]bool{"installed": installed, "running": running == service.StatusRunning})
	} else {
		_, err = fmt.Fprintln(a.out, text)
	}
	if err == nil && running != service.StatusRunning {
		err = exitError(status.ExitNotRunning)
	}
	return err
}

// explainService adds a next step to an error of the service library.
func explainService(name string, err error) error {
	var code exitError
	var p *status.Problem
	if errors.As(err, &code) || errors.As(err, &p) {
		return err
	}
	next := "see systemctl status peaqos-agent"
	if os.Geteuid() != 0 {
		next = "run the command with sudo"
	}
	return status.NewProblem(status.CodeService, "service "+name+": "+strings.TrimSpace(err.Error())).Advise(next).Wrap(err)
}
