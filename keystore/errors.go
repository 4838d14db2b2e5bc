package keystore

import (
	"errors"
	"fmt"
	"strings"
)

// What can be wrong with a store, for errors.Is.
var (
	// ErrLocked: another process holds the store; a *LockedError says which.
	ErrLocked = errors.New("another process holds the store")
	// ErrNotFound: nothing is stored under this name.
	ErrNotFound = errors.New("nothing is stored")
	// ErrSealed: the key that opens the record is not there; a *SealError says
	// what protects it and what to do.
	ErrSealed = errors.New("the store cannot be unsealed")
	// ErrDamaged: no copy of the record is whole.
	ErrDamaged = errors.New("both copies are damaged")
	// ErrNewerFormat: a newer program wrote the record; it is left as it is.
	ErrNewerFormat = errors.New("the store was written by a newer program")
	// ErrForeignHost: the store was made on other hardware; a *ForeignHostError
	// says what differs.
	ErrForeignHost = errors.New("the store was made on other hardware")
	// ErrUncertain is in the chain of a failed write whose new content may yet
	// appear at the next start, because the disk failed after the rename. Nothing
	// on the server may be revoked on the strength of such an error.
	ErrUncertain = errors.New("it is not certain whether the change was stored")
	// ErrKeyExists: a controller key is stored already, and may be the only copy.
	ErrKeyExists = errors.New("the store holds another controller key already")
)

// LockedError is ErrLocked with the process that holds the store.
type LockedError struct {
	Path string
	PID  int // 0 when the system does not say
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("another process holds the store %s", e.Path)
	}
	return fmt.Sprintf("process %d holds the store %s", e.PID, e.Path)
}

func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// SealError is ErrSealed with its reason and its remedy.
type SealError struct {
	Protector string // keyfile, passphrase, credential, or empty when that is not known
	Problem   string // what is in the way
	Next      string // what solves it
	Err       error  // what the system said, if it said something
}

func (e *SealError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("the store cannot be unsealed: %s: %v", e.Problem, e.Err)
	}
	return "the store cannot be unsealed: " + e.Problem
}

func (e *SealError) Is(target error) bool { return target == ErrSealed }
func (e *SealError) Unwrap() error        { return e.Err }

// ForeignHostError is ErrForeignHost with the facts that differ, by name.
type ForeignHostError struct{ Factors []string }

func (e *ForeignHostError) Error() string {
	return "the store was made on other hardware: " + strings.Join(e.Factors, " and ") + " differ"
}

func (e *ForeignHostError) Is(target error) bool { return target == ErrForeignHost }
