package agent

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// TestStoreNextSteps: each fact that the keystore reports has a next step.
func TestStoreNextSteps(t *testing.T) {
	missing := &keystore.SealError{Reason: keystore.SealNoPassphraseFile, Protector: keystore.ProtectorPassphrase}
	credential := &keystore.SealError{Reason: keystore.SealNoCredential, Protector: keystore.ProtectorCredential}
	secret := func(problem keystore.FileProblem) error {
		return &keystore.SecretFileError{FileFacts: keystore.FileFacts{Path: "/etc/key", Problem: problem, WantUID: 7, Component: "/etc/link"}}
	}
	unsafe := func(problem keystore.FileProblem, dir bool) error {
		return &keystore.UnsafeError{FileFacts: keystore.FileFacts{Path: "/s/x", Problem: problem, Dir: dir, UID: 5, WantUID: 7}}
	}
	for _, c := range []struct {
		err  error
		code status.Code
		exit status.Exit
		next string
	}{
		{keystore.ErrNotFound, "not_enrolled", status.ExitKeystore, "enroll"},
		{keystore.ErrDamaged, "store_damaged", status.ExitKeystore, "rotate"},
		{keystore.ErrForeignHost, "foreign_host", status.ExitKeystore, "adopt"},
		{
			&keystore.SealError{Reason: keystore.SealKeyMissing, Path: "/s/seal.a"},
			"store_sealed", status.ExitKeystore, "restore /s/seal.a from a backup",
		},
		{
			&keystore.SealError{Reason: keystore.SealKeyDamaged, Err: keystore.ErrDamaged},
			"store_sealed", status.ExitKeystore, "run peaqos-agent rotate",
		},
		{&keystore.SealError{Reason: keystore.SealKeyUnknown}, "store_sealed", status.ExitKeystore, "restore the seal files"},
		{&keystore.SealError{Reason: keystore.SealWrongSecret}, "store_sealed", status.ExitKeystore, "provide the right one"},
		{missing, "store_sealed", status.ExitKeystore, "set keystore.passphrase_file"},
		{
			&keystore.SealError{Reason: keystore.SealBadPassphraseFile, Path: "/etc/key", Err: secret(keystore.FileWorldReadable)},
			"store_sealed", status.ExitKeystore, "fix the passphrase file /etc/key: chmod 600 /etc/key",
		},
		{credential, "store_sealed", status.ExitKeystore, "recovery passphrase in keystore.passphrase_file"},
		{&keystore.SealError{Reason: keystore.SealBadCredential}, "store_sealed", status.ExitKeystore, "running service"},
		{&keystore.SealError{Reason: keystore.SealShortCredential}, "store_sealed", status.ExitKeystore, "running service"},
		{&keystore.SealError{Reason: keystore.SealUnknownProtector}, "store_sealed", status.ExitKeystore, "install the newer"},
		{&keystore.SealError{Reason: keystore.SealNowWeaker}, "store_sealed", status.ExitKeystore, "rotate"},
		{&keystore.SealError{Reason: keystore.SealWouldWeaken}, "store_sealed", status.ExitKeystore, "keystore.seal to keyfile"},
		{
			&keystore.SealError{Reason: keystore.SealSeveral, Each: []*keystore.SealError{missing, credential, missing}},
			"store_sealed", status.ExitKeystore, sealNext(missing) + "; or " + sealNext(credential),
		},
		{secret(keystore.FileMissing), "secret_file", status.ExitSecret, "check the path"},
		{secret(keystore.FileNotPermitted), "secret_file", status.ExitSecret, "chown 7 /etc/key"},
		{secret(keystore.FileWrongOwner), "secret_file", status.ExitSecret, "chown 7 /etc/key"},
		{secret(keystore.FileLinkLoop), "secret_file", status.ExitSecret, "name the file itself"},
		{secret(keystore.FileLinkOwner), "secret_file", status.ExitSecret, "chown -h root /etc/link"},
		{secret(keystore.FileNotRegular), "secret_file", status.ExitSecret, "standard input"},
		{secret(keystore.FileTooLong), "secret_file", status.ExitSecret, "only the secret"},
		{secret(keystore.FileGroupAccess), "secret_file", status.ExitSecret, "chmod 600 /etc/key"},
		{secret(keystore.FileEmpty), "secret_file", status.ExitSecret, "write the passphrase"},
		{secret(keystore.FileIsSecret), "secret_file", status.ExitSecret, "name that file"},
		{secret(keystore.FileNoDescriptor), "secret_file", status.ExitSecret, "standard input"},
		{&keystore.UnreadableError{Path: "/s/x", Err: syscall.EIO}, "store_unreadable", status.ExitKeystore, "check the disk"},
		{&keystore.UnreadableError{Path: "/s/x", Err: syscall.EACCES}, "store_unreadable", status.ExitKeystore, "chmod 600 /s/x"},
		{&keystore.UnreadableError{Path: "/s/x", Err: unsafe(keystore.FileWrongOwner, false)}, "store_unreadable", status.ExitKeystore, "chown 7 /s/x"},
		{&keystore.VolatileError{Path: "/s", FileSystem: "tmpfs"}, "store_volatile", status.ExitConfig, "keystore.volatile: true"},
		{&keystore.KeyNeededError{ControllerKey: true}, "lost_key_needed", status.ExitKeystore, "--replace-lost-key"},
		{&keystore.SealError{Reason: keystore.SealChanged, Path: "/s/seal.a"}, "seal_changed", status.ExitKeystore, "backup"},
		{&keystore.KeyFormError{Form: keystore.FormMnemonic}, "controller_key_file", status.ExitSecret, "check the file"},
		{unsafe(keystore.FileLinked, false), "store_unusable", status.ExitKeystore, "other names of /s/x"},
		{unsafe(keystore.FileIsLink, true), "store_unusable", status.ExitKeystore, "the directory itself"},
		{unsafe(keystore.FileReachable, true), "store_unusable", status.ExitKeystore, "chmod 700 /s/x"},
		{unsafe(keystore.FileReachable, false), "store_unusable", status.ExitKeystore, "chmod 600 /s/x"},
		{unsafe(keystore.FileWrongOwner, true), "store_unusable", status.ExitKeystore, "run this as user 5 or as root, or chown -R 7 /s/x"},
		{unsafe(keystore.FileWrongOwner, false), "store_unusable", status.ExitKeystore, "chown 7 /s/x"},
		{unsafe(keystore.FileIsLink, false), "store_unusable", status.ExitKeystore, "restore /s/x from a backup"},
	} {
		p := Explain(fmt.Errorf("reading: %w", c.err))
		if p.Code != c.code || p.Exit != c.exit || !strings.Contains(p.Next, c.next) {
			t.Errorf("%v: %s, exit %d, next %q; want %s, %d, %q", c.err, p.Code, p.Exit, p.Next, c.code, c.exit, c.next)
		}
	}
}

