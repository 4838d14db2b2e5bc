package sdk

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Presence is a client of the presence service, which reports whether a machine is
// online. It is a separate service on another host, and authenticates by signature rather
// than token. Its heartbeat does not replace that of the orchestrator (presence contract
// §1).
type Presence struct{ c *Client }

// Presence timing: an accepted push is valid for PresenceTTL, and the service's own
// clients push at least every PresenceMaxInterval.
const (
	PresenceTTL         = 180 * time.Second
	PresenceMaxInterval = 120 * time.Second
)

// NewPresence makes a client of the presence service at base, such as
// https://heartbeat.peaq.xyz. WithAPIKey, WithLegacyIdentityRefs and WithMaxBody have no
// effect; a response may have 64 KiB. Errors: *ConfigError.
func NewPresence(base string, opts ...Option) (*Presence, error) {
	c, err := New(base, opts...)
	if err != nil {
		return nil, err
	}
	c.maxBody = 64 << 10
	if c.timeout == 0 {
		c.timeout = 10 * time.Second
	}
	return &Presence{c}, nil
}

// CheckPresenceInterval rejects an interval between pushes with which a healthy machine
// would appear offline: it must be above 0 and at most PresenceMaxInterval. Errors:
// *ValidationError.
func CheckPresenceInterval(every time.Duration) error {
	if every <= 0 || every > PresenceMaxInterval {
		return &ValidationError{"interval", "above 0 and at most 120 s"}
	}
	return nil
}

// PresenceMessage returns the message that a push signs: two lines, without a newline at
// the end (presence contract §3).
func PresenceMessage(machineID, sentAt string) string {
	return "machineId: " + machineID + "\nsentAt: " + sentAt
}

// PresenceTime formats a time as this client sends it: UTC with milliseconds.
func PresenceTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// PresencePush is the request of [Presence.Push].
type PresencePush struct {
	MachineID string    // probably the decimal number of the machine's DID; not documented
	PublicKey string    // 0x04 and 128 hex digits: the uncompressed secp256k1 key
	SentAt    time.Time // zero: now; sent in UTC with milliseconds
	// Sign signs the message with EIP-191 personal_sign and returns 65 bytes as 0x and
	// hex. It is called once, right before the push.
	Sign func(ctx context.Context, message []byte) (signature string, err error)
}

type presenceBody struct {
	MachineID string `json:"machineId"`
	PublicKey string `json:"publicKey"`
	SentAt    string `json:"sentAt"`
	Signature Secret `json:"signature"`
}

// PresenceResult is the result of a push.
type PresenceResult struct {
	Meta            `json:"-"`
	Accepted        bool   `json:"accepted" wire:"req"`
	Online          bool   `json:"online" wire:"req"`
	LastHeartbeatAt string `json:"lastHeartbeatAt" wire:"req"`
}

// PresenceRefusedError is a push that the service rejected in an HTTP 200 response. The
// most likely cause is a wrong clock on the device: compare it with Result.Date.
type PresenceRefusedError struct{ Result *PresenceResult }

func (e *PresenceRefusedError) Error() string {
	return "the presence service did not accept the heartbeat; check the device's clock and that the machine has opted in"
}

// Push reports that the machine is online, for PresenceTTL. It may take 10 s. Only a
// machine that has opted in should push (see [MCR.Monetization]).
//
// Errors: *PresenceRefusedError, together with the result; *ValidationError, *APIError,
// *NetworkError; and what Sign returns.
//
// POST /heartbeats (presence contract §2)
func (p *Presence) Push(ctx context.Context, in PresencePush) (*PresenceResult, error) {
	if err := nonBlanks("machineId", in.MachineID, "publicKey", in.PublicKey); err != nil {
		return nil, err
	}
	if strings.ContainsAny(in.MachineID, "\r\n") {
		return nil, &ValidationError{"machineId", "one line"}
	}
	if in.Sign == nil {
		return nil, &ValidationError{"sign", "a signer"}
	}
	if in.SentAt.IsZero() {
		in.SentAt = time.Now()
	}
	sentAt := PresenceTime(in.SentAt)
	signature, err := in.Sign(ctx, []byte(PresenceMessage(in.MachineID, sentAt)))
	if err != nil {
		return nil, fmt.Errorf("signing the presence heartbeat: %w", err)
	}
	if ctx.Err() != nil { // canceled while signing: send nothing
		return nil, ctx.Err()
	}
	out := new(PresenceResult)
	r := p.c.call(http.MethodPost, "/heartbeats").open().json(presenceBody{in.MachineID, in.PublicKey, sentAt, NewSecret(signature)})
	if err := r.whole(ctx, out); err != nil {
		return nil, err
	}
	if !out.Accepted {
		return out, &PresenceRefusedError{out}
	}
	return out, nil
}

// PresenceQuery is the request of [Presence.Check]. Set exactly one of its fields.
type PresenceQuery struct {
	MachineID Optional[string] `json:"machineId,omitzero"`
	PublicKey Optional[string] `json:"publicKey,omitzero"`
}

func (q PresenceQuery) check(identityRefs) error {
	if q.MachineID.IsSet() == q.PublicKey.IsSet() {
		return &ValidationError{"machineId", "set if publicKey is not, and unset otherwise"}
	}
	return nonBlank("machineId", q.MachineID.Value()+q.PublicKey.Value())
}

// PresenceState is the service's view of a machine. PublicKey and LastHeartbeatAt are
// empty if it has none.
type PresenceState struct {
	Meta            `json:"-"`
	Online          bool   `json:"online" wire:"req"`
	MachineID       string `json:"machineId" wire:"req"`
	PublicKey       string `json:"publicKey"`
	LastHeartbeatAt string `json:"lastHeartbeatAt"`
}

// Check returns whether a machine is online. It needs no key, and may take 10 s.
//
// POST /presence/check (presence contract §6)
func (p *Presence) Check(ctx context.Context, q PresenceQuery) (*PresenceState, error) {
	out := new(PresenceState)
	if err := p.c.call(http.MethodPost, "/presence/check").open().json(q).whole(ctx, out); err != nil {
		return nil, err
	}
	return out, nil
}
