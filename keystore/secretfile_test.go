package keystore_test

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// TestSudoUsersSecretFile: root that was called through sudo may use the person's own
// file of mode 0600 or 0400, and nothing else changes.
func TestSudoUsersSecretFile(t *testing.T) {
	if !isRoot() {
		return
	}
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	for _, c := range []struct {
		sudo string
		uid  int
		mode os.FileMode
		want keystore.FileProblem
	}{
		{"4242", 4242, 0o600, 0},
		{"4242", 4242, 0o400, 0},
		{"4242", 4242, 0o640, keystore.FileGroupAccess}, // the cure is chmod, not chown
		{"4242", 4242, 0o644, keystore.FileWorldReadable},
		{"4242", 4242, 0o606, keystore.FileWorldWritable},
		{"4242", 4243, 0o600, keystore.FileWrongOwner},
		{"", 4242, 0o600, keystore.FileWrongOwner},
		{"x", 4242, 0o600, keystore.FileWrongOwner},
		{"-1", 4242, 0o600, keystore.FileWrongOwner},
		{"4242", 0, 0o600, 0},
		{"4242", 0, 0o644, keystore.FileWorldReadable},
	} {
		t.Setenv("SUDO_UID", c.sudo)
		path := secretFile(t, "s")
		must(t, os.Chown(path, c.uid, -1))
		must(t, os.Chmod(path, c.mode))
		link := path + "-link"
		must(t, os.Symlink(path, link))
		must(t, os.Lchown(link, c.uid, -1))
		for _, name := range []string{path, link} {
			b, err := keystore.ReadSecretFile(name)
			var fault *keystore.SecretFileError
			want := c.want
			if want == keystore.FileWrongOwner && name == link {
				want = keystore.FileLinkOwner
			}
			if errors.As(err, &fault) != (want != 0) || fault != nil && fault.Problem != want || want == 0 && string(b) != "s" {
				t.Errorf("%+v, %s: %v", c, filepath.Base(name), err)
			}
		}
	}
}

// TestPlatformSecretFile: where the platform puts secrets, owner and mode are its
// business, also on the way through links.
func TestPlatformSecretFile(t *testing.T) {
	if !isRoot() {
		return
	}
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "..data"), 0o777))
	path := filepath.Join(dir, "..data", "k")
	must(t, os.WriteFile(path, []byte("s"), 0o644))
	must(t, os.Symlink("..data/k", filepath.Join(dir, "k")))
	for _, p := range []string{filepath.Join(dir, "..data"), path, filepath.Join(dir, "k")} {
		must(t, os.Lchown(p, 100, 100))
	}
	if _, err := keystore.ReadSecretFile(filepath.Join(dir, "k")); err == nil {
		t.Error("elsewhere it is refused")
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if b, err := keystore.ReadSecretFile(filepath.Join(dir, "k")); err != nil || string(b) != "s" {
		t.Error(err)
	}
}

// TestDescriptorAsSecretFile: /dev/fd/N and its like are an open file of this process.
func TestDescriptorAsSecretFile(t *testing.T) {
	for _, format := range []string{"/dev/fd/%d", "/proc/self/fd/%d", fmt.Sprintf("/proc/%d/fd/", os.Getpid()) + "%d"} {
		r, w, err := os.Pipe()
		must(t, err)
		_, err = w.WriteString("s")
		must(t, errors.Join(err, w.Close()))
		path := fmt.Sprintf(format, r.Fd())
		if b, err := keystore.ReadSecretFile(path); err != nil || string(b) != "s" {
			t.Errorf("%s: %q, %v", path, b, err)
		}
		must(t, r.Close())
	}
	var secret *keystore.SecretFileError
	if _, err := keystore.ReadSecretFile("/dev/fd/987"); !errors.As(err, &secret) || secret.Problem != keystore.FileNoDescriptor {
		t.Errorf("a descriptor that is not open: %v", err)
	}
	r, w, err := os.Pipe()
	must(t, err)
	go func() { _, _ = w.Write(make([]byte, 64<<10+1)); _ = w.Close() }()
	if _, err := keystore.ReadSecretFile(fmt.Sprintf("/dev/fd/%d", r.Fd())); !errors.As(err, &secret) || secret.Problem != keystore.FileTooLong {
		t.Errorf("an endless pipe: %v", err)
	}
	must(t, r.Close())
}

// TestSecretInPlaceOfItsFile: what looks like a secret is not repeated.
func TestSecretInPlaceOfItsFile(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, value := range []string{
		elevens, elevens[2:], strings.ToUpper(elevens[2:]), "'" + elevens + "'", strings.Repeat("a1", 20),
		"sk_live_Abc123456789012345", "peaq-live-key-5b1f0c77", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.x/y", "dGhpcyBpcyBhIHNlY3JldCBrZXk0Mg==",
		"abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about", `{"crypto": {}}`,
		"-----BEGIN PRIVATE KEY-----", strings.Repeat("x", 5000), "/etc/peaqos-agent/" + elevens,
	} {
		_, err := keystore.ReadSecretFile(value)
		if err == nil || strings.Contains(err.Error(), value) || strings.Contains(err.Error(), filepath.Base(value)) {
			t.Errorf("%.40q is repeated: %.200v", value, err)
		}
	}
	for _, value := range []string{"key", "ctl.hex", "./controller-key-2.hex", "/etc/peaqos-agent/api-key-of-robot-42", "secrets/robot-7/api-key"} {
		if _, err := keystore.ReadSecretFile(value); err == nil || !strings.Contains(err.Error(), value) {
			t.Errorf("%q is not named: %v", value, err)
		}
	}
}

// TestSecretFileWithACL: an access control list counts for what it opens.
func TestSecretFileWithACL(t *testing.T) {
	if !isRoot() {
		return
	}
	acl := func(entries ...[3]uint32) []byte {
		b := []byte{2, 0, 0, 0}
		for _, e := range entries {
			b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
			b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
			b = binary.LittleEndian.AppendUint32(b, e[2])
		}
		return b
	}
	const none = ^uint32(0)
	owner, group, mask, other := [3]uint32{1, 6, none}, [3]uint32{4, 0, none}, [3]uint32{0x10, 4, none}, [3]uint32{0x20, 0, none}
	for name, c := range map[string]struct {
		list []byte
		ok   bool
	}{
		"opens it to us":      {acl(owner, [3]uint32{2, 4, 0}, group, mask, other), true},
		"opens it to another": {acl(owner, [3]uint32{2, 4, otherUser}, group, mask, other), false},
		"opens it to a group": {acl(owner, group, [3]uint32{8, 4, otherUser}, mask, other), false},
		"closed by its mask":  {acl(owner, [3]uint32{2, 4, otherUser}, group, [3]uint32{0x10, 0, none}, other), true},
	} {
		path := secretFile(t, "s")
		must(t, os.Chown(path, 0, otherUser))
		if err := unix.Setxattr(path, "system.posix_acl_access", c.list, 0); err != nil {
			return // the file system has no such lists
		}
		_, err := keystore.ReadSecretFile(path)
		var secret *keystore.SecretFileError
		if (err == nil) != c.ok || !c.ok && (!errors.As(err, &secret) || !secret.ACL) {
			t.Errorf("a list that %s: %v", name, err)
		}
	}
}
