package keystore

import "time"

// Options says how to open a store; the zero value is right for a verb on a
// store that a key file protects.
type Options struct {
	// Seal is auto (or empty), keyfile, passphrase or credential: what has to
	// protect the store's key at least. Auto is the passphrase when
	// PassphraseFile is set, else the key file. A store that is protected better
	// stays so, one that is protected worse is sealed anew when it is opened.
	Seal string
	// PassphraseFile is read by the rules of ReadSecretFile; one line end at its
	// end is no part of the passphrase. It may also hold a recovery passphrase.
	PassphraseFile string
	// LockWait is how long Open waits while another process holds the store; with
	// zero it does not wait. The context ends the wait earlier.
	LockWait time.Duration
	// OnLockWait is called once, before Open begins to wait, with the process that
	// holds the store and with LockWait. Nil is not called.
	OnLockWait func(holder *InUseError, limit time.Duration)
	// Host holds the facts of this host; nil switches host binding off.
	Host *Host
	// Observe hears what the store does, for metrics and logs. It is called while
	// the store is locked and must not call it. Nil hears nothing.
	Observe func(Event)
}

// EventKind is what the store tells about itself.
type EventKind int

const (
	EventWrite      EventKind = iota // one slot was written (Bytes, Sequence), or could not be (Err)
	EventFallback                    // one slot could not be used (Reason)
	EventHealed                      // the copies of a record are equal again
	EventNotDurable                  // the disk does not take a change, or took it in one copy only (Err)
	EventResealed                    // the store has a new key, protected as asked for
	EventWeaker                      // the store is protected worse than asked for, and could not be sealed anew (Err)
	EventRelearnt                    // one fact of the host changed and was taken over (Reason)
)

func (k EventKind) String() string {
	names := [...]string{"write", "fallback", "healed", "not durable", "resealed", "weaker", "relearnt"}
	if k < 0 || int(k) >= len(names) {
		return "unknown"
	}
	return names[k]
}

// Event is one thing that happened to the store. It never holds a secret.
type Event struct {
	Kind     EventKind
	Record   string // the record's name, as agent-main
	Bytes    int    // written to the disk
	Sequence uint64 // of the record; grows with every change
	Reason   string // of a fallback: checksum, missing or unseal; of EventRelearnt: the fact
	Err      error
}
