package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// The keystore returns facts. This file adds what to do about each of them, because
// only this package knows commands and configuration keys.

const (
	rotateNext     = "run peaqos-agent rotate with an API key"
	credentialNext = "use it through the running service, give the recovery passphrase in keystore.passphrase_file, or " + rotateNext
)

// logStoreWait logs which process holds the store and how long this one waits for it.
func (a *Agent) logStoreWait(holder *keystore.InUseError, limit time.Duration) {
	a.log.Warn(fmt.Sprintf("%v, waiting up to %g s", holder, limit.Seconds()), code(status.CodeStoreWait), zap.Int("pid", holder.PID))
}

// explainOpen returns the error of a store that could not be opened. An error without
// a code of its own is a fault of the directory.
func explainOpen(err error, dir string) error {
	if p := Explain(err); p.Code != status.CodeFailed {
		return err
	}
	return status.NewProblem(status.CodeStoreUnusable, err.Error()).Advise("fix keystore.dir (" + dir + ") or set another directory").Wrap(err)
}

// explainStore returns the problem behind an error of the keystore, nil for any other
// error.
func explainStore(err error) *status.Problem {
	for _, row := range []struct {
		is   error
		code status.Code
	}{
		{keystore.ErrInUse, status.CodeStoreInUse},
		{keystore.ErrForeignHost, status.CodeForeignHost},
		{keystore.ErrSealed, status.CodeStoreSealed},
		{keystore.ErrDamaged, status.CodeStoreDamaged},
		{keystore.ErrKeyExists, status.CodeControllerKeyExists},
		{keystore.ErrMemory, status.CodeMemory},
		{keystore.ErrWrongPassphrase, status.CodeWrongPassphrase},
		{keystore.ErrBadWeb3, status.CodeWeb3File},
		{keystore.ErrNewerFormat, status.CodeStoreNewer},
		{keystore.ErrNotFound, status.CodeNotEnrolled},
	} {
		if errors.Is(err, row.is) {
			return storeProblem(row.code, err)
		}
	}
	var secret *keystore.SecretFileError
	if errors.As(err, &secret) {
		return status.NewProblem(status.CodeSecretFile, secret.Error()).Advise(secretFileNext(secret))
	}
	var unsafe *keystore.UnsafeError
	if errors.As(err, &unsafe) {
		return status.NewProblem(status.CodeStoreUnusable, unsafe.Error()).Advise(unsafeNext(unsafe))
	}
	return nil
}

// storeProblem returns the problem of a code, with the facts of the error that are not
// in the code's own sentence.
func storeProblem(code status.Code, err error) *status.Problem {
	var sealed *keystore.SealError
	var host *keystore.ForeignHostError
	var inUse *keystore.InUseError
	switch {
	case code == status.CodeStoreSealed && errors.As(err, &sealed):
		return status.NewProblem(code, sealed.Facts()).Advise(sealNext(sealed))
	case code == status.CodeForeignHost && errors.As(err, &host):
		return status.NewProblem(code, host.Facts())
	case code == status.CodeStoreInUse && errors.As(err, &inUse):
		return status.NewProblem(code, inUse.Error())
	case code == status.CodeNotEnrolled, code == status.CodeControllerKeyExists:
		return status.NewProblem(code, "")
	}
	return status.NewProblem(code, err.Error())
}

// sealNext returns what to do about a store that cannot be unsealed.
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

// secretFileNext returns what to do about a key, token or passphrase file.
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

// unsafeNext returns what to do about a file or directory of the store that other
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
