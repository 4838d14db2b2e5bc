package config

import (
	"testing"
	"time"
)

func TestDurationsReadBack(t *testing.T) {
	for text, want := range map[string]string{
		"90s": "90s", "1m30s": "90s", "60s": "1m", "2h": "2h", "1h30m": "90m", "1500ms": "1.5s", "24h": "24h",
	} {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := formatDuration(d); got != want {
			t.Errorf("%s is written %s, want %s", text, got, want)
		}
	}
}

func TestBareNumber(t *testing.T) {
	for text, want := range map[string]bool{
		"90": true, "+5": true, "-1": true, "1_000": true, "2.": true, "2.5": true, "1e3": true, "1E30": true, "1.5e3": true, "0": true,
		"": false, "+": false, "_1": false, "90s": false, "1e": false, "1e+3": false, "e3": false, ".5": false, "--1": false, "1.2.3": false,
	} {
		if got := isBareNumber(text); got != want {
			t.Errorf("isBareNumber(%q) = %t, want %t", text, got, want)
		}
	}
}
