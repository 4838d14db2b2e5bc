package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// The verbs on the socket. A request is the only place where a secret is written as
// plain text, between two processes of one machine: the API key, and key material
// as 32 bytes in hex; never a file, never a passphrase.

type adminEnroll struct {
	Machine       string `json:"machine,omitempty"`
	MachineID     string `json:"machine_id,omitempty"`
	IdentityRef   string `json:"identity_ref,omitempty"`
	AgentLabel    string `json:"agent_label,omitempty"`
	APIKey        string `json:"api_key,omitempty"`
	ControllerKey string `json:"controller_key,omitempty"`
	Proof         *Proof `json:"proof,omitempty"`
	Force         bool   `json:"force,omitempty"`
	DryRun        bool   `json:"dry_run,omitempty"`
}

type adminRotate struct {
	Machine     string `json:"machine,omitempty"`
	MachineID   string `json:"machine_id,omitempty"`
	IdentityRef string `json:"identity_ref,omitempty"`
	APIKey      string `json:"api_key"`

	ReplaceLostKey bool `json:"replace_lost_key,omitempty"`
}

type adminGrant struct {
	Machine string `json:"machine,omitempty"`
	Grant   string `json:"grant"`
	Force   bool   `json:"force,omitempty"`
}

type adminLeave struct {
	Machine   string `json:"machine,omitempty"`
	APIKey    string `json:"api_key,omitempty"`
	LocalOnly bool   `json:"local_only,omitempty"`

	ReplaceLostKey bool `json:"replace_lost_key,omitempty"`
}

// nothingAsked is the request of a verb without words.
type nothingAsked struct{}

// adminVerbs puts every verb that changes the store on the socket.
func (a *Agent) adminVerbs(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/enroll", onSocket(func(ctx context.Context, in adminEnroll) (EnrollResult, error) {
		req := EnrollRequest{
			Machine: in.Machine, MachineID: in.MachineID, IdentityRef: in.IdentityRef, AgentLabel: in.AgentLabel,
			APIKey: sdk.NewSecret(in.APIKey), Proof: in.Proof, Force: in.Force, DryRun: in.DryRun,
		}
		if in.ControllerKey != "" {
			key, err := keystore.ParseKey([]byte(in.ControllerKey))
			if err != nil {
				return EnrollResult{}, err
			}
			defer key.Wipe()
			req.Controller = key
		}
		return a.Enroll(ctx, req, unheard)
	}))
	mux.HandleFunc("POST /v1/rotate", onSocket(func(ctx context.Context, in adminRotate) (RotateResult, error) {
		return a.Rotate(ctx, RotateRequest{
			Machine: in.Machine, MachineID: in.MachineID, IdentityRef: in.IdentityRef, APIKey: sdk.NewSecret(in.APIKey),
			ReplaceLostKey: in.ReplaceLostKey,
		}, unheard)
	}))
	mux.HandleFunc("POST /v1/grant", onSocket(func(ctx context.Context, in adminGrant) (EnrollResult, error) {
		grant, err := ParseGrant([]byte(in.Grant))
		if err != nil {
			return EnrollResult{}, err
		}
		return a.TakeGrant(ctx, GrantRequest{Machine: in.Machine, Grant: grant, Force: in.Force}, unheard)
	}))
	mux.HandleFunc("POST /v1/unenroll", onSocket(func(ctx context.Context, in adminLeave) (LeaveResult, error) {
		return a.Unenroll(ctx, LeaveRequest{
			Machine: in.Machine, APIKey: sdk.NewSecret(in.APIKey), LocalOnly: in.LocalOnly, ReplaceLostKey: in.ReplaceLostKey,
		}, unheard)
	}))
	mux.HandleFunc("POST /v1/reset-identity", onSocket(func(ctx context.Context, in ResetRequest) (LeaveResult, error) {
		return a.ResetIdentity(ctx, in, unheard)
	}))
	mux.HandleFunc("POST /v1/adopt", onSocket(func(ctx context.Context, _ nothingAsked) (AdoptResult, error) { return a.Adopt(ctx, unheard) }))
	a.adminKeys(mux)
}

// unheard takes the progress of a verb whose person is in another process.
func unheard(string) {}

// onSocket reads a bounded request, runs the verb within its time, and answers with
// its result or its problem.
func onSocket[In, Out any](verb func(context.Context, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, adminBody))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			fault(w, status.NewProblem(status.CodeBadRequest, ""))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), enrollLimit)
		defer cancel()
		out, err := verb(ctx, in)
		if err != nil {
			fault(w, err)
			return
		}
		answer(w, http.StatusOK, out)
	}
}

// Enroll asks the daemon to enroll, with its own user and its own view of the host.
func (a *Admin) Enroll(ctx context.Context, req EnrollRequest, progress func(string)) (EnrollResult, error) {
	in := adminEnroll{
		Machine: req.Machine, MachineID: req.MachineID, IdentityRef: req.IdentityRef, AgentLabel: req.AgentLabel,
		APIKey: req.APIKey.Reveal(), Proof: req.Proof, Force: req.Force, DryRun: req.DryRun,
	}
	if req.Controller != nil {
		in.ControllerKey = req.Controller.Hex()
	}
	return ask[EnrollResult](ctx, a, "/v1/enroll", in, progress)
}

// Rotate asks the daemon for a new agent and token.
func (a *Admin) Rotate(ctx context.Context, req RotateRequest, progress func(string)) (RotateResult, error) {
	in := adminRotate{
		Machine: req.Machine, MachineID: req.MachineID, IdentityRef: req.IdentityRef, APIKey: req.APIKey.Reveal(),
		ReplaceLostKey: req.ReplaceLostKey,
	}
	return ask[RotateResult](ctx, a, "/v1/rotate", in, progress)
}

// TakeGrant asks the daemon to store an enrollment that was made elsewhere.
func (a *Admin) TakeGrant(ctx context.Context, req GrantRequest, progress func(string)) (EnrollResult, error) {
	document, err := req.Grant.Document()
	if err != nil {
		return EnrollResult{}, err
	}
	defer clear(document)
	return ask[EnrollResult](ctx, a, "/v1/grant", adminGrant{req.Machine, string(document), req.Force}, progress)
}

// Unenroll asks the daemon to leave the orchestrator.
func (a *Admin) Unenroll(ctx context.Context, req LeaveRequest, progress func(string)) (LeaveResult, error) {
	return ask[LeaveResult](ctx, a, "/v1/unenroll", adminLeave{req.Machine, req.APIKey.Reveal(), req.LocalOnly, req.ReplaceLostKey}, progress)
}

// ResetIdentity asks the daemon to forget everything.
func (a *Admin) ResetIdentity(ctx context.Context, req ResetRequest, progress func(string)) (LeaveResult, error) {
	return ask[LeaveResult](ctx, a, "/v1/reset-identity", req, progress)
}

// Adopt asks the daemon to take this host for the store's own.
func (a *Admin) Adopt(ctx context.Context, progress func(string)) (AdoptResult, error) {
	return ask[AdoptResult](ctx, a, "/v1/adopt", nothingAsked{}, progress)
}

// ask sends one verb to the daemon.
func ask[Out any](ctx context.Context, a *Admin, path string, in any, progress func(string)) (Out, error) {
	progress("asking the running agent (process " + strconv.Itoa(a.Hello.PID) + ")")
	var out Out
	err := a.call(ctx, http.MethodPost, path, in, &out)
	return out, err
}
