package lab

import (
	"debug/buildinfo"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestBuiltAsReleased: the binary under test has the settings of the release, and
// no others. (The go command does not record the linker's flags when it trims
// paths, so their effects are checked.)
func TestBuiltAsReleased(t *testing.T) {
	binary, err := Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "-") || s.Key == "CGO_ENABLED" {
			got[s.Key] = s.Value
		}
	}
	for key, want := range map[string]string{"-trimpath": "true", "CGO_ENABLED": "0", "-buildmode": "exe", "-compiler": "gc"} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("further build settings: %v", got)
	}

	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Section(".symtab") != nil || file.Section(".debug_info") != nil {
		t.Error("the binary is not stripped")
	}
	version, err := readVersion(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), binary, "version").Output()
	if err != nil || !strings.HasPrefix(string(out), "peaqos-agent "+version+" (") {
		t.Errorf("version prints %q (%v), want the SDK's version %s", out, err, version)
	}
}

// TestPlainFlags: the flags are the plain ones, and every build of the agent in
// the Makefile and the checks uses them.
func TestPlainFlags(t *testing.T) {
	root := filepath.Join("..", "..")
	flags, err := readFlags(root)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(flags.Build, []string{"-trimpath"}) || flags.Link != "-s -w" {
		t.Errorf("the release is built with %v and the linker's %q, want -trimpath and -s -w alone", flags.Build, flags.Link)
	}
	scripts, err := filepath.Glob(filepath.Join(root, "check", "*.sh"))
	if err != nil {
		t.Fatal(err)
	}
	builds := regexp.MustCompile(`go build .*cmd/peaqos-agent`)
	special := regexp.MustCompile(`-gcflags|-asmflags|funcalign|go build.* -tags`)
	uses := 0
	for _, path := range append(scripts, filepath.Join(root, "Makefile")) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if builds.MatchString(line) || special.MatchString(line) {
				t.Errorf("%s: build the agent with $(release) or make build, without further flags: %s", path, line)
			}
			if strings.Contains(line, "$(release)") {
				uses++
			}
		}
	}
	if uses < 2 {
		t.Errorf("$(release) is used %d times; build and cross should use it", uses)
	}
}
