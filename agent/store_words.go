package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
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
	a.log.Info(fmt.Sprintf("%v, waiting up to %g s", holder, limit.Seconds()), code(status.CodeStoreWait), zap.Int("pid", holder.PID))
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
		{keystore.ErrUnreadable, status.CodeStoreUnreadable},
		{keystore.ErrVolatile, status.CodeStoreVolatile},
		{keystore.ErrKeyNeeded, status.CodeLostKeyNeeded},
		{keystore.ErrForeignHost, status.CodeForeignHost},
		{keystore.ErrSealed, status.CodeStoreSealed},
		{keystore.ErrDamaged, status.CodeStoreDamaged},
		{keystore.ErrKeyExists, status.CodeControllerKeyExists},
		{keystore.ErrMemory, status.CodeMemory},
		{keystore.ErrWrongPassphrase, status.CodeWrongPassphrase},
		{keystore.ErrBadWeb3, status.CodeWeb3File},
		{keystore.ErrBadKey, status.CodeControllerKeyFile},
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
	var unreadable *keystore.UnreadableError
	switch {
	case code == status.CodeStoreUnreadable && errors.As(err, &unreadable):
		return status.NewProblem(code, unreadable.Error()).Advise(unreadableNext(unreadable))
	case code == status.CodeStoreSealed && errors.As(err, &sealed) && sealed.Reason == keystore.SealChanged:
		return status.NewProblem(status.CodeSealChanged, sealed.Path).Advise(sealNext(sealed))
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
	case keystore.SealChanged:
		return "find out who changed it; then remove " + e.Path + ", so that the other copy is used, " +
			"restore both from a backup of this store, or " + rotateNext
	case keystore.SealKeyDamaged, keystore.SealNowWeaker:
	}
	return rotateNext
}

// place is what can be done about a file where this process runs.
type place struct {
	container bool // without chmod and chown: files come from the platform
	dynamic   bool // a service whose user exists only while it runs
}

// here returns the place of this process.
func here() place {
	uid := os.Geteuid()
	_, missing := exec.LookPath("chmod")
	return place{
		container: missing != nil && keystore.InContainer("/"),
		dynamic:   os.Getenv("INVOCATION_ID") != "" && uid >= 61184 && uid <= 65519, // the range of DynamicUser
	}
}

// secretFileNext returns what to do about a key, token or passphrase file.
func secretFileNext(e *keystore.SecretFileError) string { return here().secretFileNext(e) }

func (p place) secretFileNext(e *keystore.SecretFileError) string {
	switch e.Problem {
	case keystore.FileNotPermitted, keystore.FileWrongOwner, keystore.FileWorldWritable, keystore.FileWorldReadable, keystore.FileGroupAccess:
		return p.accessNext(e)
	case keystore.FileLinkLoop:
		return "name the file itself"
	case keystore.FileLinkOwner:
		return "name the file itself, or chown -h root " + shellWord(e.Component)
	case keystore.FileNotRead:
		return "check the disk"
	case keystore.FileNotRegular:
		return "name a file, or - for standard input"
	case keystore.FileTooLong:
		return "name a file that contains only the secret"
	case keystore.FileEmpty:
		return "write the passphrase into it"
	case keystore.FileIsSecret:
		return "write the secret into a file of mode 0600 and name that file, or give - and the secret on standard input; " +
			"treat this secret as known to others: the command line is in the shell's history"
	case keystore.FileNoDescriptor:
		return "give - and the secret on standard input; sudo closes the descriptors of <(…)"
	}
	return "check the path" // FileMissing, FileNotOpened
}

// accessNext returns what to do about a file whose owner or mode is wrong.
func (p place) accessNext(e *keystore.SecretFileError) string {
	path := shellWord(e.Path)
	who := "root"
	if e.WantUID != 0 {
		who = strconv.Itoa(e.WantUID)
	}
	switch {
	case p.container:
		return fmt.Sprintf("mount it as a secret of the platform, below /run/secrets or as a mount of its own, "+
			"so that user %d can read it", e.WantUID)
	case p.dynamic:
		return "give it to the service with LoadCredential=NAME:" + path + " in the unit and name the file as " +
			"${CREDENTIALS_DIRECTORY}/NAME; the user of the service changes with every start"
	case e.FileSystem != "":
		return fmt.Sprintf("owner and mode cannot be set on %s: copy it to a disk of this system with "+
			"install -m 600 -o %s %s /etc/peaqos-agent/, and name the copy", e.FileSystem, who, path)
	case e.ACL:
		return "see getfacl " + path + ", remove the entries of others with setfacl -x, or all of them with setfacl -b"
	case e.Problem == keystore.FileNotPermitted || e.Problem == keystore.FileWrongOwner:
		return "chown " + strconv.Itoa(e.WantUID) + " " + path
	}
	return "chmod 600 " + path
}

// shellWord returns a path as one word of a shell command.
func shellWord(path string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:,@%"
	if path != "" && strings.Trim(path, plain) == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// unreadableNext returns what to do about a file of the store that cannot be read now.
func unreadableNext(e *keystore.UnreadableError) string {
	var unsafe *keystore.UnsafeError
	path := shellWord(e.Path)
	switch {
	case errors.As(e.Err, &unsafe):
		return unsafeNext(unsafe)
	case errors.Is(e.Err, fs.ErrPermission):
		return fmt.Sprintf("chown %d %s and chmod 600 %[2]s", os.Geteuid(), path)
	case errors.Is(e.Err, syscall.EIO):
		return "check the disk (dmesg)"
	}
	return "check the disk and its mounts"
}

// unsafeNext returns what to do about a file or directory of the store that other
// users could have changed.
func unsafeNext(e *keystore.UnsafeError) string {
	path := shellWord(e.Path)
	switch {
	case e.Problem == keystore.FileExposed && (e.Mode&0o1000 != 0 || e.UID != 0): // not a directory to take from anybody
		return "set keystore.dir to a directory below one that belongs to root, such as /var/lib/peaqos-agent"
	case e.Problem == keystore.FileExposed:
		return "take write access from other users: chown root " + shellWord(e.Component) + " and chmod go-w " + shellWord(e.Component) +
			", or set keystore.dir to one below a directory that belongs to root"
	case e.FileSystem != "":
		return "owner and mode cannot be set on " + e.FileSystem + ": set keystore.dir to a directory on a disk of this system"
	case e.Problem == keystore.FileWrongOwner && e.Dir:
		return fmt.Sprintf("run this as user %d or as root, or chown -R %d %s", e.UID, e.WantUID, path)
	case e.Problem == keystore.FileWrongOwner:
		return fmt.Sprintf("chown %d %s", e.WantUID, path)
	case e.Problem == keystore.FileReachable && e.Dir:
		return "chmod 700 " + path
	case e.Problem == keystore.FileReachable:
		return "chmod 600 " + path
	case e.Problem == keystore.FileLinked:
		return "run this as the user of the service, or remove the other names of " + path + " (find / -samefile " + path + ")"
	case e.Problem == keystore.FileIsLink && e.Dir:
		return "set keystore.dir to the directory itself"
	}
	return "restore " + path + " from a backup, or run peaqos-agent reset-identity to start over"
}
