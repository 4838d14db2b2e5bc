package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// buildFlags are the flags of a release build. They are written in one place, the
// Makefile, and read from there.
type buildFlags struct {
	Build []string // flags of go build, such as -trimpath
	Link  string   // flags of the linker, without the version
}

// readFlags reads the flags from the Makefile in the repository's root.
func readFlags(root string) (buildFlags, error) {
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		return buildFlags{}, err
	}
	build := regexp.MustCompile(`(?m)^buildflags\s*:=\s*(.+)$`).FindSubmatch(text)
	link := regexp.MustCompile(`(?m)^ldflags\s*:=\s*(.+)$`).FindSubmatch(text)
	if build == nil || link == nil {
		return buildFlags{}, errors.New("the Makefile does not set buildflags and ldflags")
	}
	return buildFlags{strings.Fields(string(build[1])), string(link[1])}, nil
}

// readVersion reads the semantic version from the SDK's source, the one place
// where it is written.
func readVersion(root string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(root, "sdk", "*.go"))
	if err != nil {
		return "", err
	}
	constant := regexp.MustCompile(`(?m)^const Version = "(.+)"$`)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if m := constant.FindSubmatch(text); m != nil {
			return string(m[1]), nil
		}
	}
	return "", errors.New("no constant Version in package sdk")
}

// findRoot returns the repository's root: the nearest directory above the working
// directory that holds a go.mod.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// Build builds the agent into a directory, as it is released for this machine, and
// returns the binary's path. The only difference to make build is the version: it
// has no commit.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := findRoot()
	if err != nil {
		return "", err
	}
	flags, err := readFlags(root)
	if err != nil {
		return "", err
	}
	version, err := readVersion(root)
	if err != nil {
		return "", err
	}
	if err := readSources(root); err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "peaqos-agent")
	args := append([]string{"build"}, flags.Build...)
	args = append(args, "-ldflags", flags.Link+" -X main.version="+version, "-o", binary, "./cmd/peaqos-agent")
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the agent cannot be built: %w\n%s", err, out)
	}
	return binary, nil
}

// readSources reads the directories of the agent's source. The go command notes
// which directories a test reads, and runs the test again when a file in them has
// changed; it does not know what a program that the test starts has read.
func readSources(root string) error {
	for _, dir := range []string{"agent", "cmd", "deploy/systemd", "keystore", "sdk"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
