package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// The opt-in to presence, which is a precondition of its pushes (presence contract §8).
// A command makes it, never the daemon by itself; the daemon only signs it with the key
// in its store.

const (
	optInLimit   = 30 * time.Second // of a whole change
	optInRetries = 2                // after MACHINE_UNAVAILABLE
	optInPause   = time.Second
	// optInWindow is how far the timestamp of what is signed may be from now: nobody
	// collects signatures for later.
	optInWindow = 5 * time.Minute
)

// OptIn is the state of a machine's opt-in.
type OptIn struct {
	MachineNumber string          `json:"machine_number"`
	Status        string          `json:"status"` // PENDING, OPTED_IN, OPTED_OUT
	Signer        string          `json:"signer_address"`
	UpdatedAt     json.RawMessage `json:"updated_at"` // its format is not documented
	Changed       bool            `json:"changed"`    // by this command
}

func optInOf(number string, m *sdk.Monetization, changed bool) OptIn {
	updated := m.UpdatedAt
	if len(updated) == 0 {
		updated = json.RawMessage("null")
	}
	return OptIn{number, m.Status, m.Signer, updated, changed}
}

// PresenceService is what the presence commands talk to: the service itself, and the MCR
// service in which a machine opts in.
type PresenceService struct {
	presence   *sdk.Presence
	mcr        *sdk.MCR
	deployment sdk.Deployment
	number     string
}

// NewPresenceService connects as the daemon does. number is the decimal number of the
// machine's DID, and mcrURL the base URL of the MCR service of the deployment.
func NewPresenceService(cfg *config.Config, version string, d sdk.Deployment, mcrURL, number string) (*PresenceService, error) {
	opts := []sdk.Option{sdk.WithHTTPClient(&http.Client{Transport: newTransport(cfg, zap.NewNop())}), sdk.WithUserAgent("peaqos-agent/" + version)}
	s := &PresenceService{deployment: d, number: number}
	var err error
	if s.presence, err = sdk.NewPresence(cfg.Presence.URL, opts...); err != nil {
		return nil, err
	}
	if s.mcr, err = sdk.NewMCR(mcrURL, opts...); err != nil {
		return nil, status.NewProblem(status.CodeDeployment, err.Error()).Advise("give --mcr-url https://HOST")
	}
	return s, nil
}

// Check returns whether the presence service lists a machine as online.
func (s *PresenceService) Check(ctx context.Context, machineID string) (*sdk.PresenceState, error) {
	state, err := s.presence.Check(ctx, sdk.PresenceQuery{MachineID: sdk.Some(machineID)})
	if err != nil {
		return nil, status.NewProblem(status.CodePresenceCheck, judgePush(err, time.Now()).cause.Text).Wrap(err)
	}
	return state, nil
}

// OptIn checks that the MCR belongs to the deployment, and reads the machine's state.
func (s *PresenceService) OptIn(ctx context.Context) (OptIn, error) {
	compat, err := s.mcr.Compat(ctx)
	if err != nil {
		return OptIn{}, optInProblem(err)
	}
	if !s.deployment.Fits(compat) {
		return OptIn{}, status.NewProblem(status.CodeMCRMismatch, fmt.Sprintf("%s is version %s, chain %s, registry %s",
			s.mcr, status.Sanitize(compat.Version), status.Sanitize(compat.ChainID), status.Sanitize(compat.Registry)))
	}
	m, err := s.mcr.Monetization(ctx, s.number)
	if err != nil {
		return OptIn{}, optInProblem(err)
	}
	return optInOf(s.number, m, false), nil
}

// SetOptIn opts the machine in or out, unless it is already. It reads before it writes,
// and reads again after a write whose result is unknown, instead of repeating it.
func (s *PresenceService) SetOptIn(ctx context.Context, in bool, sign func(ctx context.Context, message []byte) (string, error)) (OptIn, error) {
	limited, cancel := context.WithTimeout(ctx, optInLimit)
	defer cancel()
	want := "OPTED_OUT"
	if in {
		want = "OPTED_IN"
	}
	before, err := s.OptIn(limited)
	if err != nil || before.Status == want {
		return before, err
	}
	for attempt := 0; ; attempt++ {
		m, err := s.mcr.SetMonetization(limited, s.deployment, s.number, in, sign)
		var fault *sdk.MCRError
		switch {
		case err == nil && m.Status != want:
			return optInOf(s.number, m, false), status.NewProblem(status.CodeOptInUnknown, "the state is "+status.Sanitize(m.Status))
		case err == nil:
			return optInOf(s.number, m, true), nil
		case errors.As(err, &fault) && fault.StatusCode == http.StatusServiceUnavailable && fault.ServerCode == "MACHINE_UNAVAILABLE" &&
			attempt < optInRetries:
			select {
			case <-limited.Done():
				return before, status.NewProblem(status.CodeMCR, "no usable response within "+optInLimit.String())
			case <-time.After(optInPause):
			}
		case ambiguous(err):
			return s.readBack(ctx, want, err)
		default:
			return before, optInProblem(err)
		}
	}
}

