package sandbox

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
)

// The presence service and the opt-in that it depends on. They are other services than the
// orchestrator, on hosts of their own; the sandbox serves all three at one address.

const (
	presenceTTL    = 180 * time.Second
	presenceWindow = 5 * time.Minute // how far sentAt and timestamp may be off
	maxPresences   = 50_000
)

// presence is what an accepted push stored.
type presence struct {
	machineID, publicKey string
	at                   time.Time
}

// presenceRoutes are the presence contract, §1 and §8. Errors of the opt-in have an envelope of
// their own.
func (s *Server) presenceRoutes() []route {
	return []route{
		{method: "POST", pattern: prefix + "/heartbeats", handle: s.pushPresence},
		{method: "POST", pattern: prefix + "/presence/check", handle: s.checkPresence},
		{method: "GET", pattern: "/.well-known/peaq-monetization", handle: s.monetizationInfo},
		{method: "GET", pattern: "/machine/{did}/monetization", stream: s.optInCall(s.getMonetization)},
		{method: "PUT", pattern: "/machine/{did}/monetization", stream: s.optInCall(s.putMonetization)},
	}
}

// presenceKey returns the key of a machine id, which is opaque: the spellings of one decimal
// identity are the same machine.
func presenceKey(machineID string) string {
	for _, ref := range []string{machineID, "did:peaq:" + machineID} {
		if canonical := canonicalRef(ref); canonical != "" {
			return identityKey(canonical)
		}
	}
	return machineID
}

// pushPresence stores a signed push. Whatever is wrong with a well-formed one is "accepted": false.
func (s *Server) pushPresence(c *call) (any, error) {
	machineID, publicKey := c.in.required("machineId"), c.in.required("publicKey")
	sentAt, signature := c.in.required("sentAt"), c.in.required("signature")
	if c.in.err != nil {
		return nil, c.in.err
	}
	key := presenceKey(machineID)
	old := s.presences[key]
	if !s.presenceValid(machineID, publicKey, sentAt, signature) {
		s.pushes.refused++
		last := ""
		if !old.at.IsZero() {
			last = Moment{old.at}.String()
		}
		return map[string]any{"accepted": false, "online": c.now.Sub(old.at) < presenceTTL, "lastHeartbeatAt": last}, nil
	}
	if s.presences == nil {
		s.presences = map[string]presence{}
	}
	if len(s.presences) >= maxPresences {
		s.forgetOffline(c.now)
	}
	s.presences[key] = presence{machineID, publicKey, c.now}
	s.pushes.accepted++
	return map[string]any{"accepted": true, "online": true, "lastHeartbeatAt": c.stamp()}, nil
}

// presenceValid checks a push: signed by the key that it names, by a controller if the identity has
// known ones, just now, and by a machine that has opted in if that is required.
func (s *Server) presenceValid(machineID, publicKey, sentAt, signature string) bool {
	address, ok := addressOfKey(publicKey)
	signer, err := recoverText("machineId: "+machineID+"\nsentAt: "+sentAt, signature)
	if !ok || err != nil || signer != address {
		return false
	}
	at, ok := parseMoment(sentAt)
	if !ok || s.Now().Sub(at.Time).Abs() > presenceWindow {
		return false
	}
	key := presenceKey(machineID)
	controllers := s.controllersOf(key)
	if len(controllers) > 0 && !slices.ContainsFunc(controllers, func(a string) bool { return strings.EqualFold(a, signer) }) {
		return false
	}
	return !s.presenceNeedsOptIn || s.optIns[key].optedIn
}

// addressOfKey returns the address of an uncompressed public key: 0x04 and 128 hex digits.
func addressOfKey(publicKey string) (string, bool) {
	digits, ok := strings.CutPrefix(publicKey, "0x")
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil {
		return "", false
	}
	pub, err := crypto.UnmarshalPubkey(raw)
	if err != nil {
		return "", false
	}
	return crypto.PubkeyToAddress(*pub).Hex(), true
}

// forgetOffline removes the machines that are offline, when there are too many.
func (s *Server) forgetOffline(now time.Time) {
	for key, p := range s.presences {
		if now.Sub(p.at) >= presenceTTL || len(s.presences) >= maxPresences {
			delete(s.presences, key)
		}
	}
}

func (s *Server) checkPresence(c *call) (any, error) {
	machineID, publicKey := c.in.text("machineId"), c.in.text("publicKey")
	if c.in.err == nil && (machineID == "") == (publicKey == "") {
		c.in.fault("machineId", "or publicKey must be sent, and not both")
	}
	if c.in.err != nil {
		return nil, c.in.err
	}
	p, known := s.presences[presenceKey(machineID)]
	if publicKey != "" {
		for _, other := range s.presences {
			if strings.EqualFold(other.publicKey, publicKey) && (!known || other.at.After(p.at)) {
				p, known = other, true
			}
		}
	}
	out := map[string]any{"online": false, "machineId": machineID, "publicKey": nil, "lastHeartbeatAt": nil}
	if known {
		out["machineId"], out["publicKey"], out["lastHeartbeatAt"] = p.machineID, p.publicKey, Moment{p.at}
		out["online"] = c.now.Sub(p.at) < presenceTTL
	}
	return out, nil
}

