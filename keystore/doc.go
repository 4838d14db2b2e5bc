// Package keystore keeps a machine's agent token, and if wanted its controller
// key, on a disk that may lose power at any instant and may be copied.
//
// Start with [Open]: it makes its own directory inside the one it is given,
// takes the lock that makes this process the only owner, and unseals the store.
// [Store.CheckDurable] comes before anything is spent. [Store.Agent] and
// [Store.PutAgent] read and write the record of an enrolled machine,
// [Store.Intent] and [Store.PutIntent] the journal of an enrollment that is
// under way, [Store.Controller] and [Store.PutController] the key that controls
// the machine's DID. Apart from the store stand [ReadSecretFile], the one way in
// for secrets that people hand to us, [Signer], which signs texts by EIP-191, and
// [ImportWeb3] and [ExportWeb3].
//
// # Durability
//
// The server gives a token once, so a write is finished when its directory entry
// is on the disk, not before (durable.go tells the steps), and memory changes
// after the disk. Every record has two slots with the same bytes outside a
// change (pair.go tells the rules): a change goes to one, then to the other, so
// that a cut leaves the old content or the new, and one damaged file loses
// nothing. Reading falls back to the whole copy and heals the other; at rest both
// are equal, so a fallback never changes which token is live. A drop is a change
// too and leaves a mark behind, so that half a drop is not taken for damage. A
// store that is whole is never written to by opening or reading it.
//
// # Sealing
//
// One random key seals all records (XChaCha20-Poly1305); format, record name,
// origin and machine are bound in, so a record that was copied elsewhere does not
// open. The key itself lies wrapped in the record "seal", by one or more
// protectors: a passphrase file, a credential of systemd (which may lie in a
// TPM), or nothing but the 0600 mode of that file, which guards against partial
// copies only. A store is never opened or written as something weaker than it
// was sealed with: [Store.Reseal] changes the protector by a spoken act, with a
// new key, and [Store.ReplaceLostKey] replaces a key that is lost. What is needed to
// revoke an agent (its id and label, never a secret) lies in the clear, so that a
// store which cannot be unsealed can still be replaced: [Store.AgentFacts].
//
// # Host binding
//
// With [Options.Host] the store knows the hardware it was made on. [Compare] says
// what may change: one fact at a time. Two at once are another machine, and the
// store is in quarantine ([ErrForeignHost]) until [Store.AdoptHost] or
// [Store.Reset].
//
// # Secrets
//
// [Secret] and [Key] print as [REDACTED] under every verb and encoder, also from
// within unexported fields, and can be wiped. No error and no [Event] holds one.
// Wiping is best effort: the runtime and encoding/json make copies that nobody
// reaches.
//
// # What is missing
//
// A full copy of the directory works elsewhere, when its protector is the key
// file or is copied too, and the hardware is alike or binding is off: nothing
// here can tell. Rolling back all files at once to an older copy is not noticed
// either. On flash the old blocks of a replaced key live on until the disk reuses
// them. Whoever is root on the running machine has everything.
package keystore
