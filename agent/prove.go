package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Challenge is a text that proves the machine's DID when its controller signs
// it (contract §2.1), from an answer to our own request or from a file that
// holds all of these fields.
type Challenge struct {
	ChallengeID         string   `json:"challengeId"`
	IdentityRef         string   `json:"identityRef"`
	Message             string   `json:"message"`
	ExpiresAt           string   `json:"expiresAt"`
	VerificationMethod  string   `json:"verificationMethod"`
	ControllerAddresses []string `json:"controllerAddresses"`
}

// maxChallenge bounds the text: nothing longer is ever signed.
const maxChallenge = 4 << 10

// ErrRefused is wrapped by every refusal to sign; ErrExpired too, when all that is
// wrong is that the challenge came too late.
var (
	ErrRefused = errors.New("refused to sign")
	ErrExpired = errors.New("the challenge expired")
)

// Vet decides whether a challenge may be signed, before a key comes near it:
// it must speak of our identity, name our signer among the controllers, expire
// after now (the answer's own Date, so that a device without a clock can prove
// itself), and be plain text that serves no other known purpose. The wording of
// a genuine challenge is not published, so it is not parsed.
//
// Every refusal wraps [ErrRefused] and says which rule was broken.
func (c Challenge) Vet(identityRef, signer string, now time.Time) error {
	refuse := func(format string, a ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrRefused}, a...)...)
	}
	if c.ChallengeID == "" || c.Message == "" || c.ExpiresAt == "" {
		return refuse("the challenge lacks its id, its text or its expiry")
	}
	if c.VerificationMethod != "eip191" {
		return refuse("verification method %.32q is not eip191", c.VerificationMethod)
	}
	if config.CanonicalRef(c.IdentityRef) != config.CanonicalRef(identityRef) {
		return refuse("the challenge is for %.96q, this machine is %s", c.IdentityRef, identityRef)
	}
	if !slices.ContainsFunc(c.ControllerAddresses, func(a string) bool { return strings.EqualFold(a, signer) }) {
		return refuse("our key %s is not a controller of %s; its controllers are %.256s",
			signer, identityRef, strings.Join(c.ControllerAddresses, ", "))
	}
	expires, err := time.Parse(time.RFC3339Nano, c.ExpiresAt)
	if err != nil {
		return refuse("its expiry %.64q is not a time", c.ExpiresAt)
	}
	if !expires.After(now) {
		return refuse("%w at %s", ErrExpired, expires.UTC().Format(time.RFC3339))
	}
	if why := foreignText(c.Message); why != "" {
		return refuse("%s", why)
	}
	return nil
}

// foreignText says why a text is none of ours, or "".
func foreignText(text string) string {
	if len(text) > maxChallenge {
		return fmt.Sprintf("the text is %d bytes long, more than %d", len(text), maxChallenge)
	}
	if !utf8.ValidString(text) {
		return "the text is not UTF-8"
	}
	for _, r := range text {
		if (unicode.IsControl(r) && r != '\n') || unicode.Is(unicode.Bidi_Control, r) {
			return fmt.Sprintf("the text holds the hidden character %U", r)
		}
	}
	for _, p := range otherPurposes() {
		if p.form.MatchString(text) {
			return "the text is " + p.name
		}
	}
	return ""
}

// otherPurposes are texts which the same key signs, or could be tricked into
// signing, for something else than the machine's identity.
func otherPurposes() []struct {
	name string
	form *regexp.Regexp
} {
	type purpose = struct {
		name string
		form *regexp.Regexp
	}
	return []purpose{
		{"a presence heartbeat", regexp.MustCompile(`(?im)^\s*(machineId|sentAt)\s*:`)},
		{"a monetization opt-in", regexp.MustCompile(`(?i)peaq-mcr monetization`)},
		{"a login to a website (EIP-4361)", regexp.MustCompile(`(?i)wants you to sign in with your ethereum account`)},
		{"bare hex, which could be the hash of anything", regexp.MustCompile(`^\s*(0[xX])?[0-9a-fA-F\s]+$`)},
	}
}

// NamesMachine reports whether the text mentions the identity's number or address. It is
// told to the person who signs, not required.
func (c Challenge) NamesMachine() bool {
	number := strings.TrimPrefix(config.CanonicalRef(c.IdentityRef), "did:peaq:")
	return number != "" && regexp.MustCompile(`(?i)(^|\D)`+regexp.QuoteMeta(number)+`($|\D)`).MatchString(c.Message)
}

// Hash is what the log says of the text.
func (c Challenge) Hash() string {
	h := sha256.Sum256([]byte(c.Message))
	return hex.EncodeToString(h[:])
}

// challengeResult is what the metric says of a vetted challenge.
func challengeResult(err error) string {
	switch {
	case err == nil:
		return "signed"
	case errors.Is(err, ErrExpired):
		return "expired"
	case errors.Is(err, ErrRefused):
		return "refused"
	}
	return "failed"
}

// Sign vets a challenge and signs its text byte for byte.
func Sign(c Challenge, signer *keystore.Signer, identityRef string, now time.Time) (string, error) {
	if err := c.Vet(identityRef, signer.Address(), now); err != nil {
		return "", err
	}
	return signer.SignText(c.Message)
}

// ValidIdentityRef reports whether ref is did:peaq:<decimal> or
// peaqos:machine:<decimal>, the number canonical and below 2^256.
func ValidIdentityRef(ref string) bool {
	_, err := sdk.MachineNumber(ref)
	return err == nil
}
