package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func (a *app) sandboxCmd() *cobra.Command {
	var listen, apiKeyFile, state string
	var controllers []string
	var leaseMax, challengeTTL time.Duration
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run an orchestrator stand-in on loopback, to try and test against",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := controllerOptions(controllers)
			if err != nil {
				return err
			}
			key, err := a.apiKey(apiKeyFile)
			if err != nil {
				return err
			}
			if !key.IsZero() {
				opts = append(opts, sandbox.WithAPIKey(key.Reveal()))
			}
			if leaseMax > 0 {
				opts = append(opts, sandbox.WithLeaseMax(leaseMax))
			}
			if challengeTTL > 0 {
				opts = append(opts, sandbox.WithChallengeTTL(challengeTTL))
			}
			if state != "" {
				opts = append(opts, sandbox.WithStateFile(state))
			}
			return a.serveSandbox(cmd.Context(), listen, opts)
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8787", "HOST:PORT on loopback; port 0 picks one")
	f.StringVar(&apiKeyFile, "api-key-file", "", "file with the API key that platform calls need; none: the API is open")
	f.StringArrayVar(&controllers, "controller", nil, "0xADDRESS of every decimal identity, or ID=0xADDRESS of one; may be given again")
	f.DurationVar(&leaseMax, "lease-max", 0, "grant no longer lease")
	f.DurationVar(&challengeTTL, "challenge-ttl", 0, "life of an identity challenge (default 5m)")
	f.StringVar(&state, "state", "", "file that keeps the state over restarts")
	return cmd
}

func controllerOptions(given []string) ([]sandbox.Option, error) {
	var opts []sandbox.Option
	address := regexp.MustCompile(`^0x[0-9a-fA-F]{40}$`)
	for _, c := range given {
		ref, addr, named := strings.Cut(c, "=")
		if !named {
			ref, addr = "", c
		} else if !strings.Contains(ref, ":") {
			ref = "did:peaq:" + ref
		}
		if !address.MatchString(addr) || (ref != "" && !agent.ValidIdentityRef(ref)) {
			return nil, &agent.Problem{Exit: agent.ExitUsage, Code: "controller", What: "--controller is neither 0xADDRESS nor ID=0xADDRESS", Known: fmt.Sprintf("%.100q", c)}
		}
		opts = append(opts, sandbox.WithController(ref, addr))
	}
	return opts, nil
}

func (a *app) serveSandbox(ctx context.Context, listen string, opts []sandbox.Option) error {
	host, _, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err != nil || (host != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return &agent.Problem{Exit: agent.ExitUsage, Code: "listen", What: "the sandbox listens on loopback only", Known: fmt.Sprintf("asked for %q", listen), Next: "give --listen 127.0.0.1:PORT"}
	}
	s, err := sandbox.Open(opts...)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return &agent.Problem{Exit: agent.ExitUsage, Code: "listen", What: "the address cannot be bound", Known: err.Error(), Next: "give another --listen, or port 0"}
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if _, err := fmt.Fprintf(a.out, "listening on http://%s\n", l.Addr()); err != nil {
		return err
	}
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return s.Close()
}
