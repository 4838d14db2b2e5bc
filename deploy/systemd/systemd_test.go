package systemd

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// settings collects the unit's values by key, sections ignored: no key here has
// two meanings.
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
		t.Error("the embedded unit differs from the file beside it")
	}
}

// TestUnitHasNoTemplateMarks: the service library passes a unit through
// text/template; only a text without marks comes out as it went in.
func TestUnitHasNoTemplateMarks(t *testing.T) {
	if strings.Contains(Unit(), "{{") {
		t.Error("the unit contains {{")
	}
}

// TestUnitNeverWaitsForTheNetwork: an offline boot must start the agent.
func TestUnitNeverWaitsForTheNetwork(t *testing.T) {
	for _, key := range []string{"After", "Wants", "Requires", "BindsTo"} {
		for _, value := range settings(t, Unit())[key] {
			if regexp.MustCompile(`online|time-sync|time-set`).MatchString(value) {
				t.Errorf("%s=%s makes an offline boot wait", key, value)
			}
		}
	}
}

// TestUnitCarriesNoSecret: a credential that does not decrypt would stop the unit
// before our code runs, and the environment of a process is no place for a token.
func TestUnitCarriesNoSecret(t *testing.T) {
	for key, values := range settings(t, Unit()) {
		if strings.Contains(key, "Credential") || key == "EnvironmentFile" {
			t.Errorf("%s stands in the shipped unit; it belongs into a drop-in", key)
		}
		for _, value := range values {
			if key == "Environment" && !strings.HasPrefix(value, "GOMEMLIMIT=") {
				t.Errorf("Environment=%s stands in the shipped unit", value)
			}
		}
	}
}

func TestUnitKeepsItsPromises(t *testing.T) {
	want := map[string]string{
		"Type":                    "notify",
		"Restart":                 "always",
		"StartLimitIntervalSec":   "0",
		"WatchdogSec":             "60",
		"DynamicUser":             "yes",
		"StateDirectoryMode":      "0700",
		"RuntimeDirectoryMode":    "0755",
		"LimitCORE":               "0",
		"NoNewPrivileges":         "yes",
		"CapabilityBoundingSet":   "",
		"MemoryDenyWriteExecute":  "yes",
		"SystemCallErrorNumber":   "EPERM",
		"RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX AF_NETLINK",
	}
	got := settings(t, Unit())
	for key, value := range want {
		if len(got[key]) != 1 || got[key][0] != value {
			t.Errorf("%s = %q, want exactly %q", key, got[key], value)
		}
	}
}
