package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
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
	Signer        string          `json:"signer"`
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

// ReadOptIn checks that the MCR belongs to the deployment, and reads the state.
func ReadOptIn(ctx context.Context, mcr *sdk.MCR, d sdk.Deployment, number string) (OptIn, error) {
	compat, err := mcr.Compat(ctx)
	if err != nil {
		return OptIn{}, optInProblem(err)
	}
	if !d.Fits(compat) {
		return OptIn{}, status.NewProblem(status.CodeMCRMismatch, fmt.Sprintf("%s is version %s, chain %s, registry %s",
			mcr, status.Sanitize(compat.Version), status.Sanitize(compat.ChainID), status.Sanitize(compat.Registry)))
	}
	m, err := mcr.Monetization(ctx, number)
	if err != nil {
		return OptIn{}, optInProblem(err)
	}
	return optInOf(number, m, false), nil
}

// ChangeOptIn opts a machine in or out, unless it is already. It reads before it writes,
// and reads again after a write whose result is unknown, instead of repeating it.
func ChangeOptIn(ctx context.Context, mcr *sdk.MCR, d sdk.Deployment, number string, in bool,
	sign func(ctx context.Context, message []byte) (string, error),
) (OptIn, error) {
	limited, cancel := context.WithTimeout(ctx, optInLimit)
	defer cancel()
	want := "OPTED_OUT"
	if in {
		want = "OPTED_IN"
	}
	before, err := ReadOptIn(limited, mcr, d, number)
	if err != nil || before.Status == want {
		return before, err
	}
	for attempt := 0; ; attempt++ {
		m, err := mcr.SetMonetization(limited, d, number, in, sign)
		var fault *sdk.MCRError
		switch {
		case err == nil && m.Status != want:
			return optInOf(number, m, false), status.NewProblem(status.CodeOptInUnknown, "the state is "+status.Sanitize(m.Status))
		case err == nil:
			return optInOf(number, m, true), nil
		case errors.As(err, &fault) && fault.StatusCode == http.StatusServiceUnavailable && fault.ServerCode == "MACHINE_UNAVAILABLE" && attempt < optInRetries:
			select {
			case <-limited.Done():
				return before, status.NewProblem(status.CodeMCR, "no usable response within "+optInLimit.String())
			case <-time.After(optInPause):
			}
		case ambiguous(err):
			return readBack(ctx, mcr, d, number, want, err)
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
func readBack(ctx context.Context, mcr *sdk.MCR, d sdk.Deployment, number, want string, cause error) (OptIn, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	after, err := ReadOptIn(ctx, mcr, d, number)
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

// SignOptInRequest asks for the signature of an opt-in or opt-out. The text is made where
// it is signed: nobody can have another one signed as such.
type SignOptInRequest struct {
	Machine       string `json:"machine,omitempty"`
	Deployment    string `json:"deployment"`
	MachineNumber string `json:"machine_number"`
	OptedIn       bool   `json:"opted_in"`
	Timestamp     int64  `json:"timestamp"` // Unix seconds
}

// SignedOptIn is its signature.
type SignedOptIn struct {
	Signature string `json:"signature"`
}

// SignOptIn signs an opt-in or opt-out of the configured machine with the stored
// controller key.
func (a *Agent) SignOptIn(_ context.Context, req SignOptInRequest) (SignedOptIn, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	b, err := a.beaterOf(req.Machine)
	if err != nil {
		return SignedOptIn{}, err
	}
	ref := b.configured().IdentityRef
	if r, err := a.store.Agent(b.name); err == nil {
		ref = r.IdentityRef
	}
	if number, err := sdk.MachineNumber(ref); err != nil || number != req.MachineNumber {
		return SignedOptIn{}, status.NewProblem(status.CodeOtherIdentity, "nothing was signed").Advise("give --machine-number of this device's machine")
	}
	signer, err := a.store.Controller()
	if errors.Is(err, keystore.ErrNotFound) {
		err = status.NewProblem(status.CodeNoControllerKey, "nothing was signed").
			Advise("give --controller-key-file FILE, or store one with peaqos-agent identity import")
	}
	if err != nil {
		return SignedOptIn{}, err
	}
	defer signer.Wipe()
	signature, err := SignOptIn(req, signer, time.Now())
	if err == nil {
		a.log.Info("an opt-in or opt-out was signed with the controller key", code(status.CodeOptInSigned),
			zap.Bool("opted_in", req.OptedIn), zap.String("machine_number", req.MachineNumber))
	}
	return SignedOptIn{signature}, err
}

// SignOptIn signs an opt-in or opt-out.
func SignOptIn(req SignOptInRequest, signer *keystore.Signer, now time.Time) (string, error) {
	d, err := sdk.LookupDeployment(req.Deployment)
	if err != nil {
		return "", status.NewProblem(status.CodeDeployment, err.Error())
	}
	if _, err := sdk.MachineNumber("did:peaq:" + req.MachineNumber); err != nil {
		return "", status.NewProblem(status.CodeIdentityRef, "the machine's number must be decimal")
	}
	at := time.Unix(req.Timestamp, 0)
	if now.Sub(at).Abs() > optInWindow {
		return "", status.NewProblem(status.CodeValidation, "the timestamp is more than 5 minutes off; nothing was signed")
	}
	return signer.SignText(sdk.MonetizationMessage(d, req.MachineNumber, req.OptedIn, at))
}

// OptInTimestamp returns the timestamp in the message of an opt-in.
func OptInTimestamp(message []byte) (int64, error) {
	_, digits, ok := strings.Cut(string(message), "\ntimestamp: ")
	at, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil {
		return 0, errors.New("not the message of an opt-in")
	}
	return at, nil
}

func (a *Agent) adminOptIn(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/presence/sign-opt-in", onSocket(a.SignOptIn))
}

// SignOptIn asks the daemon for the signature.
func (a *Admin) SignOptIn(ctx context.Context, req SignOptInRequest) (SignedOptIn, error) {
	return ask[SignedOptIn](ctx, a, "/v1/presence/sign-opt-in", req, unheard)
}

// NewMCR makes a client of an MCR service, with the daemon's way of connecting.
func NewMCR(cfg *config.Config, version, base string) (*sdk.MCR, error) {
	transport, err := newTransport(cfg.Orchestrator)
	if err != nil {
		return nil, err
	}
	return sdk.NewMCR(base, sdk.WithHTTPClient(&http.Client{Transport: transport}), sdk.WithUserAgent("peaqos-agent/"+version))
}

// CheckPresence asks the presence service about a machine.
func CheckPresence(ctx context.Context, cfg *config.Config, version, machineID string) (*sdk.PresenceState, error) {
	transport, err := newTransport(cfg.Orchestrator)
	if err != nil {
		return nil, err
	}
	client, err := sdk.NewPresence(cfg.Presence.URL,
		sdk.WithHTTPClient(&http.Client{Transport: transport}), sdk.WithUserAgent("peaqos-agent/"+version))
	if err != nil {
		return nil, err
	}
	state, err := client.Check(ctx, sdk.PresenceQuery{MachineID: sdk.Some(machineID)})
	if err != nil {
		cause := judgePush(err, time.Now()).cause
		return nil, status.NewProblem(status.CodePresenceCheck, cause.Text).Wrap(err)
	}
	return state, nil
}