// ambiguous reports whether a write may have taken effect although it failed.
func ambiguous(err error) bool {
	var network *sdk.NetworkError
	var fault *sdk.MCRError
	return errors.As(err, &network) || errors.As(err, &fault) && (fault.StatusCode >= 500 || fault.StatusCode < 400)
}

// readBack finds out whether a write took effect. The caller's deadline may be over.
func (s *PresenceService) readBack(ctx context.Context, want string, cause error) (OptIn, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	after, err := s.OptIn(ctx)
	if err == nil && after.Status == want {
		after.Changed = true
		return after, nil
	}
	detail := "the response was lost"
	if err == nil {
		detail += ", and the state is " + status.Sanitize(after.Status)
	}
	return after, status.NewProblem(status.CodeOptInUnknown, detail).Wrap(cause)
}

// optInProblem explains an error of the MCR.
func optInProblem(err error) error {
	var fault *sdk.MCRError
	var network *sdk.NetworkError
	switch {
	case errors.As(err, &fault) && fault.StatusCode >= 400 && fault.StatusCode < 500 && fault.StatusCode != http.StatusTooManyRequests:
		detail := fmt.Sprintf("HTTP %d", fault.StatusCode)
		if fault.ServerCode != "" {
			detail += " " + status.Sanitize(fault.ServerCode)
		}
		return status.NewProblem(status.CodeMCRRejected, detail).Wrap(err)
	case errors.As(err, &fault):
		return status.NewProblem(status.CodeMCR, fmt.Sprintf("HTTP %d %s", fault.StatusCode, status.Sanitize(fault.ServerCode))).Wrap(err)
	case errors.As(err, &network):
		return status.NewProblem(status.CodeMCR, networkDetail(judgeNetwork(err, time.Now()).cause)).Wrap(err)
	}
	return err
}

// SignOptIn signs an opt-in or opt-out of a configured machine with the stored controller
// key. message is the text that is signed: any other text, another machine's, and one
// that is not of now are refused.
func (a *Agent) SignOptIn(ctx context.Context, machine string, message []byte) (string, error) {
	if err := a.changing.acquire(ctx, "another command"); err != nil {
		return "", err
	}
	defer a.changing.Unlock()
	b, err := a.beaterOf(machine)
	if err != nil {
		return "", err
	}
	ref := b.configured().IdentityRef
	if r, err := a.store.Agent(b.name); err == nil {
		ref = r.IdentityRef
	}
	number, err := vetOptIn(message, time.Now())
	if err != nil {
		return "", err
	}
	if own, err := sdk.MachineNumber(ref); err != nil || own != number {
		return "", status.NewProblem(status.CodeOtherIdentity, "nothing was signed").Advise("give --machine-number of this device's machine")
	}
	signer, err := a.store.Controller()
	if errors.Is(err, keystore.ErrNotFound) {
		err = status.NewProblem(status.CodeNoControllerKey, "nothing was signed").
			Advise("give --controller-key-file FILE, or store one with peaqos-agent identity import")
	}
	if err != nil {
		return "", err
	}
	defer signer.Wipe()
	signature, err := signer.SignText(string(message))
	if err == nil {
		a.log.Info("an opt-in or opt-out was signed with the controller key", code(status.CodeOptInSigned), zap.String("machine", b.name))
	}
	return signature, err
}

// vetOptIn checks that a message is that of an opt-in or opt-out and is of now, and
// returns the machine's number (presence contract §8).
func vetOptIn(message []byte, now time.Time) (number string, err error) {
	form := regexp.MustCompile(`\Apeaq-mcr monetization\nregistry: 0x[0-9a-f]{40}\nchain_id: [1-9][0-9]{0,19}\n` +
		`machine_id: (0|[1-9][0-9]{0,77})\nopted_in: (?:true|false)\ntimestamp: ([1-9][0-9]{0,11})\z`)
	fields := form.FindSubmatch(message)
	if fields == nil {
		return "", status.NewProblem(status.CodeValidation, "this is not the text of an opt-in; nothing was signed")
	}
	seconds, err := strconv.ParseInt(string(fields[2]), 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > optInWindow {
		return "", status.NewProblem(status.CodeValidation, "the timestamp is more than 5 minutes off; nothing was signed")
	}
	return string(fields[1]), nil
}

// adminOptIn is the request of SignOptIn on the admin socket.
type adminOptIn struct {
	Machine string `json:"machine,omitempty"`
	Message string `json:"message"`
}

// SignOptIn asks the daemon for the signature.
func (a *Admin) SignOptIn(ctx context.Context, machine string, message []byte) (string, error) {
	return ask[string](ctx, a, "/v1/presence/sign-opt-in", &adminOptIn{machine, string(message)}, discard)
}
