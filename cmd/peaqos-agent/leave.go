package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

func (a *app) unenrollCmd() *cobra.Command {
	var req agent.LeaveRequest
	var apiKeyFile string
	cmd := &cobra.Command{
		Use:   "unenroll",
		Short: "Leave the orchestrator: revoke this machine's agent and forget its token",
		Long: `Revokes the agent with the API key, then forgets the token; the machine itself and a
stored controller key stay. With --local-only nothing is sent, and the line that
revokes the agent later, from any computer, is printed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if !req.LocalOnly {
				if req.APIKey, err = a.apiKey(apiKeyFile); err != nil {
					return err
				}
			}
			r, err := owned(cmd.Context(), a, func(_ *config.Config, o owner) (agent.LeaveResult, error) {
				return o.Unenroll(cmd.Context(), req, a.progress)
			})
			if err != nil {
				return err
			}
			title := "Unenrolled"
			if !r.Changed {
				title = "Not enrolled; nothing changed"
			}
			return a.showLeft(title, r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&apiKeyFile, "api-key-file", "", "file with the platform API key, - for standard input")
	f.StringVar(&req.Machine, "machine", "", "which configured machine, when there are several")
	f.BoolVar(&req.LocalOnly, "local-only", false, "forget the token here and revoke nothing")
	f.BoolVar(&req.ReplaceLostKey, "replace-lost-key", false, "give a store whose key is lost a new one, although the controller key or another machine needs the old one")
	f.BoolVar(&a.json, "json", false, "print the result as JSON")
	return cmd
}

func (a *app) resetIdentityCmd() *cobra.Command {
	var req agent.ResetRequest
	cmd := &cobra.Command{
		Use:   "reset-identity",
		Short: "Forget everything: for a copy of another device, or a disk that becomes an image",
		Long: `Forgets tokens, journal, controller key and the store's own key for good, and revokes
nothing: the device that this is a copy of lives on. A controller key in the store may
be its only copy, so it is forgotten only when that is said.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := owned(cmd.Context(), a, func(_ *config.Config, o owner) (agent.LeaveResult, error) {
				return o.ResetIdentity(cmd.Context(), req, a.progress)
			})
			if err != nil {
				return err
			}
			return a.showLeft("Everything is forgotten", r)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&req.Confirmed, "yes", "y", false, "yes, forget it all")
	f.BoolVar(&req.ForgetControllerKey, "forget-controller-key", false, "the controller key, too")
	f.BoolVar(&a.json, "json", false, "print the result as JSON")
	return cmd
}

func (a *app) adoptCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "adopt",
		Short: "End the quarantine: it is the same machine with new hardware",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := owned(cmd.Context(), a, func(_ *config.Config, o owner) (agent.AdoptResult, error) {
				return o.Adopt(cmd.Context(), a.progress)
			})
			switch {
			case err != nil:
				return err
			case a.json:
				return a.result(r)
			case !r.Changed:
				_, err = fmt.Fprintln(a.out, "The store is of this host; nothing changed")
			default:
				_, err = fmt.Fprintf(a.out, "Adopted\n  New:  %s\n", strings.Join(r.Differs, ", "))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print the result as JSON")
	return cmd
}

// showLeft prints what leaving did, and the lines that end what it left.
func (a *app) showLeft(title string, r agent.LeaveResult) error {
	if a.json {
		return a.result(r)
	}
	var b strings.Builder
	b.WriteString(title + "\n")
	for _, id := range r.Revoked {
		fmt.Fprintf(&b, "  Revoked:     %s\n", id)
	}
	b.WriteString(leftBehind(r.LeftBehind))
	if r.ControllerKeyOnDevice {
		b.WriteString("  Controller:  its key stays on this device\n")
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

// leftBehind is how agents are found and revoked that nobody revoked here.
func leftBehind(left []agent.LeftBehind) string {
	var b strings.Builder
	for _, l := range left {
		if l.AgentID == "" {
			fmt.Fprintf(&b, "  May live on: %s of %s; find it with\n    peaqos-agent agents list --orchestrator-url %s --machine-id %s --api-key-file FILE\n", l.Label, l.MachineID, l.Orchestrator, l.MachineID)
			continue
		}
		fmt.Fprintf(&b, "  May live on: %s of %s; revoke it, if it is not wanted, with\n    peaqos-agent agents revoke %[1]s --orchestrator-url %[3]s --machine-id %[2]s --api-key-file FILE\n", l.AgentID, l.MachineID, l.Orchestrator)
	}
	return b.String()
}
