package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

func (a *app) runCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the daemon in the foreground, as systemd and containers do",
		Long: `Keeps the machine alive: probes the endpoints, beats, and answers on the
telemetry listener. A store that is not enrolled yet waits for peaqos-agent
enroll. Needs neither the API key nor the controller key. SIGHUP reads the
configuration anew.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context()) },
	}
}

func (a *app) run(ctx context.Context) error {
	cfg, err := a.read()
	if err != nil {
		return err
	}
	if name, _, raw, err := config.APIKeyFromEnv(a.env); err == nil && raw != "" && cfg.Enroll.Auto {
		cfg = cfg.WithWarning(rawKey(name))
	}
	a.quiet = true // from here on the log speaks
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ag, err := agent.New(ctx, cfg, agent.Options{
		Version: version, LogTo: a.err, LogTerminal: isTerminal(a.err), LockWait: 30 * time.Second, Reload: a.read, Hangup: hangup,
		APIKey: func() (sdk.Secret, error) { return a.apiKey("") },
	})
	if err != nil {
		return err
	}
	defer func() { _ = ag.Close() }()
	return ag.Run(ctx)
}

// flags are the configuration's keys that were given on the command line.
func (a *app) flags() map[string]string {
	flags := map[string]string{}
	if a.volatile {
		flags["keystore.volatile"] = "true"
	}
	if a.dir != "" {
		flags["keystore.dir"] = a.dir
	}
	if a.url != "" {
		flags["orchestrator.url"] = a.url
	}
	return flags
}
