package ownname

import (
	"os"
	"strings"
	"testing"
)

func TestIsOf(t *testing.T) {
	for _, c := range []struct {
		name, host string
		want       bool
	}{
		{"robot7", "robot7", true},
		{"robot7", "robot7.plant.example", true},
		{"robot7.plant.example", "robot7.plant.example", true},
		{"robot7.local", "robot7", true},
		{"robot8", "robot7", false},
		{"robot7.evil.example", "robot7", false},
		{"evil.robot7", "robot7", false},
		{"", "", false},
		{"localhost", "localhost", false},
		{"localhost.local", "localhost", false},
		{"evil.localhost", "evil.localhost", false},
	} {
		if got := isOf(c.name, c.host); got != c.want {
			t.Errorf("%q on host %q: %t", c.name, c.host, got)
		}
	}
}

func TestListed(t *testing.T) {
	const hosts = "127.0.0.1 localhost ads.example # robot9\n" +
		"127.0.0.1 blocked.example\n" +
		"127.0.1.1\tRobot7.plant.example robot7\n127.0.1.1 cell.plant.example\n::1 robot6 arm.plant.example\n10.0.0.5 other.example robot7\n"
	for name, want := range map[string]bool{
		"robot7.plant.example": true, "cell.plant.example": true, "robot7": true,
		"localhost": false, "ads.example": false, "blocked.example": false, "robot9": false, "other.example": false,
		"arm.plant.example": false, "": false,
	} {
		if got := listed(strings.NewReader(hosts), name, "robot7"); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
	if !listed(strings.NewReader(hosts), "arm.plant.example", "robot6") {
		t.Error("a name in one line with the host name is not taken for ours")
	}
}

func TestIs(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	named := host != "" && !isLocalhost(normalize(host)) // a test host may have no name of its own
	if Is(strings.ToUpper(host)+".") != named || Is("x"+host) || Is("localhost") {
		t.Errorf("host name %q", host)
	}
}
