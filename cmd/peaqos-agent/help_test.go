package main

import (
	"bytes"
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func outputOf(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if exit := execute(t.Context(), streams{&bytes.Buffer{}, &out, &errs}, args, nil); exit != 0 || errs.Len() > 0 {
		t.Fatalf("%v: exit %d, %s", args, exit, errs.String())
	}
	return out.String()
}

// TestManual: the help of the root command and the comment of main.go list all exit
// codes and the environment variables, in the same words.
func TestManual(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	comment, _, _ := strings.Cut(string(source), "package main")
	help := outputOf(t, "--help")
	for line := range strings.Lines(exitTable() + environmentTable()) {
		if !strings.Contains(help, line) {
			t.Errorf("not in the help: %q", line)
		}
		if !strings.Contains(comment, strings.TrimSpace(line)) {
			t.Errorf("not in the comment of main.go: %q", line)
		}
	}
	for _, title := range []string{"On the device:", "On the operator's computer", "Trying it out:", "Other:"} {
		if !strings.Contains(help, title) {
			t.Errorf("the help has no group %q", title)
		}
	}
	if strings.Contains(help, "Additional Commands") {
		t.Error("a command is in no group")
	}
}

// TestEveryCommandExplainsItself: a command has a description and an example, and its
// help fits a terminal.
func TestEveryCommandExplainsItself(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" || !strings.Contains(cmd.Example, "peaqos-agent") {
			t.Errorf("%s: description %q, example %q", cmd.CommandPath(), cmd.Short, cmd.Example)
		}
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
			if len([]rune(line)) > 120 {
				t.Errorf("%s: a line of %d characters: %s", cmd.CommandPath(), len([]rune(line)), line)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).root())
}

func TestVersion(t *testing.T) {
	want := "peaqos-agent " + version + " (" + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")\n"
	for _, args := range [][]string{{"version"}, {"--version"}} {
		if got := outputOf(t, args...); got != want {
			t.Errorf("%v: %q, want %q", args, got, want)
		}
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(outputOf(t, "version", "--json")), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"version": version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH} {
		if got[key] != want {
			t.Errorf("%s: %q, want %q", key, got[key], want)
		}
	}
}
