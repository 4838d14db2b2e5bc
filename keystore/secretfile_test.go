package keystore_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/keystore"
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
	for _, ok := range []string{
		good, link, file("our group writes", 0o620, "s"), file("readonly", 0o400, "s"), file("our group reads", 0o640, "s"),
	} {
		if b, err := keystore.ReadSecretFile(ok); err != nil || string(b) != "s" {
			t.Errorf("%s: %q, %v", filepath.Base(ok), b, err)
		}
	}
	for path, want := range map[string]keystore.FileFacts{
		file("all read", 0o604, "s"):                       {Problem: keystore.FileWorldReadable, Mode: 0o604},
		file("all write", 0o602, "s"):                      {Problem: keystore.FileWorldWritable, Mode: 0o602},
		file("long", 0o600, strings.Repeat("x", 64<<10+1)): {Problem: keystore.FileTooLong, Mode: 0o600, Size: 64<<10 + 1},
		filepath.Join(dir, "none"):                         {Problem: keystore.FileMissing},
		dir:                                                {Problem: keystore.FileNotRegular},
		pipe:                                               {Problem: keystore.FileNotRegular},
		loop:                                               {Problem: keystore.FileLinkLoop},
	} {
		_, err := keystore.ReadSecretFile(path)
		var secret *keystore.SecretFileError
		if !errors.As(err, &secret) || secret.Path != path || secret.Problem != want.Problem ||
			want.Mode != 0 && secret.Mode != want.Mode || want.Size != 0 && secret.Size != want.Size {
			t.Errorf("%s: %v (%+v), want %+v", filepath.Base(path), err, secret, want)
		}
	}
	var empty *keystore.SecretFileError
	if _, err := keystore.ReadPassphraseFile(file("empty", 0o600, "\n")); !errors.As(err, &empty) || empty.Problem != keystore.FileEmpty {
		t.Errorf("an empty passphrase: %v", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if _, err := keystore.ReadSecretFile(file("credential", 0o644, "s")); err != nil {
		t.Errorf("the mode of a systemd credential was checked: %v", err)
	}
}
