package sdk_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// environment sets these variables and unsets all others that FromEnv reads.
func environment(t *testing.T, set map[string]string) {
	t.Helper()
	for _, name := range []string{
		"PEAQOS_ORCHESTRATION_URL", "PEAQOS_API_KEY", "PEAQOS_ORCH_API_KEY", "PEAQOS_RPC_URL", "PEAQOS_SVM_RPC_URL", "PEAQOS_PRIVATE_KEY",
		"PEAQOS_DEPLOYMENT_ID", "PEAQOS_MCR_API_URL", "IDENTITY_REGISTRY_ADDRESS", "IDENTITY_STAKING_ADDRESS", "EVENT_REGISTRY_ADDRESS",
		"MACHINE_NFT_ADDRESS", "DID_REGISTRY_ADDRESS", "BATCH_PRECOMPILE_ADDRESS",
	} {
		t.Setenv(name, "") // so that it is set back
		os.Unsetenv(name)
	}
	for name, value := range set {
		t.Setenv(name, value)
	}
}

// faultsOf returns the variables that an error names.
func faultsOf(err error) []string {
	var names []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			names = append(names, faultsOf(err)...)
		}
		return names
	}
	var fault *sdk.ConfigError
	if errors.As(err, &fault) {
		names = append(names, fault.Field)
	}
	slices.Sort(names)
	return names
}

func TestFromEnv(t *testing.T) {
	environment(t, map[string]string{
		"PEAQOS_ORCHESTRATION_URL": " https://orchestration.example/x\n", "PEAQOS_API_KEY": " k ",
		"PEAQOS_RPC_URL":     "\thttps://rpc.example/v1/abc ",
		"PEAQOS_PRIVATE_KEY": "0x" + vectorKey, "PEAQOS_DEPLOYMENT_ID": " peaq-mainnet ",
	})
	e, err := sdk.FromEnv(sdk.RequireOrchestration, sdk.RequireMCR, sdk.RequireChain, sdk.RequireSigner)
	if err != nil {
		t.Fatal(err)
	}
	if e.OrchestrationURL != "https://orchestration.example/x" || e.APIKey.Reveal() != " k " ||
		e.RPCURL.Reveal() != "https://rpc.example/v1/abc" ||
		e.PrivateKey.Reveal() != "0x"+vectorKey || e.Deployment.ID != "peaq-mainnet" || e.MCRURL != "https://mcr.peaq.xyz" ||
		len(e.Warnings) != 0 {
		t.Errorf("got %v, warnings %q", e, e.Warnings)
	}
	for _, build := range []func() (any, error){
		func() (any, error) { return e.Client() },
		func() (any, error) { return e.MCR() },
		func() (any, error) { return e.Chain() },
	} {
		if c, err := build(); err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestFromEnvEmptyMeansUnset(t *testing.T) {
	environment(
		t,
		map[string]string{
			"PEAQOS_ORCHESTRATION_URL": "", "PEAQOS_API_KEY": "", "PEAQOS_ORCH_API_KEY": "cli",
			"PEAQOS_MCR_API_URL": "  ", "PEAQOS_DEPLOYMENT_ID": "",
		},
	)
	e, err := sdk.FromEnv()
	if err != nil || e.Deployment.ID != sdk.DefaultDeployment || e.MCRURL != "https://mcr.peaq.xyz" || e.APIKey.Reveal() != "cli" {
		t.Errorf("got %v, %v", e, err)
	}
	var config *sdk.ConfigError
	if _, err := e.Client(); !errors.As(err, &config) {
		t.Errorf("a client without an address: %v", err)
	}
}

// TestFromEnvReportsEveryError: all together, each with its variable, and never with the
// value.
func TestFromEnvReportsEveryError(t *testing.T) {
	order := "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
	for name, c := range map[string]struct {
		set   map[string]string
		needs []sdk.Requirement
		want  []string
	}{
		"nothing set": {nil, []sdk.Requirement{
			sdk.RequireOrchestration, sdk.RequireMCR, sdk.RequireChain, sdk.RequireSigner,
		}, []string{"PEAQOS_ORCHESTRATION_URL", "PEAQOS_PRIVATE_KEY", "PEAQOS_RPC_URL"}},
		"nothing needed": {nil, nil, nil},
		"URLs": {map[string]string{
			"PEAQOS_ORCHESTRATION_URL": "canary", "PEAQOS_RPC_URL": "ftp://canary", "PEAQOS_SVM_RPC_URL": "http://",
			"PEAQOS_MCR_API_URL": "https://canary:x@h",
		}, nil, []string{"PEAQOS_MCR_API_URL", "PEAQOS_ORCHESTRATION_URL", "PEAQOS_RPC_URL", "PEAQOS_SVM_RPC_URL"}},
		"a password in the URL": {
			map[string]string{"PEAQOS_ORCHESTRATION_URL": "https://u:canary@h"}, nil, []string{"PEAQOS_ORCHESTRATION_URL"},
		},
		"an unknown deployment": {map[string]string{"PEAQOS_DEPLOYMENT_ID": "canary"}, nil, []string{"PEAQOS_DEPLOYMENT_ID"}},
		"no MCR there": {
			map[string]string{"PEAQOS_DEPLOYMENT_ID": "agung-2026-08-28"},
			[]sdk.Requirement{sdk.RequireMCR},
			[]string{"PEAQOS_DEPLOYMENT_ID"},
		},
		"no MCR there, but one": {map[string]string{
			"PEAQOS_DEPLOYMENT_ID": "agung-2026-08-28", "PEAQOS_MCR_API_URL": "http://127.0.0.1:8000",
		}, []sdk.Requirement{sdk.RequireMCR}, nil},
		"no address": {map[string]string{
			"IDENTITY_REGISTRY_ADDRESS": "canary", "MACHINE_NFT_ADDRESS": "0X" + vectorAddress[2:],
		}, nil, []string{"IDENTITY_REGISTRY_ADDRESS", "MACHINE_NFT_ADDRESS"}},
		"the zero address": {
			map[string]string{"DID_REGISTRY_ADDRESS": "0x" + strings.Repeat("0", 40)}, nil, []string{"DID_REGISTRY_ADDRESS"},
		},
		"a key without 0x":     {map[string]string{"PEAQOS_PRIVATE_KEY": vectorKey}, nil, []string{"PEAQOS_PRIVATE_KEY"}},
		"a key with 0X":        {map[string]string{"PEAQOS_PRIVATE_KEY": "0X" + vectorKey}, nil, []string{"PEAQOS_PRIVATE_KEY"}},
		"a short key":          {map[string]string{"PEAQOS_PRIVATE_KEY": "0x" + vectorKey[1:]}, nil, []string{"PEAQOS_PRIVATE_KEY"}},
		"a long key":           {map[string]string{"PEAQOS_PRIVATE_KEY": "0x1" + vectorKey}, nil, []string{"PEAQOS_PRIVATE_KEY"}},
		"a key and a space":    {map[string]string{"PEAQOS_PRIVATE_KEY": " 0x" + vectorKey}, nil, []string{"PEAQOS_PRIVATE_KEY"}},
		"a key and a line end": {map[string]string{"PEAQOS_PRIVATE_KEY": "0x" + vectorKey + "\n"}, nil, []string{"PEAQOS_PRIVATE_KEY"}},
		"the key zero": {
			map[string]string{"PEAQOS_PRIVATE_KEY": "0x" + strings.Repeat("0", 64)}, nil, []string{"PEAQOS_PRIVATE_KEY"},
		},
		"the curve's order":       {map[string]string{"PEAQOS_PRIVATE_KEY": order}, nil, []string{"PEAQOS_PRIVATE_KEY"}},
		"below the order":         {map[string]string{"PEAQOS_PRIVATE_KEY": order[:65] + "0"}, nil, nil},
		"the key one, upper case": {map[string]string{"PEAQOS_PRIVATE_KEY": "0x" + strings.Repeat("0", 62) + "0A"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, c.set)
			e, err := sdk.FromEnv(c.needs...)
			got := faultsOf(err)
			slices.Sort(got)
			if !slices.Equal(got, c.want) || (e == nil) != (len(c.want) > 0) {
				t.Errorf("got %v, %v, want %v", e, err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), vectorKey[:10])) {
				t.Errorf("the error repeats a value: %v", err)
			}
		})
	}
}

