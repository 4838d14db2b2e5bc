package main

import (
	"context"
	"fmt"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// showMarket prints what the orchestrator lists of the named machine, or of every machine
// of this device. The exit code is 2 if that differs from what this device believes.
func (a *app) showMarket(ctx context.Context, flags agentsFlags) error {
	if fault := config.IDFault(flags.machineID); flags.machineID != "" && fault != "" {
		return usageProblem("--machine-id "+fault, "give the ID that machines list shows (mach_…)")
	}
	cfg, api, err := a.platform(flags.apiKeyFile)
	if err != nil {
		return err
	}
	view, err := a.fetchStatus(ctx, cfg)
	if err != nil && flags.machineID == "" && flags.identityRef == "" {
		return err
	}
	var ids []string
	if flags.machineID == "" && flags.identityRef == "" {
		ids = enrolledMachines(view)
	}
	if len(ids) == 0 {
		id, err := a.machineMeant(ctx, cfg, api, flags)
		if err != nil {
			return err
		}
		ids = []string{id}
	}
	markets, agree := []status.Market{}, true
	for _, id := range ids {
		stop := a.waiting("the orchestrator")
		m, err := agent.Market(ctx, cfg, api, id, ownMachine(view, id))
		stop()
		if err != nil {
			return err
		}
		agree = agree && (m.Agrees == nil || *m.Agrees)
		markets = append(markets, m)
	}
	if a.json {
		err = a.list(markets)
	} else {
		for i, m := range markets {
			if i > 0 {
				_, _ = fmt.Fprintln(a.out)
			}
			_, err = fmt.Fprint(a.out, m.Text(a.textOptions(false)))
		}
	}
	if err == nil && !agree {
		err = exitError(status.ExitNetwork)
	}
	return err
}

// enrolledMachines are the IDs of the machines that this device is enrolled as.
func enrolledMachines(view status.View) []string {
	var ids []string
	for _, m := range view.Machines {
		if m.MachineID != "" && m.AgentID != "" {
			ids = append(ids, m.MachineID)
		}
	}
	return ids
}

// ownMachine is what this device believes of a machine; nil if it is another device's.
func ownMachine(view status.View, machineID string) *status.MachineView {
	for i := range view.Machines {
		if m := &view.Machines[i]; m.MachineID == machineID && m.AgentID != "" {
			return m
		}
	}
	return nil
}
