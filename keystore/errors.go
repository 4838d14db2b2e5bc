package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// What can be wrong with a store, for errors.Is. The types below carry the
// facts, for errors.As. None of them gives advice: what to do about an error
// depends on the program that opened the store.
var (
	// ErrInUse: another process holds the store; see InUseError.
	ErrInUse = errors.New("the store is in use by another process")
	// ErrNotFound: nothing is stored under this name.
	ErrNotFound = errors.New("nothing is stored")
	// ErrSealed: the key that opens the record is not available; see SealError.
	ErrSealed = errors.New("the store cannot be unsealed")
	// ErrDamaged: no copy of the record is intact.
	ErrDamaged = errors.New("both copies are damaged")
	// ErrNewerFormat: a newer program wrote the record; it is left unchanged.
	ErrNewerFormat = errors.New("the store was written by a newer program")
	// ErrUnreadable: a file of the store exists but cannot be read now, so it is not
	// known whether it is intact; see UnreadableError. Nothing is written over it.
	ErrUnreadable = errors.New("a file of the store cannot be read")
	// ErrVolatile: the store is in memory and is lost at a restart; see VolatileError.
	ErrVolatile = errors.New("the store is in memory")
	// ErrKeyNeeded: a lost key is not replaced while other records need it; see
	// KeyNeededError.
	ErrKeyNeeded = errors.New("other records need the lost key")
	// ErrForeignHost: the store was made on other hardware; see ForeignHostError.
	ErrForeignHost = errors.New("the store was made on other hardware")
	// ErrUncertain is in the chain of a failed write whose new content may still
	// appear at the next start, because the disk failed after the rename. Nothing
	// on the server may be revoked because of such an error.
	ErrUncertain = errors.New("it is not certain whether the change was stored")
	// ErrKeyExists: a controller key is already stored, and may be the only copy.
	ErrKeyExists = errors.New("the store already holds another controller key")
)

// InUseError is ErrInUse with the process that holds the store.
type InUseError struct {
	Path string // of the store's directory
	PID  int    // 0 when the system does not report it
}

func (e *InUseError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("another process holds the store %s", e.Path)
	}
	return fmt.Sprintf("process %d holds the store %s", e.PID, e.Path)
}

func (e *InUseError) Is(target error) bool { return target == ErrInUse }

// UnreadableError is ErrUnreadable with the file and the reason: an *UnsafeError, or
// an error of the system such as EIO or EACCES.
type UnreadableError struct {
	Path string
	Err  error
}

func (e *UnreadableError) Error() string {
	var unsafe *UnsafeError
	var system *fs.PathError
	switch {
	case errors.As(e.Err, &unsafe):
		return unsafe.Error()
	case errors.As(e.Err, &system):
		return fmt.Sprintf("%s cannot be read: %v", e.Path, system.Err)
	}
	return fmt.Sprintf("%s cannot be read: %v", e.Path, e.Err)
}

func (e *UnreadableError) Is(target error) bool { return target == ErrUnreadable }
func (e *UnreadableError) Unwrap() error        { return e.Err }

// VolatileError is ErrVolatile with what was found.
type VolatileError struct {
	Path       string // of the store's directory
	FileSystem string // such as "tmpfs"
}

func (e *VolatileError) Error() string {
	return fmt.Sprintf("%s is in memory (%s) and is lost at a restart", e.Path, e.FileSystem)
}

func (e *VolatileError) Is(target error) bool { return target == ErrVolatile }

// KeyNeededError is ErrKeyNeeded with what would be left without its key.
type KeyNeededError struct {
	ControllerKey bool     // a controller key, which may be the only copy
	Machines      []string // names of the other machines whose agents are stored
}

func (e *KeyNeededError) Error() string {
	var what []string
	if e.ControllerKey {
		what = append(what, "the controller key")
	}
	if len(e.Machines) > 0 {
		what = append(what, "the agent of "+strings.Join(e.Machines, ", "))
	}
	return "the lost key is still needed for " + strings.Join(what, " and ")
}

func (e *KeyNeededError) Is(target error) bool { return target == ErrKeyNeeded }

// SealReason is why a store or a record cannot be unsealed.
type SealReason int