// TestFromEnvWarns checks the warnings about settings that have little effect.
func TestFromEnvWarns(t *testing.T) {
	environment(t, map[string]string{
		"IDENTITY_REGISTRY_ADDRESS": strings.Replace(vectorAddress, "E", "e", 1), // mixed case, and wrong
		"IDENTITY_STAKING_ADDRESS":  strings.ToLower(vectorAddress),
		"PEAQOS_MCR_API_URL":        "http://127.0.0.1:8000",
	})
	e, err := sdk.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(e.Warnings, "\n")
	for _, want := range []string{
		"IDENTITY_REGISTRY_ADDRESS fails its checksum", "PEAQOS_MCR_API_URL is used instead of the MCR",
		"addresses of release 0.2.0 are set",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning %q in\n%s", want, all)
		}
	}
	if strings.Contains(all, "IDENTITY_STAKING_ADDRESS does not") || e.MCRURL != "http://127.0.0.1:8000" || e.Legacy.IsZero() {
		t.Errorf("got %v, warnings\n%s", e, all)
	}
}

func TestEnvPrintsNoSecret(t *testing.T) {
	environment(t, map[string]string{
		"PEAQOS_ORCHESTRATION_URL": "https://orchestration.example", "PEAQOS_API_KEY": "canary-1", "PEAQOS_PRIVATE_KEY": "0x" + vectorKey,
		"PEAQOS_RPC_URL": "https://u:canary-2@rpc.example/v1/canary-3?key=canary-4", "PEAQOS_SVM_RPC_URL": "https://svm.example/canary-5",
	})
	e, err := sdk.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("m", "env", e, "copy", *e)
	asJSON, err := json.Marshal([]any{e, *e})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{e, *e, struct{ e *sdk.Env }{e}, struct{ E sdk.Env }{*e}} {
		fmt.Fprintf(&logged, "%v %+v %#v %s %q", v, v, v, v, v)
	}
	for _, text := range []string{logged.String(), string(asJSON)} {
		if strings.Contains(text, "canary") || strings.Contains(text, vectorKey) {
			t.Errorf("printed %s", text)
		}
		if !strings.Contains(text, "https://rpc.example") {
			t.Errorf("does not name the host: %s", text)
		}
	}
}
