package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// Challenge is a text that proves control of the machine's DID when a controller of
// the DID signs it (contract §2.1). It is a response of the orchestrator, or a file
// with all of these members. ExpiresAt is RFC 3339; VerificationMethod is eip191.
type Challenge struct {
	ChallengeID         string   `json:"challengeId"`
	IdentityRef         string   `json:"identityRef"`
	Message             string   `json:"message"` // the text that is signed, byte for byte
	ExpiresAt           string   `json:"expiresAt"`
	VerificationMethod  string   `json:"verificationMethod"`
	ControllerAddresses []string `json:"controllerAddresses"`
}

// maxChallenge is the length in bytes of the longest text that is signed.
const maxChallenge = 4 << 10

// errRefused is wrapped by every refusal to sign; errExpired as well, if the challenge
// is only too old.
var (
	errRefused = errors.New("refused to sign")
	errExpired = errors.New("the challenge expired")
)

// noController is the address that a sandbox names as the controller of an identity that it will
// bind to its first signer.
const noController = "0x0000000000000000000000000000000000000000"

// forFirstSigner returns the challenge with signer as the controller if it names none and comes from
// a sandbox on this computer. Any other orchestrator must name our key, because one that does not
// know it has no reason to ask for its signature.
func (c Challenge) forFirstSigner(origin, signer string) Challenge {
	u, err := url.Parse(origin)
	if err == nil && config.IsLoopbackHost(u.Hostname()) && slices.Equal(c.ControllerAddresses, []string{noController}) {
		c.ControllerAddresses = []string{signer}
	}
	return c
}

// vet decides whether a challenge may be signed, before a key is used. It must be for
// our identity, list our signer among the controllers and expire after now (the time
// of the response, so that a device without a clock can prove its identity), and its
// text must be plain and must not serve another known purpose. The format of a genuine
// text is not published, so it is not parsed.
//
// Every error wraps [errRefused] and names the rule that was broken.
func (c Challenge) vet(identityRef, signer string, now time.Time) error {
	refuse := func(format string, a ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{errRefused}, a...)...)
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
		return refuse("our key %s is not a controller of %s; its controllers are %s",
			signer, identityRef, status.Sanitize(strings.Join(c.ControllerAddresses, ", ")))
	}
	expires, err := time.Parse(time.RFC3339Nano, c.ExpiresAt)
	if err != nil {
		return refuse("its expiry %.64q is not a time", c.ExpiresAt)
	}
	if !expires.After(now) {
		return refuse("%w at %s, by a clock that says %s", errExpired, expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if fault := textFault(c.Message); fault != "" {
		return refuse("%s", fault)
	}
	return nil
}

// textFault returns why a text cannot be an identity challenge, or "".
func textFault(text string) string {
	if len(text) > maxChallenge {
		return fmt.Sprintf("the text is %d bytes long, more than %d", len(text), maxChallenge)
	}
	// An EIP-191 signature of so many bytes is what contracts verify for a hash, an
	// address or a signature, whatever the bytes look like as text.
	if n := len(text); n == 20 || n == 32 || n == 64 || n == 65 {
		return fmt.Sprintf("the text is %d bytes long, like an address, a hash or a signature", n)
	}
	if !utf8.ValidString(text) {
		return "the text is not UTF-8"
	}
	for _, r := range text {
		if r != '\n' && hidden(r) {
			return fmt.Sprintf("the text holds the hidden character %U", r)
		}
	}
	if purpose := otherPurpose(text); purpose != "" {
		return "the text is " + purpose
	}
	return ""
}

// hidden reports whether a person who reads a text does not see a character, or not as
// what it is: everything but graphic characters and the plain space.
func hidden(r rune) bool {
	return config.Deceptive(r) || (r != ' ' && !unicode.IsGraphic(r)) || (r != ' ' && unicode.Is(unicode.Zs, r)) ||
		unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

const (
	blank     = " \t\n\f\r"
	hexDigits = "0123456789abcdef"
)

// otherPurpose returns what else the same key signs, or could be tricked into signing,
// that a text may be, or "". Upper and lower case are equal.
func otherPurpose(text string) string {
	text = strings.ToLower(strings.ToUpper(text)) // in both directions, so that ſ is s
	number := strings.TrimPrefix(strings.TrimLeft(text, blank), "0x")
	switch {
	case hasPresenceLine(text):
		return "a presence heartbeat"
	case strings.Contains(text, "peaq-mcr monetization"):
		return "a monetization opt-in"
	case strings.Contains(text, "wants you to sign in with your ethereum account"):
		return "a login to a website (EIP-4361)"
	case strings.Trim(number, hexDigits+blank) == "":
		return "bare hex, which could be the hash of anything"
	}
	return ""
}

// hasPresenceLine reports whether a line of a text in lower case begins with
// "machineid:" or "sentat:", with any blanks around the name.
func hasPresenceLine(text string) bool {
	for start := 0; start < len(text); {
		line := strings.TrimLeft(text[start:], blank)
		for _, name := range []string{"machineid", "sentat"} {
			if rest, ok := strings.CutPrefix(line, name); ok && strings.HasPrefix(strings.TrimLeft(rest, blank), ":") {
				return true
			}
		}
		next := strings.IndexByte(text[start:], '\n')
		if next < 0 {
			return false
		}
		start += next + 1
	}
	return false
}

// namesMachine reports whether the text contains the number or address of the
// identity. It is logged, not required.
func (c Challenge) namesMachine() bool {
	number := strings.ToLower(strings.TrimPrefix(config.CanonicalRef(c.IdentityRef), "did:peaq:"))
	text := strings.ToLower(c.Message)
	for start := 0; number != "" && start < len(text); {
		at := strings.Index(text[start:], number)
		if at < 0 {
			return false
		}
		begin, end := start+at, start+at+len(number)
		if !digitAt(text, begin-1) && !digitAt(text, end) {
			return true
		}
		start = begin + 1
	}
	return false
}

func digitAt(text string, i int) bool {
	return i >= 0 && i < len(text) && text[i] >= '0' && text[i] <= '9'
}

// shown is the text of a challenge for a person, line by line, with characters escaped
// that a terminal acts on.
func (c Challenge) shown() []string {
	var lines []string
	for line := range strings.SplitSeq(c.Message, "\n") {
		lines = append(lines, status.Escape(line))
	}
	return lines
}

// hash is the SHA-256 of the text in hex, for the log.
func (c Challenge) hash() string {
	h := sha256.Sum256([]byte(c.Message))
	return hex.EncodeToString(h[:])
}

// sign vets a challenge and signs its text byte for byte.
func (c Challenge) sign(signer *keystore.Signer, identityRef string, now time.Time) (string, error) {
	if err := c.vet(identityRef, signer.Address(), now); err != nil {
		return "", err
	}
	return signer.SignText(c.Message)
}

// challengeResult is the metric label of a challenge.
func challengeResult(err error) string {
	switch {
	case err == nil:
		return "signed"
	case errors.Is(err, errExpired):
		return "expired"
	case errors.Is(err, errRefused):
		return "refused"
	}
	return "failed"
}
