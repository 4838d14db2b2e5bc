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
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

func (a *app) runCmd() *cobra.Command {
	return &cobra.Command{
		Use: "run", SuggestFor: []string{"up", "start", "daemon", "serve"},
		Short: "Run the daemon in the foreground, as systemd and containers do",
		Long: `Probes the endpoints, sends heartbeats and serves the telemetry listener. Without an
enrollment it waits for peaqos-agent enroll. It needs neither the API key nor the
controller key. SIGHUP reloads the configuration.`,
		Example: "  peaqos-agent run --config config.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context()) },
	}
}

func (a *app) run(ctx context.Context) error {
	cfg, err := a.read()
	if err != nil {
		return err
	}
	if name, _, raw, err := config.APIKeyFromEnv(a.env); err == nil && raw != "" && cfg.Enroll.Auto {
		cfg = cfg.WithWarning(rawKeyWarning(name))
	}
	a.quiet = true // from here on everything is logged
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	return restartable(agent.Run(ctx, cfg, agent.Options{
		Version: version, LogTo: a.err, LogTerminal: isTerminal(a.err), LockWait: 30 * time.Second, Reload: a.read, Hangup: hangup,
		APIKey: func() (sdk.Secret, error) { return a.apiKey("") },
	}))
}

// restartable gives an error that ended the daemon an exit code after which a service
// manager starts it again. The configuration is valid at this point, so 1 and 3, which
// say that a restart is useless, remain for what only another configuration can fix.
func restartable(err error) error {
	if err == nil {
		return nil
	}
	p := agent.Explain(err)
	if p.Code == status.CodeOrchestratorURL || (p.Exit != status.ExitUsage && p.Exit != status.ExitConfig && p.Exit != status.ExitOK) {
		return err
	}
	again := *p
	again.Exit = status.ExitFailed
	return again.Wrap(err)
}
