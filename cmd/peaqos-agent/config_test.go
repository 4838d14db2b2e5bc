package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

func TestConfigCheckAsJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	for _, c := range []struct {
		name, file string
		args, env  []string
		exit       int
		want       configCheck
		warning    string // in the only warning; empty wants none
	}{
		{
			name: "good", file: "machines: [{endpoints: [{provider_key: qvac, base_url: \"http://127.0.0.1:1\"}]}]\n",
			args: []string{"--config", path},
			want: configCheck{OK: true, Problems: []config.Problem{}},
		},
		{
			name: "no endpoints", file: "log: {level: info}\n", args: []string{"--config", path},
			want: configCheck{OK: true, Problems: []config.Problem{}}, warning: "machine main has no endpoints",
		},
		{
			name: "no file", args: nil, env: []string{
				"PEAQOS_AGENT_ENDPOINT_PROVIDER_KEY=qvac", "PEAQOS_AGENT_ENDPOINT_BASE_URL=http://127.0.0.1:1",
			},
			want:    configCheck{OK: true, Problems: []config.Problem{}},
			warning: "no configuration file was found (looked at " + config.DefaultPath + ")",
		},
		{
			name: "two problems", file: "log: {level: loud}\n", args: []string{"--config", path},
			env: []string{"PEAQOS_AGENT_HEARTBEAT_LEASE_TTL=1s", "PEAQOS_AGENT_COLOUR=blue"}, exit: 3, warning: "PEAQOS_AGENT_COLOUR",
			want: configCheck{Problems: []config.Problem{
				{File: path, Line: 1, Column: 14, Key: "log.level", Text: `must be debug, info, warn or error, not "loud"`},
				{
					File: "PEAQOS_AGENT_HEARTBEAT_LEASE_TTL", Key: "heartbeat.lease_ttl",
					Text: "must be whole seconds from 3s to 24h, not 1s",
				},
			}},
		},
		{
			name: "a missing file", args: []string{"--config", path + "x"}, exit: 3,
			want: configCheck{Problems: []config.Problem{{
				File: path + "x",
				Text: "cannot be read: no such file or directory; check the path and its mode, or name another file with --config",
			}}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			args := append([]string{"config", "check", "--json"}, c.args...)
			if exit := execute(context.Background(), streams{&bytes.Buffer{}, &out, &errs}, args, c.env); exit != c.exit || errs.Len() > 0 {
				t.Errorf("exit %d, want %d; standard error: %s", exit, c.exit, errs.String())
			}
			for _, name := range []string{`"ok":`, `"problems": [`, `"warnings": [`} {
				if !strings.Contains(out.String(), name) {
					t.Errorf("%s is missing in %s", name, out.String())
				}
			}
			var got configCheck
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			if c.warning == "" && len(got.Warnings) > 0 ||
				c.warning != "" && (len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], c.warning)) {
				t.Errorf("warnings %q, want %q", got.Warnings, c.warning)
			}
			got.Warnings = nil
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
