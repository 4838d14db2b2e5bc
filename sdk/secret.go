package sdk

import "github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"

// Secret holds a key or token that is sent but never printed: every fmt format,
// encoding/json, slog and text encodings print [REDACTED], or nothing when it is
// empty. Only the client writes the value, into the request that needs it.
//
// The zero Secret is empty and ready to use. The methods that matter to a caller:
//
//	func (s Secret) Reveal() string           // the value itself: store it nowhere
//	func (s Secret) IsZero() bool             // whether it was made without a value
//	func (s Secret) Equal(other Secret) bool  // in constant time
//
// A Secret reads from a JSON string, but marshals to "[REDACTED]". To store one, store
// what Reveal returns.
type Secret = wire.Secret

// NewSecret wraps a value. It cannot erase the caller's own copy.
func NewSecret(value string) Secret { return wire.NewSecret(value) }

// NewSecretFunc returns a Secret whose value stays with the caller, for example in
// memory that the caller erases later. read is called each time the value is needed,
// from any goroutine; the client copies the bytes that it returns into the request and
// neither changes nor keeps them. The Secret is never zero, whatever read returns; a
// nil read makes an empty Secret.
//
// This avoids a string per request that nobody can erase. It does not erase the request
// body, nor copies in the buffers of net/http and the kernel.
func NewSecretFunc(read func() []byte) Secret { return wire.NewSecretFunc(read) }
