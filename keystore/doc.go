// Package keystore keeps a machine's agent token, and if wanted its controller
// key, on a disk that may lose power at any instant.
//
// Start with [Open]: it makes its own directory inside the one it is given,
// takes the lock that makes this process the only owner, and loads the seal.
// [Store.Agent] and [Store.PutAgent] read and write the record of an enrolled
// machine, [Store.Intent] and [Store.PutIntent] the journal of an enrollment
// that is under way, [Store.Controller] and [Store.PutController] the key that
// controls the machine's DID.
//
// # Durability
//
// A token is given once, so a write is not finished before the directory entry
// is on the disk: temporary file, fsync, read back, rename, fsync of the
// directory (see [Store] and durable.go). Memory changes after the disk. Every
// file has two slots which hold the same content outside a change; each slot
// carries a sequence number and a checksum. Reading takes the newest intact slot
// and heals the other one, so that one damaged file loses nothing. In the steady
// state nothing is written.
//
// # Sealing
//
// Bodies are sealed with XChaCha20-Poly1305 under one random store key; the
// format version, the record's name and the sequence are bound in as additional
// data, so a record copied to another name does not open. The store key lies in
// a 0600 file beside the records. That protects against partial copies of the
// directory, and against nothing else: whoever can read the whole directory has
// the token. The file format carries a protector byte, with which a passphrase
// or a credential of the system can take the key file's place.
//
// # Secrets
//
// [Secret] and [Key] print as [REDACTED] under every verb and encoder. Secret
// files that people hand to us are read by [ReadSecretFile] alone, which refuses
// what others could have read or planted.
//
// # What is missing
//
// A full copy of the directory works elsewhere. Only one protector is built, the
// key file; [Options.Seal] refuses the names of the others.
package keystore