// The reasons. Each names the fields of SealError that it fills in, in addition
// to Err.
const (
	SealKeyMissing        SealReason = iota + 1 // both copies of the seal file are missing or damaged (Path)
	SealKeyDamaged                              // a wrapped key inside the seal file is damaged (Protector)
	SealKeyUnknown                              // the record was sealed with a key that this store does not have
	SealWrongSecret                             // the passphrase or credential is not the one used for sealing (Protector)
	SealNoPassphraseFile                        // Options name no passphrase file (Protector)
	SealBadPassphraseFile                       // the passphrase file cannot be read (Protector, Path)
	SealNoCredential                            // this process did not receive the credential (Protector)
	SealBadCredential                           // the credential cannot be read (Protector, Path)
	SealShortCredential                         // the credential is shorter than 16 bytes (Protector, Path)
	SealUnknownProtector                        // a newer program protected the key in a way unknown to this one
	SealNowWeaker                               // the store is protected by less than the record was (Protector: of the record)
	SealWouldWeaken                             // Options.Seal auto would protect a new key less than the lost one (Protector, Weaker)
	SealSeveral                                 // no protector opens the store, each for its own reason (Each)
	SealChanged                                 // the seal file was changed by something that does not know its key, or is not the one of these records (Path)
)

// SealError is ErrSealed with its reason.
type SealError struct {
	Reason    SealReason
	Protector Protector    // ProtectorNone when it is not known
	Weaker    Protector    // of SealWouldWeaken: what would protect the new key
	Path      string       // the file that is missing or unusable
	Each      []*SealError // of SealSeveral: one for each protector
	Err       error        // the cause, if there is one: from the system, a *SecretFileError or ErrDamaged
}

func (e *SealError) Error() string { return "the store cannot be unsealed: " + e.Facts() }

// Facts is the reason and its cause, without the sentence that they explain.
func (e *SealError) Facts() string {
	if e.Err != nil {
		return e.describe() + ": " + e.Err.Error()
	}
	return e.describe()
}

func (e *SealError) Is(target error) bool { return target == ErrSealed }
func (e *SealError) Unwrap() error        { return e.Err }

// describe puts the reason into words, without the cause.
func (e *SealError) describe() string {
	switch e.Reason {
	case SealKeyMissing:
		return "the file with its key is missing or damaged"
	case SealKeyDamaged:
		return "its wrapped key is damaged"
	case SealKeyUnknown:
		return "the record was sealed with a key that this store does not have"
	case SealWrongSecret:
		return fmt.Sprintf("wrong %s", e.Protector)
	case SealNoPassphraseFile:
		return "a passphrase protects it, and no passphrase file is configured"
	case SealBadPassphraseFile:
		return "its passphrase cannot be read"
	case SealNoCredential:
		return "the systemd credential " + CredentialName + " protects it, and this process did not receive it"
	case SealBadCredential:
		return "the systemd credential " + CredentialName + " cannot be read"
	case SealShortCredential:
		return "the systemd credential " + CredentialName + " is shorter than 16 bytes"
	case SealUnknownProtector:
		return "unknown protector"
	case SealNowWeaker:
		return fmt.Sprintf("the record was protected by a %s, and the store is now protected by less", e.Protector)
	case SealWouldWeaken:
		return fmt.Sprintf("a %s protected it, and a %s would be weaker", e.Protector, e.Weaker)
	case SealChanged:
		return "the seal file was changed by somebody who does not know its key, or it is not the one of these records"
	case SealSeveral:
		var all []string
		for _, one := range e.Each {
			all = append(all, one.describe())
		}
		return strings.Join(all, "; ")
	}
	return "unknown reason"
}

// ForeignHostError is ErrForeignHost with the facts that differ, by name.
type ForeignHostError struct{ Factors []string }

func (e *ForeignHostError) Error() string {
	return "the store was made on other hardware: " + e.Facts()
}

// Facts lists what differs, without the sentence that it explains.
func (e *ForeignHostError) Facts() string { return strings.Join(e.Factors, " and ") + " differ" }

func (e *ForeignHostError) Is(target error) bool { return target == ErrForeignHost }

// FileProblem is what is wrong with a file, in a SecretFileError or UnsafeError.
type FileProblem int

