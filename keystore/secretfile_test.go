package keystore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadSecretFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, mode os.FileMode, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", 0o600, "s")
	link := filepath.Join(dir, "link")
	if err := os.Symlink("good", link); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ok := range []string{good, link, file("our group writes", 0o620, "s"), file("readonly", 0o400, "s"), file("our group reads", 0o640, "s")} {
		if b, err := ReadSecretFile(ok); err != nil || string(b) != "s" {
			t.Errorf("%s: %q, %v", filepath.Base(ok), b, err)
		}
	}
	for path, rule := range map[string]string{
		file("all read", 0o604, "s"):                       "every user",
		file("all write", 0o602, "s"):                      "every user",
		file("long", 0o600, strings.Repeat("x", 64<<10+1)): "more than",
		filepath.Join(dir, "none"):                         "does not exist",
		dir:                                                "not a regular file",
		pipe:                                               "not a regular file",
		loop:                                               "symbolic links",
	} {
		_, err := ReadSecretFile(path)
		var secret *SecretFileError
		if !errors.As(err, &secret) || !strings.Contains(err.Error(), rule) {
			t.Errorf("%s: %v, want a SecretFileError about %q", filepath.Base(path), err, rule)
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if _, err := ReadSecretFile(file("credential", 0o644, "s")); err != nil {
		t.Errorf("systemd guards its credentials: %v", err)
	}
}