// TestExplainOpen: an error without a code of its own is a fault of the directory.
func TestExplainOpen(t *testing.T) {
	if p := Explain(explainOpen(errors.New("no space"), "/s")); p.Code != "store_unusable" || !strings.Contains(p.Next, "keystore.dir (/s)") {
		t.Errorf("%+v", p)
	}
	if p := Explain(explainOpen(&keystore.InUseError{Path: "/s", PID: 9}, "/s")); p.Code != "store_in_use" || p.Exit != status.ExitRunning {
		t.Errorf("%+v", p)
	}
}

// TestStoreWaitIsLogged: a daemon that has to wait for the store logs at once which
// process holds it and how long it waits.
func TestStoreWaitIsLogged(t *testing.T) {
	l := newLife(t)
	l.close()
	holder, err := keystore.Open(t.Context(), l.cfg.Keystore.Dir, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close() }()
	var log strings.Builder
	_, err = New(t.Context(), l.cfg, Options{NoAdmin: true, Transport: l.server.Transport(), LogTo: &log, LockWait: 60 * time.Millisecond})
	if p := Explain(err); p.Code != "store_in_use" {
		t.Errorf("%+v", p)
	}
	want := fmt.Sprintf("process %d holds the store %s/keystore, waiting up to 0.06 s", os.Getpid(), l.cfg.Keystore.Dir)
	if strings.Count(log.String(), "store_wait") != 1 || !strings.Contains(log.String(), want) {
		t.Errorf("%s\nwant one line with: %s", log.String(), want)
	}
}

// TestSecretFileNextWorksThere: a next step is one that the reader can take where the
// agent runs.
func TestSecretFileNextWorksThere(t *testing.T) {
	wrong := keystore.FileFacts{Path: "/boot/my key", Problem: keystore.FileWorldReadable, WantUID: 7, Mode: 0o755}
	fat, acl := wrong, wrong
	fat.FileSystem, acl.ACL = "vfat", true
	for _, c := range []struct {
		at    place
		facts keystore.FileFacts
		want  string
	}{
		{place{}, wrong, "chmod 600 '/boot/my key'"},
		{place{}, fat, "install -m 600 -o 7 '/boot/my key'"},
		{place{}, acl, "setfacl"},
		{place{container: true}, wrong, "mount it as a secret"},
		{place{dynamic: true}, wrong, "LoadCredential="},
	} {
		got := c.at.secretFileNext(&keystore.SecretFileError{FileFacts: c.facts})
		if !strings.Contains(got, c.want) || c.want != "chmod 600 '/boot/my key'" && strings.Contains(got, "chmod") {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