// The problems. Each names the fields of FileFacts that it fills in, in addition
// to Path.
const (
	FileMissing       FileProblem = iota + 1 // the file does not exist
	FileNotPermitted                         // the current user may not open it
	FileLinkLoop                             // it is a chain of too many symbolic links
	FileLinkOwner                            // a component on the way through a symbolic link has another owner (Component, UID)
	FileNotOpened                            // it cannot be opened for some other reason
	FileNotRead                              // it cannot be read
	FileNotRegular                           // it is not a regular file
	FileIsLink                               // it is a symbolic link where none is allowed
	FileTooLong                              // it is longer than 64 KiB (Size)
	FileWrongOwner                           // it belongs to another user (UID)
	FileWorldWritable                        // every user can write it (Mode)
	FileWorldReadable                        // every user can read it (Mode)
	FileGroupAccess                          // a group that the current user is not in can use it (GID, Mode)
	FileReachable                            // other users can reach it (Mode)
	FileEmpty                                // it is empty
	FileLinked                               // it has several names, so writing to it could change another file (Links)
	FileExposed                              // others can replace it through the directory Component (its UID, Mode)
	FileIsSecret                             // what was given as its path looks like the secret itself; Path is empty
	FileNoDescriptor                         // it stands for an open file that this process does not have
)

// FileFacts is what was found at a path.
type FileFacts struct {
	Path      string
	Problem   FileProblem
	Dir       bool        // Path is a directory
	Component string      // the component of the path that has the problem
	UID, GID  int         // the owner and group that were found
	WantUID   int         // who should own it, or needs to read it
	Mode      fs.FileMode // permission bits
	Size      int64       // bytes
	Links     int         // number of names
	// FileSystem is the name of the file system if chmod and chown cannot work on it,
	// such as vfat.
	FileSystem string
	ACL        bool // an access control list opens the file to others; Mode shows its mask
}

// SecretFileError is what is wrong with a secret file; see ReadSecretFile.
type SecretFileError struct {
	FileFacts
	Err error // from the system, if it reported one
}

func (e *SecretFileError) Error() string {
	if e.Problem == FileIsSecret {
		return "this looks like the secret itself, not like the name of a file (it is not repeated here)"
	}
	return fmt.Sprintf("secret file %s %s", e.Path, e.describe(fmt.Sprintf("the current user (%d)", e.WantUID)))
}
func (e *SecretFileError) Unwrap() error { return e.Err }

// UnsafeError is what is wrong with the store's directory or a file in it: other
// users can reach it, or may have put it there.
type UnsafeError struct{ FileFacts }

func (e *UnsafeError) Error() string {
	return fmt.Sprintf("%s is not safe to use: it %s", e.Path, e.describe(fmt.Sprintf("user %d", e.WantUID)))
}

// describe puts the problem into words that follow the path. The user is WantUID in
// words.
func (f *FileFacts) describe(user string) string {
	switch f.Problem {
	case FileMissing:
		return "does not exist"
	case FileNotPermitted:
		return "cannot be read by " + user
	case FileLinkLoop:
		return "is a chain of too many symbolic links"
	case FileLinkOwner:
		return fmt.Sprintf("is reached through a symbolic link, and %s on the way belongs to user %d, neither root nor the current user",
			f.Component, f.UID)
	case FileNotOpened:
		return "cannot be opened"
	case FileNotRead:
		return "cannot be read"
	case FileNotRegular:
		if f.Dir {
			return "is not a directory"
		}
		return "is not a regular file"
	case FileIsLink:
		return "is a symbolic link"
	case FileTooLong:
		return fmt.Sprintf("is %d bytes long, more than 64 KiB", f.Size)
	case FileWrongOwner:
		if f.Dir {
			return fmt.Sprintf("belongs to user %d, not to %s", f.UID, user)
		}
		return fmt.Sprintf("belongs to user %d, neither root nor %s", f.UID, user)
	case FileWorldWritable:
		return fmt.Sprintf("can be written by every user (mode %04o)", f.Mode)
	case FileWorldReadable:
		return fmt.Sprintf("can be read by every user (mode %04o)", f.Mode)
	case FileGroupAccess:
		if f.ACL {
			return "is open to other users or groups through an access control list"
		}
		return fmt.Sprintf("is open to group %d, which the current user is not in (mode %04o)", f.GID, f.Mode)
	case FileReachable:
		return fmt.Sprintf("can be reached by other users (mode %04o)", f.Mode)
	case FileEmpty:
		return "is empty"
	case FileLinked:
		return fmt.Sprintf("has %d names, so it may be another file", f.Links)
	case FileExposed:
		return fmt.Sprintf("can be replaced through %s, which belongs to user %d and has mode %04o", f.Component, f.UID, f.Mode)
	case FileNoDescriptor:
		return "is not open in this process"
	}
	return "cannot be used"
}
