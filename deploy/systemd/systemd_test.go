package systemd

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// settings returns the unit's values by key. It ignores sections, because no key here
// occurs in two of them.
func settings(t *testing.T, text string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "[") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("not a setting: %q", line)
		}
		found[key] = append(found[key], value)
	}
	return found
}

func TestUnitIsTheFile(t *testing.T) {
	file, err := os.ReadFile(Name + ".service")
	if err != nil {
		t.Fatal(err)
	}
	if Unit() != string(file) {
		t.Error("the embedded unit differs from the file next to it")
	}
}

// TestUnitHasNoTemplateMarks: the service library passes the unit through
// text/template, which leaves only a text without template marks unchanged.
func TestUnitHasNoTemplateMarks(t *testing.T) {
	if strings.Contains(Unit(), "{{") {
		t.Error("the unit contains {{")
	}
}

// TestUnitNeverWaitsForTheNetwork: the agent must start on a boot without a network.
func TestUnitNeverWaitsForTheNetwork(t *testing.T) {
	for _, key := range []string{"After", "Wants", "Requires", "BindsTo"} {
		for _, value := range settings(t, Unit())[key] {
			if regexp.MustCompile(`online|time-sync|time-set`).MatchString(value) {
				t.Errorf("%s=%s makes a boot without a network wait", key, value)
			}
		}
	}
}

// TestUnitCarriesNoSecret: a credential that cannot be decrypted would stop the unit
// before our code runs, and a process's environment must not contain a token.
func TestUnitCarriesNoSecret(t *testing.T) {
	for key, values := range settings(t, Unit()) {
		if strings.Contains(key, "Credential") || key == "EnvironmentFile" {
			t.Errorf("%s is in the shipped unit; it belongs in a drop-in", key)
		}
		for _, value := range values {
			if key == "Environment" && !strings.HasPrefix(value, "GOMEMLIMIT=") {
				t.Errorf("Environment=%s is in the shipped unit", value)
			}
		}
	}
}

func TestUnitKeepsItsPromises(t *testing.T) {
	want := map[string]string{
		"Type":                     "notify",
		"Restart":                  "always",
		"RestartPreventExitStatus": "1 3",
		"StartLimitIntervalSec":    "0",
		"WatchdogSec":              "60",
		"DynamicUser":              "yes",
		"StateDirectoryMode":       "0700",
		"RuntimeDirectoryMode":     "0755",
		"LimitCORE":                "0",
		"NoNewPrivileges":          "yes",
		"CapabilityBoundingSet":    "",
		"MemoryDenyWriteExecute":   "yes",
		"SystemCallErrorNumber":    "EPERM",
		"RestrictAddressFamilies":  "AF_INET AF_INET6 AF_UNIX AF_NETLINK",
	}
	got := settings(t, Unit())
	for key, value := range want {
		if len(got[key]) != 1 || got[key][0] != value {
			t.Errorf("%s = %q, want exactly %q", key, got[key], value)
		}
	}
}
