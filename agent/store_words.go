package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// The keystore returns facts. This file says in words what to do about each of
// them: the commands and configuration keys are known here and not there.

const (
	storeInUseNext = "stop the other process, or use another keystore.dir"
	rotateNext     = "run peaqos-agent rotate with an API key"
	credentialNext = "use it through the running service, give the recovery passphrase in keystore.passphrase_file, or " + rotateNext
)

// logStoreWait reports at once who holds the store and how long we wait for it.
func (a *Agent) logStoreWait(holder *keystore.InUseError, limit time.Duration) {
	a.log.Warn(fmt.Sprintf("%v, waiting up to %g s", holder, limit.Seconds()), zap.String("code", "store_wait"), zap.Int("pid", holder.PID))
}

// explainOpen is the error of a store that could not be opened. What Explain has
// no words of its own for is a fault of the directory.
func explainOpen(err error, dir string) error {
	if errors.Is(err, keystore.ErrInUse) || errors.Is(err, context.Canceled) || errors.Is(err, fs.ErrPermission) ||
		explainStore(err, &Problem{}) {
		return err
	}
	return problem(ExitKeystore, "store_unusable", err.Error(), "", "fix keystore.dir ("+dir+") or set another directory")
}

// explainStore fills in code, exit code and next step of a keystore error. It
// returns false for any other error.
func explainStore(err error, p *Problem) bool {
	var sealed *keystore.SealError
	sealedNext := rotateNext
	if errors.As(err, &sealed) {
		sealedNext = sealNext(sealed)
	}
	rows := []struct {
		is         error
		code, next string
	}{
		{
			keystore.ErrForeignHost, "foreign_host",
			"run peaqos-agent adopt if this is the same machine with new hardware, or reset-identity if this is a copy",
		},
		{keystore.ErrSealed, "store_sealed", sealedNext},
		{keystore.ErrDamaged, "store_damaged", rotateNext},
		{keystore.ErrKeyExists, "controller_key_exists", "export it first (peaqos-agent identity export), then reset-identity"},
		{keystore.ErrMemory, "memory", "decrypt it on a larger computer and import the 0x-hex file, or use a light Web3 file"},
		{keystore.ErrWrongPassphrase, "wrong_passphrase", "check the file in --passphrase-file"},
		{keystore.ErrBadWeb3, "web3_file", "give a Web3 key file of version 3, or 0x and 64 hex digits"},
		{keystore.ErrNewerFormat, "store_newer", "install the newer peaqos-agent again"},
		{keystore.ErrNotFound, "not_enrolled", "run peaqos-agent enroll"},
	}
	for _, r := range rows {
		if errors.Is(err, r.is) {
			p.Exit, p.Code, p.Next = ExitKeystore, r.code, r.next
			return true
		}
	}
	var secret *keystore.SecretFileError
	if errors.As(err, &secret) {
		p.Exit, p.Code, p.Next = ExitUsage, "secret_file", secretFileNext(secret)
		return true
	}
	var unsafe *keystore.UnsafeError
	if errors.As(err, &unsafe) {
		p.Exit, p.Code, p.Next = ExitKeystore, "store_unusable", unsafeNext(unsafe)
		return true
	}
	return false
}

// sealNext is what to do about a store that cannot be unsealed.
func sealNext(e *keystore.SealError) string {
	switch e.Reason {
	case keystore.SealKeyMissing:
		return "restore " + e.Path + " from a backup, " + rotateNext + ", or reset-identity to delete everything"
	case keystore.SealKeyUnknown:
		return "restore the seal files it was written with, or " + rotateNext
	case keystore.SealWrongSecret:
		return "provide the right one, or " + rotateNext
	case keystore.SealNoPassphraseFile:
		return "set keystore.passphrase_file; if the passphrase is lost, " + rotateNext
	case keystore.SealBadPassphraseFile:
		next := "fix the passphrase file " + e.Path
		var secret *keystore.SecretFileError
		if errors.As(e.Err, &secret) {
			next += ": " + secretFileNext(secret)
		}
		return next
	case keystore.SealNoCredential, keystore.SealBadCredential, keystore.SealShortCredential:
		return credentialNext
	case keystore.SealUnknownProtector:
		return "install the newer peaqos-agent again"
	case keystore.SealWouldWeaken:
		return "set keystore.passphrase_file, or set keystore.seal to keyfile if that is what you want, then " + rotateNext
	case keystore.SealSeveral:
		var all []string
		for _, one := range e.Each {
			if next := sealNext(one); !slices.Contains(all, next) {
				all = append(all, next)
			}
		}
		return strings.Join(all, "; or ")
	case keystore.SealKeyDamaged, keystore.SealNowWeaker:
	}
	return rotateNext
}

// secretFileNext is what to do about a key, token or passphrase file.
func secretFileNext(e *keystore.SecretFileError) string {
	switch e.Problem {
	case keystore.FileNotPermitted, keystore.FileWrongOwner:
		return fmt.Sprintf("chown %d %s", e.WantUID, e.Path)
	case keystore.FileLinkLoop:
		return "name the file itself"
	case keystore.FileLinkOwner:
		return "name the file itself, or chown -h root " + e.Component
	case keystore.FileNotRead:
		return "check the disk"
	case keystore.FileNotRegular:
		return "name a file, or - for standard input"
	case keystore.FileTooLong:
		return "name a file that contains only the secret"
	case keystore.FileWorldWritable, keystore.FileWorldReadable, keystore.FileGroupAccess:
		return "chmod 600 " + e.Path
	case keystore.FileEmpty:
		return "write the passphrase into it"
	}
	return "check the path" // FileMissing, FileNotOpened
}

// unsafeNext is what to do about a file or directory of the store that other
// users could have changed.
func unsafeNext(e *keystore.UnsafeError) string {
	switch {
	case e.Problem == keystore.FileWrongOwner && e.Dir:
		return fmt.Sprintf("run this as user %d or as root, or chown -R %d %s", e.UID, e.WantUID, e.Path)
	case e.Problem == keystore.FileWrongOwner:
		return fmt.Sprintf("chown %d %s", e.WantUID, e.Path)
	case e.Problem == keystore.FileReachable && e.Dir:
		return "chmod 700 " + e.Path
	case e.Problem == keystore.FileReachable:
		return "chmod 600 " + e.Path
	}
	return "restore " + e.Path + " from a backup, or run peaqos-agent reset-identity to start over"
}
