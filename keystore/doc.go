// Package keystore stores a machine's agent token, and optionally its controller
// key, on a disk that may lose power at any instant and may be copied.
//
// It promises three things. A record that was stored is not lost by a power cut or
// by damage to one file. A store never silently becomes weaker than it was sealed.
// No error or event contains a secret.
//
// # Where to start
//
// [Open] makes the directory "keystore" in the given one, locks it so that this
// process is the only owner, and unseals the store. Before a one-time token is
// requested, [Store.CheckDurable] checks that it can be stored. The records
// of a machine are its agent ([Store.Agent], [Store.PutAgent]) and the journal of an
// enrollment in progress ([Store.Intent], [Store.PutIntent]). The store also holds
// one controller key ([Store.Controller], [Store.PutController]).
//
// Without a store: [ReadSecretFile] reads a secret that a person or a platform put
// into a file, [Signer] signs texts by EIP-191, and [ImportWeb3] and [ExportWeb3]
// convert a key from and to a Web3 key file.
//
// Errors are facts: sentinels for errors.Is and types with the details for errors.As
// (see [ErrInUse] and what follows it). What to do about one is up to the caller.
//
// # Files
//
//	keystore/               0700, owned by the user of the service
//	  lock                  empty; flocked by the process that owns the store
//	  seal.a, seal.b        the store's key, wrapped by each protector
//	  host.a, host.b        the facts of the hardware, with host binding
//	  controller.a, .b      the controller key
//	  agent-NAME.a, .b      token and facts of the machine NAME
//	  intent-NAME.a, .b     the journal of its enrollment
//	  *.tmp                 left by an interrupted write; read, then removed
//	  *.lost-N              files that a replacement of a lost key kept; never read
//	  reset                 only while a Reset is in progress, which Open finishes
//
// Every other file except lock is one frame, whose layout is in frame.go.
//
// Files and directories of ours that others can reach are closed to them when they
// are opened. A file of another user is never used or changed. Root, which may run
// commands on a store of the service's user, additionally refuses a directory that
// another user could replace; directory_path.go has the rules.
//
// A file that exists and cannot be read now, because of its owner, its mode or the
// disk, is neither damaged nor lost: it is [ErrUnreadable], nothing is written over it,
// and no key that it may need is removed.
//
// # Durability
//
// The server gives a token only once, so a write is finished when its directory entry
// is on the disk, not before; durable.go has the steps. Memory changes after the
// disk. Each record has two slots, a and b, which are equal except during a change;
// pair.go has the rules. A change is written to one, then to the other, so that a
// power cut leaves the old content or the new, and one damaged file loses nothing.
// Reading falls back to the intact copy and heals the other. Because both are equal
// at rest, a fallback never changes which token is used. crash_internal_test.go opens
// every state that POSIX allows on the disk after a power cut. A dropped record leaves a
// mark in both slots, so that half a drop is not mistaken for damage. Opening or
// reading an intact store writes nothing.
//
// # Sealing
//
// One random key seals all records (XChaCha20-Poly1305). Format, record name, origin
// and machine are bound in, so a record that was copied to another place does not
// open. The key itself is in the record "seal", wrapped by one or more protectors: a
// passphrase file, a systemd credential, which can be bound to a TPM, or only the
// 0600 mode of the file, which protects against partial copies only. A store is never
// opened or written with a weaker protector than it was sealed with. Only an explicit
// command changes that: [Store.Reseal] makes a new key with other protectors, and
// [Store.PrepareNewKey] replaces a key that is lost, once there is something to seal
// with the new one. The seal is authenticated, so that somebody who can write it and
// does not know its keys can only lock the store; seal_auth.go has the rules.
//
// The id and label of an agent, which are needed to revoke it and are not secret, are
// stored in plain text, so that a store that cannot be unsealed can still be replaced:
// [Store.AgentFacts], [Store.IntentFacts].
//
// # Host binding
//
// With [Options.Host] the store knows the hardware it was made on. One of several
// known facts may change at a time; two at once mean another machine. Then the store
// is in quarantine: its records return [ErrForeignHost] until [Store.AdoptHost] or
// [Store.Reset]. If the only known fact differs, the store is used and
// [Store.HostDiffers] reports it. The machine id is on the disk and is not a fact of
// the hardware.
//
// # Secrets
//
// [Secret] and [Key] print as [REDACTED] with every fmt verb and encoder, also in
// unexported fields, and can be wiped. Wiping is best effort: the runtime and
// encoding/json make copies that cannot be reached.
//
// # What it does not protect against
//
//   - A full copy of the directory works elsewhere if its protector is the key file
//     or was copied with it, and the hardware is alike or host binding is off.
//   - Restoring both slots of a record, or all files, to an older copy is not noticed.
//   - Somebody who deletes all records can leave a seal of his own for what is stored
//     next, unless a passphrase or another protector is named in the options.
//   - On flash, the blocks of a replaced key remain until the disk reuses them.
//   - Root on the running machine can read everything.
package keystore
