package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/discover"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/telemetry"
)

// discoverFlags are the flags of endpoints discover.
type discoverFlags struct {
	host, machine string
	only          []string
	write         bool
}

func (a *app) discoverCmd() *cobra.Command {
	var flags discoverFlags
	cmd := &cobra.Command{
		Use:   "discover",
		Short: "Find the runtimes on this machine, and what to write into the configuration",
		Long: `Asks every port that listens on this machine what it is, with a few GET requests that
carry no credentials, and recognizes runtimes by their responses: QVAC, Ollama, LM
Studio, llama.cpp, vLLM, Text Generation Inference, Triton, LocalAI, ComfyUI, Home
Assistant, Node-RED and ROS bridges. Only plain HTTP is tried. With --host, the
default ports of these runtimes are tried on that host, which must have a private
address.

It prints the endpoints as they belong into the configuration. --write adds the one
that is not there yet, or those that --provider-key names; it keeps the rest of the
file, and leaves the previous file beside it with the ending .bak.`,
		Example: `  peaqos-agent endpoints discover
  sudo peaqos-agent endpoints discover --write --provider-key ollama
  peaqos-agent endpoints discover --host robot.local --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.discover(cmd.Context(), flags) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.host, "host", "", "look at this host of the local network, HOST or HOST:PORT, not at this machine")
	f.BoolVar(&flags.write, "write", false, "add what was found to the configuration file")
	f.StringSliceVar(&flags.only, "provider-key", nil, "with --write: add these")
	f.StringVar(&flags.machine, "machine", "", "with --write: "+machineUsage)
	return cmd
}

// discovery is what endpoints discover --json prints.
type discovery struct {
	Items      []discovered `json:"items"`
	NextCursor *string      `json:"next_cursor"`     // always null: the list is complete
	File       string       `json:"file,omitempty"`  // that was written
	Added      []string     `json:"added,omitempty"` // the provider keys that were added to it
}

// discovered is one server that was found.
type discovered struct {
	discover.Runtime
	ModelAlias   string `json:"model_alias"`
	ConfiguredAs string `json:"configured_as"` // the provider key with this base_url in the configuration
	Notice       string `json:"notice"`        // that key does not fit
}

func (a *app) discover(ctx context.Context, flags discoverFlags) error {
	cfg, err := a.read()
	if err != nil {
		return err
	}
	origins := discover.Candidates(telemetry.Listening())
	where := "this machine"
	if flags.host != "" {
		if origins, err = discover.HostCandidates(flags.host); err != nil {
			return usageProblem(err.Error(), "give --host HOST or --host HOST:PORT")
		}
		where = flags.host
	}
	a.progress("asking " + where + ", at " + counted(len(origins), "port"))
	found := discovery{Items: compared(cfg, discover.Find(ctx, origins))}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	added := toAdd(found.Items, flags.only)
	if flags.write {
		if len(added) == 0 {
			return status.NewProblem(status.CodeNoEndpoint, "nothing was found on "+where+" that can be added to the configuration").
				Advise("start the runtime, then run peaqos-agent endpoints discover")
		}
		if len(added) > 1 && len(flags.only) == 0 {
			return usageProblem("several runtimes can be added: "+providerKeys(added), "choose with --provider-key KEY[,KEY]: what is added is published")
		}
		if found.File, err = a.addEndpoints(cfg, flags.machine, added); err != nil {
			return err
		}
		found.Added = strings.Split(providerKeys(added), ", ")
	}
	if a.json {
		return a.result(found)
	}
	return a.showDiscovery(ctx, cfg, found, where, added)
}

// compared adds what the configuration says about each server.
func compared(cfg *config.Config, found []discover.Runtime) []discovered {
	items := []discovered{}
	for _, r := range found {
		d := discovered{Runtime: r, ModelAlias: r.ModelAlias()}
		for _, m := range cfg.Machines {
			for _, e := range m.Endpoints {
				if strings.TrimRight(e.BaseURL, "/") == r.BaseURL {
					d.ConfiguredAs, d.Notice = e.ProviderKey, discover.Mismatch(e.ProviderKey, r)
				}
			}
		}
		items = append(items, d)
	}
	return items
}

// toAdd returns the endpoints that are not configured yet, one for each provider key.
func toAdd(items []discovered, only []string) []config.Endpoint {
	var out []config.Endpoint
	for _, d := range items {
		twice := slices.ContainsFunc(out, func(e config.Endpoint) bool { return e.ProviderKey == d.ProviderKey })
		if !d.Publishable() || d.ConfiguredAs != "" || twice || len(only) > 0 && !slices.Contains(only, d.ProviderKey) {
			continue
		}
		out = append(out, config.Endpoint{
			ProviderKey: d.ProviderKey, BaseURL: d.BaseURL, ProbePath: d.ProbePath, ModelAlias: d.ModelAlias, NetworkScope: d.Scope,
		})
	}
	return out
}

func providerKeys(endpoints []config.Endpoint) string {
	keys := make([]string, len(endpoints))
	for i, e := range endpoints {
		keys[i] = e.ProviderKey
	}
	return strings.Join(keys, ", ")
}

// showDiscovery prints the servers as a table, and below it what to add or what was
// added.
func (a *app) showDiscovery(ctx context.Context, cfg *config.Config, found discovery, where string, added []config.Endpoint) error {
	var b strings.Builder
	if len(found.Items) == 0 {
		fmt.Fprintf(&b, "No HTTP server answers on %s: start the runtime, then run this again\n", where)
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, d := range found.Items {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", d.title(), d.BaseURL, d.remark())
	}
	_ = w.Flush()
	switch {
	case found.File != "":
		fmt.Fprintf(&b, "\nAdded to %s: %s\n", found.File, strings.Join(found.Added, ", "))
	case len(added) > 0:
		fmt.Fprintf(&b, "\nTo publish, add below machines, endpoints in %s, or run this with --write:\n\n%s",
			configPath(cfg), indented(config.EndpointText(added), "      "))
	}
	if _, err := fmt.Fprint(a.out, b.String()); err != nil || found.File == "" {
		return err
	}
	return a.afterWriting(ctx)
}

// afterWriting says what must happen before added endpoints are published.
func (a *app) afterWriting(ctx context.Context) error {
	cfg, err := a.read()
	if err != nil {
		return err
	}
	for _, w := range allowListWarnings(ctx, cfg) {
		a.progress("warning: " + w)
	}
	if admin, err := agent.FindAdmin(ctx, cfg); err == nil && admin != nil {
		_, err = fmt.Fprintf(a.out, "Next: %s\n", status.ForReader("peaqos-agent reload", a.reader()))
		return err
	}
	return nil
}

// configPath is the file that the configuration is read from, or would be.
func configPath(cfg *config.Config) string {
	if cfg.Path == "" {
		return config.DefaultPath
	}
	return cfg.Path
}

func (d discovered) title() string {
	switch {
	case d.Name == "":
		return "not recognized"
	case d.Version != "":
		return d.Name + " " + d.Version
	}
	return d.Name
}

// remark is what there is to say about one server, in one line.
func (d discovered) remark() string {
	var parts []string
	add := func(condition bool, text string) {
		if condition {
			parts = append(parts, text)
		}
	}
	add(d.ConfiguredAs != "", "configured as "+d.ConfiguredAs)
	add(d.Notice != "", "but "+d.Notice)
	switch n := len(d.Models); {
	case n == 1:
		parts = append(parts, "model "+d.Models[0])
	case n > 1:
		parts = append(parts, fmt.Sprintf("%d models, the first is %s", n, d.Models[0]))
	}
	add(d.NeedsKey && d.Publishable(), "needs a key: set auth_type and auth_token_file")
	add(d.Note != "", d.Note)
	add(d.Name == "", "to publish it, choose a provider_key and a probe_path that answers 2xx")
	return strings.Join(parts, ", ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func indented(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(by + line)
	}
	return b.String()
}
