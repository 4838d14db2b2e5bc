package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/doctor"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/deploy/systemd"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// doctorFlags are the flags of doctor.
type doctorFlags struct {
	fix, network, anonymize bool
	bundle, apiKeyFile      string
}

func (a *app) doctorCmd() *cobra.Command {
	var flags doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine this device and say what is wrong, why, and what helps",
		Long: `Examines the configuration and the files that it names, the store and the disk under it,
the clock, the way to the orchestrator, the endpoints, the running agent and its unit: one
line each, with a code and the next command. With --quiet only what is wrong is printed.
The exit code is that of the first problem, 0 if there are only warnings.

Nothing is changed without --fix, and no heartbeat is sent: it would take a lease. The
token is proven by the running agent, or with an API key by the list of the orchestrator,
which also shows other active agents of this machine.

--fix does what is safe: it closes files of the store to other users, finishes interrupted
writes, and renews a unit that an earlier version wrote. It says each thing that it did.

--bundle FILE writes a tar.gz for support: the effective configuration, this report, the
status, metrics, unit, the end of the journal, and names, modes and sizes of the store's
files. Before it is closed it is compared with the live secrets; one that is found removes
it. --anonymize replaces ids, identities, names of hosts and addresses, the same value by
the same name in each file.`,
		Example: `  peaqos-agent doctor
  sudo peaqos-agent doctor --fix
  sudo peaqos-agent doctor --bundle support.tar.gz --anonymize`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), flags) },
	}
	f := cmd.Flags()
	f.BoolVar(&flags.fix, "fix", false, "repair what is safe to repair")
	f.BoolVar(&flags.network, "network", false, "list every host that is contacted and every listener")
	f.StringVar(&flags.bundle, "bundle", "", "write a support bundle to this file, which must not exist")
	f.BoolVar(&flags.anonymize, "anonymize", false, "replace what identifies this device in the bundle")
	f.StringVar(&flags.apiKeyFile, "api-key-file", "", apiKeyUsage)
	return cmd
}

func (a *app) doctor(ctx context.Context, flags doctorFlags) error {
	if flags.anonymize && flags.bundle == "" {
		return usageProblem("--anonymize is for --bundle", "add --bundle FILE")
	}
	cfg, err := a.read()
	var facts doctor.Facts
	var key sdk.Secret
	var fixed []string
	if err != nil {
		facts = doctor.Facts{Version: version, Reader: a.reader(), Now: time.Now(), User: os.Geteuid(), ConfigError: err, Unit: unitFacts(ctx)}
	} else {
		req := doctor.Request{Version: version, Reader: a.reader(), Writable: a.writableConfig(cfg), Recognize: lookedAt}
		if key, err = a.apiKey(flags.apiKeyFile); err != nil {
			if flags.apiKeyFile != "" {
				return err
			}
			req.KeyFile = agent.Explain(err)
		}
		if len(req.Writable) == 0 { // else the key is not sent where somebody else can have written
			req.APIKey = key
		}
		if flags.fix {
			if fixed, err = a.fix(ctx, cfg); err != nil {
				return err
			}
		}
		req.Unit = unitFacts(ctx)
		req.StatusOverHTTP = func(ctx context.Context) (status.View, error) { return statusOverHTTP(ctx, cfg) }
		a.progress("examining this device; a network that does not respond takes up to 10 s")
		facts = doctor.Gather(ctx, cfg, req)
	}
	report := doctor.Examine(facts)
	report.Fixed = fixed
	if flags.network {
		report.Network = doctor.NetworkOf(facts, "/")
	}
	if flags.bundle != "" {
		if err := a.writeBundle(ctx, flags, facts, report, key); err != nil {
			return err
		}
		a.progress("wrote " + flags.bundle + "; look at it before you hand it out")
	}
	if a.json {
		err = a.result(report)
	} else {
		_, err = fmt.Fprint(a.out, report.Text(a.quiet))
	}
	if exit := report.Exit(); err == nil && exit != status.ExitOK {
		err = exitError(exit)
	}
	return err
}

// unitFacts reads the systemd unit, its drop-ins and the state of the service.
func unitFacts(ctx context.Context) doctor.Unit {
	u := doctor.Unit{Current: systemd.Unit()}
	for _, dir := range []string{unitDir, "/usr/lib/systemd/system/", "/lib/systemd/system/"} {
		if text, err := os.ReadFile(dir + unit); err == nil {
			u.Path, u.Text = dir+unit, string(text)
			break
		}
	}
	if u.Path == "" {
		return doctor.Unit{}
	}
	for _, dir := range []string{unitDir, "/run/systemd/system/", "/usr/lib/systemd/system/"} {
		paths, _ := filepath.Glob(dir + unit + ".d/*.conf") // the pattern is valid
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil {
				u.DropIns = append(u.DropIns, doctor.DropIn{Path: path, Text: string(text)})
			}
		}
	}
	if systemdRuns() {
		if v, err := showService(ctx); err == nil {
			if u.Failing = v.failing(); u.Failing != "" {
				if p := unreadableConfig(); p != nil {
					u.Failing += "; " + p.Detail + ": " + p.Next
				}
			}
			u.Restarts = v.Restarts
		}
	}
	return u
}

// fix repairs what is ours and safe to repair, and says each thing that it did.
func (a *app) fix(ctx context.Context, cfg *config.Config) ([]string, error) {
	var did []string
	before := keystore.Look(cfg.Keystore.Dir)
	if before.Exists {
		closed, err := keystore.Tighten(cfg.Keystore.Dir)
		for _, path := range closed {
			did = append(did, "closed "+path+" to other users")
		}
		if err != nil {
			return did, err
		}
	}
	if len(before.Interrupted()) > 0 {
		if err := a.finishWrites(ctx, cfg); err != nil {
			return did, err
		}
		left := keystore.Look(cfg.Keystore.Dir).Interrupted()
		did = append(did, fmt.Sprintf("read and finished %d of %d interrupted writes in the store", len(before.Interrupted())-len(left), len(before.Interrupted())))
	}
	renewed, err := renewUnit(ctx)
	if renewed != "" {
		did = append(did, renewed)
	}
	return did, err
}

// finishWrites opens the store and reads every record, which finishes what was
// interrupted. A running agent does it by itself.
func (a *app) finishWrites(ctx context.Context, cfg *config.Config) error {
	admin, err := agent.FindAdmin(ctx, cfg)
	if err != nil || admin != nil {
		return err
	}
	ag, err := agent.New(ctx, cfg, agent.Options{Version: version, NoAdmin: true})
	if err != nil {
		return err
	}
	return ag.Close()
}

// renewUnit replaces a unit in /etc that another version of this program wrote. It keeps
// the command line and the paths; drop-ins are not touched, and the service is not
// restarted. It says what it did, "" for nothing.
func renewUnit(ctx context.Context) (string, error) {
	text, err := os.ReadFile(unitDir + unit)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	u := doctor.Unit{Path: unitDir + unit, Text: string(text), Current: systemd.Unit()}
	if !u.Outdated() {
		return "", nil
	}
	if err := replaceFile(unitDir+unit, []byte(doctor.RenewUnit(u.Text, u.Current)), 0o644); err != nil {
		return "", err
	}
	if systemdRuns() {
		if _, err := runSystemd(ctx, nil, "systemctl", "daemon-reload"); err != nil {
			return "", err
		}
	}
	return "renewed the unit " + unitDir + unit + "; it is used after sudo peaqos-agent service restart", nil
}
