package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/kardianos/service"
	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/deploy/systemd"
)

// unitStart is how the shipped unit starts the agent, wherever a package put it;
// install names this very binary instead.
const unitStart = "ExecStart=peaqos-agent "

func (a *app) serviceCmd() *cobra.Command {
	cmd := group("service", "Install and control the systemd service", a.serviceSealCmd())
	add := func(name, short string, f func(context.Context, service.Service) error) {
		cmd.AddCommand(&cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.service()
			if err != nil {
				return err
			}
			if err := f(cmd.Context(), s); err != nil {
				return explainService(name, err)
			}
			return nil
		}})
	}
	done := func(what string, f func() error) error {
		if err := f(); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.out, "The service is %s\n", what)
		return err
	}
	add("install", "Write the systemd unit and enable it", func(_ context.Context, s service.Service) error {
		if err := refuseShadow(); err != nil {
			return err
		}
		return done("installed; start it with peaqos-agent service start", s.Install)
	})
	add("uninstall", "Stop and remove the unit; the state stays", func(_ context.Context, s service.Service) error {
		_ = s.Stop() // one that does not run is fine
		return done("removed; its state stays in /var/lib/peaqos-agent", s.Uninstall)
	})
	add("start", "Start the service", func(_ context.Context, s service.Service) error { return done("started", s.Start) })
	add("stop", "Stop the service", func(_ context.Context, s service.Service) error { return done("stopped", s.Stop) })
	add("restart", "Restart the service", func(_ context.Context, s service.Service) error { return done("restarted", s.Restart) })
	add("status", "Say whether the service runs", func(_ context.Context, s service.Service) error { return a.serviceStatus(s) })
	return cmd
}

// service is systemd's view of us. The unit is our own file; run does not go
// through the library, so a daemon that ends is seen by systemd at once.
func (a *app) service() (service.Service, error) {
	if service.Platform() != "linux-systemd" {
		return nil, status.NewProblem(status.CodeNoSystemd, fmt.Sprintf("the service manager is %.40q", service.Platform()))
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	unit := strings.Replace(systemd.Unit(), unitStart, "ExecStart="+self+" ", 1)
	return service.New(nothing{}, &service.Config{
		Name: systemd.Name, DisplayName: "peaqOS machine agent", Executable: self, Arguments: []string{"run"},
		Option: service.KeyValue{"SystemdScript": unit},
	})
}

// nothing satisfies the library, which wants a program to run; ours is not run by it.
type nothing struct{}

func (nothing) Start(service.Service) error { return nil }
func (nothing) Stop(service.Service) error  { return nil }

// refuseShadow keeps a packaged unit from being hidden by one in /etc.
func refuseShadow() error {
	for _, dir := range []string{"/usr/lib/systemd/system/", "/lib/systemd/system/"} {
		if _, err := os.Stat(dir + systemd.Name + ".service"); err == nil {
			return status.NewProblem(status.CodePackagedUnit, dir+systemd.Name+".service")
		}
	}
	return nil
}

func (a *app) serviceStatus(s service.Service) error {
	running, err := s.Status()
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		_, _ = fmt.Fprintln(a.out, "The service is not installed")
		return exitError(status.ExitNotRunning)
	case err != nil:
		return err
	case running == service.StatusRunning:
		_, err := fmt.Fprintln(a.out, "The service runs")
		return err
	}
	_, _ = fmt.Fprintln(a.out, "The service is installed and does not run")
	return exitError(status.ExitNotRunning)
}

func explainService(verb string, err error) error {
	var code exitError
	var p *status.Problem
	if errors.As(err, &code) || errors.As(err, &p) {
		return err
	}
	next := "look at systemctl status peaqos-agent"
	if os.Geteuid() != 0 {
		next = "run it as root"
	}
	return status.NewProblem(status.CodeService, "service "+verb+": "+strings.TrimSpace(err.Error())).Advise(next).Wrap(err)
}