// Online reports whether the presence service lists a machine as online, by the machine id that it
// pushes or its identity.
func (s *Server) Online(machineID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, known := s.presences[presenceKey(machineID)]
	return known && s.Now().Sub(p.at) < presenceTTL
}

// Pushes returns how many presence heartbeats were accepted and how many were refused.
func (s *Server) Pushes() (accepted, refused uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pushes.accepted, s.pushes.refused
}

// optIn is the state of one machine's opt-in. The zero value is PENDING.
type optIn struct {
	optedIn   bool
	signer    string
	updatedAt int64 // Unix seconds of the signed timestamp; 0: nothing was signed
}

func (o optIn) show(number string) map[string]any {
	out := map[string]any{"machine_id": number, "status": "PENDING", "signer": nil, "updated_at": nil}
	if o.updatedAt != 0 {
		out["status"], out["signer"], out["updated_at"] = "OPTED_OUT", o.signer, o.updatedAt
		if o.optedIn {
			out["status"] = "OPTED_IN"
		}
	}
	return out
}

// OptIn returns the status of a machine's opt-in: PENDING, OPTED_IN or OPTED_OUT.
func (s *Server) OptIn(ref string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.optIns[presenceKey(ref)].show("")["status"].(string)
}

// contracts identifies the contracts of a deployment.
type contracts struct {
	chainID uint64
	address string // lower case
}

func (s *Server) monetizationInfo(*call) (any, error) {
	return map[string]any{
		"version": "tokenomics-2.0-monetization-v1", "chain_id": strconv.FormatUint(s.contracts.chainID, 10), "registry": s.contracts.address,
	}, nil
}

// optInCall serves a call whose errors have the envelope {"detail": {"code", "message"}}.
func (s *Server) optInCall(h handler) func(*call) {
	return func(c *call) {
		b, err := c.run(h)
		if err == nil {
			c.write(b, nil)
			return
		}
		fault, ok := err.(*apiError)
		if !ok {
			fault = &apiError{status: http.StatusInternalServerError, code: "INTERNAL_ERROR", message: "internal error"}
		}
		if fault.code == "VALIDATION_ERROR" {
			fault.code = "INVALID_REQUEST"
		}
		dateOf(c.w, c.now)
		writeJSON(c.w, fault.status, detail(fault))
	}
}

func optInFault(status int, code, message string) error {
	return &apiError{status: status, code: code, message: message}
}

// optInMachine resolves the {did} of a path: a decimal number, or the DID with one.
func (s *Server) optInMachine(c *call) (key, number string, err error) {
	number = strings.TrimPrefix(c.id("did"), "did:peaq:")
	key = canonicalRef("did:peaq:" + number)
	if key == "" || strings.HasPrefix(number, "0x") {
		return "", "", invalid("the path must name a machine: did:peaq:<number> or the number")
	}
	if len(s.controllersOf(key)) == 0 {
		return "", "", optInFault(http.StatusNotFound, "MACHINE_NOT_FOUND", "no such machine")
	}
	return key, number, nil
}

func (s *Server) getMonetization(c *call) (any, error) {
	key, number, err := s.optInMachine(c)
	if err != nil {
		return nil, err
	}
	return s.optIns[key].show(number), nil
}

func (s *Server) putMonetization(c *call) (any, error) {
	key, number, err := s.optInMachine(c)
	if err != nil {
		return nil, err
	}
	var wanted bool
	var timestamp int64
	if !c.in.decode("opted_in", &wanted, "true or false") {
		c.in.fault("opted_in", "is required")
	}
	if !c.in.decode("timestamp", &timestamp, "Unix seconds") {
		c.in.fault("timestamp", "is required")
	}
	signature := c.in.required("signature")
	if c.in.err != nil {
		return nil, c.in.err
	}
	if c.now.Sub(time.Unix(timestamp, 0)).Abs() > presenceWindow {
		return nil, optInFault(http.StatusBadRequest, "TIMESTAMP_OUT_OF_WINDOW", "the timestamp is not current")
	}
	signer, err := recoverText(strings.Join([]string{
		"peaq-mcr monetization", "registry: " + s.contracts.address, "chain_id: " + strconv.FormatUint(s.contracts.chainID, 10),
		"machine_id: " + number, "opted_in: " + strconv.FormatBool(wanted), "timestamp: " + strconv.FormatInt(timestamp, 10),
	}, "\n"), signature)
	if err != nil {
		return nil, optInFault(http.StatusBadRequest, "INVALID_SIGNATURE", "the signature cannot be read")
	}
	if !slices.ContainsFunc(s.controllersOf(key), func(a string) bool { return strings.EqualFold(a, signer) }) {
		return nil, optInFault(http.StatusForbidden, "UNAUTHORIZED_SIGNER", "the signer is neither owner nor controller of the machine")
	}
	if timestamp < s.optIns[key].updatedAt {
		return nil, optInFault(http.StatusConflict, "STALE_SIGNATURE", "a later signature was accepted already")
	}
	if s.optIns == nil {
		s.optIns = map[string]optIn{}
	}
	s.optIns[key] = optIn{wanted, signer, timestamp}
	return s.optIns[key].show(number), nil
}
