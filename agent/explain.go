package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Explain turns any error into a Problem: its exit code, a stable code, what is
// wrong, what is known and what to do next. A Problem comes out as it went in.
func Explain(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	p = &Problem{Exit: ExitUsage, Code: "failed", What: err.Error(), Cause: err}
	var config *ConfigError
	switch {
	case errors.As(err, &config):
		p.Exit, p.Code, p.Next = ExitConfig, "config", "mend the configuration, then run peaqos-agent config check"
		return p
	case errors.Is(err, keystore.ErrInUse):
		p.Exit, p.Code, p.Next = ExitRunning, "store_in_use", storeInUseNext
		return p
	case errors.Is(err, ErrRefused):
		p.Exit, p.Code, p.Next = ExitNetwork, "challenge_refused", "check --identity-ref and --controller-key-file; nothing was signed"
		return p
	case errors.Is(err, context.Canceled):
		p.Code, p.What = "interrupted", "interrupted"
		return p
	}
	if !explainStore(err, p) && !explainAPI(err, p) && errors.Is(err, fs.ErrPermission) {
		p.Code, p.Next = "not_permitted", "run the command with sudo"
	}
	return p
}

func explainAPI(err error, p *Problem) bool {
	var api *sdk.APIError
	if errors.As(err, &api) && api.Envelope {
		p.Exit, p.Code, p.What = ExitNetwork, api.Code, describeAPI(api)
		p.Known = fmt.Sprintf("the orchestrator answered HTTP %d %s", api.StatusCode, Foreign(api.Code))
		if lead := firstLine(err, api, nil); lead != "" {
			p.Known = lead + "; " + p.Known
		}
		p.Next = remedy(api.Code)
		return true
	}
	var validation *sdk.ValidationError
	if errors.As(err, &validation) {
		p.Exit, p.Code, p.What = ExitUsage, "validation", fmt.Sprintf("%s must be a %s", validation.Field, validation.Constraint)
		return true
	}
	var redirect *sdk.RedirectError
	var network *sdk.NetworkError
	if !errors.As(err, &redirect) && !errors.As(err, &network) && api == nil {
		return false
	}
	v := judge(err, time.Now())
	p.Exit, p.Code, p.What = ExitNetwork, v.cause.Code, v.cause.Text
	p.Next = "check orchestrator.url and the network, then run the command again; nothing is lost"
	if lead := firstLine(err, api, network); lead != "" {
		p.Known = lead
	}
	return true
}

// firstLine keeps the sentence that wrapped the cause: which step failed.
func firstLine(err error, api *sdk.APIError, network *sdk.NetworkError) string {
	var inner string
	switch {
	case api != nil:
		inner = api.Error()
	case network != nil:
		inner = network.Error()
	default:
		return ""
	}
	full := err.Error()
	if n := len(full) - len(inner) - len(": "); n > 0 && full[n+2:] == inner {
		return full[:n]
	}
	return ""
}

func describeAPI(e *sdk.APIError) string {
	switch e.Code {
	case sdk.CodeAuthInvalid, sdk.CodeAuthRequired:
		return "the orchestrator does not accept the API key"
	case sdk.CodeMachineIdentityProofInvalid:
		return "the orchestrator does not accept the controller's signature"
	case sdk.CodeMachineIdentityProofExpired:
		return "the challenge expired before its signature arrived"
	case sdk.CodeNotFound:
		return "the orchestrator does not know this machine"
	}
	return explain(e)
}

func remedy(code string) string {
	switch code {
	case sdk.CodeAuthInvalid, sdk.CodeAuthRequired:
		return "check the key in --api-key-file, and that it belongs to this orchestrator"
	case sdk.CodeMachineIdentityProofInvalid:
		return "check that --controller-key-file holds the key of a controller of this identity"
	case sdk.CodeMachineIdentityProofExpired:
		return "run the command again; if it happens again, check the device's clock and the link's speed"
	case sdk.CodeNotFound:
		return "check --machine-id, or give --identity-ref to look the machine up"
	case sdk.CodeMachineNotActive, sdk.CodeMachineNotActivated:
		return "ask the machine's owner to activate it on the orchestrator"
	}
	return "look the code up in the orchestrator's reference, then run the command again"
}
