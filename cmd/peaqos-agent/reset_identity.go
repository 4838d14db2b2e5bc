package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

func (a *app) resetIdentityCmd() *cobra.Command {
	var req agent.ResetRequest
	cmd := &cobra.Command{
		Use:   "reset-identity",
		Short: "Delete all identity data: for a clone, or before making a disk image",
		Long: `Permanently deletes tokens, the enrollment journal, the controller key and the store's
own key, and revokes nothing: if this is a clone, the original device keeps working. A
controller key in the store may be its only copy, so it is deleted only with
--forget-controller-key.`,
		Example: "  sudo peaqos-agent reset-identity --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var named string
			r, err := owned(cmd.Context(), a, func(cfg *config.Config, o owner) (agent.LeaveResult, error) {
				named = namesMachine(cfg)
				return o.ResetIdentity(cmd.Context(), req, a.progress)
			})
			if err != nil {
				return err
			}
			if named != "" {
				a.progress("warning: " + named)
			}
			return a.showLeft("All identity data deleted", r)
		},
	}
	cmd.Flags().BoolVarP(&req.Confirmed, "yes", "y", false, "confirm")
	cmd.Flags().BoolVar(&req.ForgetControllerKey, "forget-controller-key", false, "also delete the controller key")
	return cmd
}

// namesMachine says that a configuration file still names this machine, so that every
// copy of its image would become that machine; "" if it does not.
func namesMachine(cfg *config.Config) string {
	for _, m := range cfg.Machines {
		if name := cmp.Or(m.ID, m.IdentityRef); name != "" && cfg.Path != "" {
			return fmt.Sprintf("%s still names %s: remove identity_ref and id from it before an image of this disk is made", cfg.Path, name)
		}
	}
	return ""
}
