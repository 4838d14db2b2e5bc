package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// code is the field of a log line that programs read.
func code(c status.Code) zap.Field { return zap.String("code", string(c)) }

// stepError is an error with the step that it stopped. The problem shown is the
// one of the error, the step is part of its detail.
type stepError struct {
	step string
	err  error
}

func (e *stepError) Error() string { return e.step + ": " + e.err.Error() }

func (e *stepError) Unwrap() error { return e.err }

// at returns a problem that an error led to: the error becomes part of its detail.
func at(p *status.Problem, err error) *status.Problem {
	why := Explain(err)
	p.Detail = sentence(p.Detail, why.Message, why.Detail)
	return p.Wrap(err)
}

// sentence joins what is not empty.
func sentence(parts ...string) string {
	joined := ""
	for _, part := range parts {
		switch {
		case part == "":
		case joined == "":
			joined = part
		default:
			joined += "; " + part
		}
	}
	return joined
}

// Explain turns any error into a problem: its code, what happened, what is known,
// what to do next and the exit code. A problem is returned as it is.
func Explain(err error) *status.Problem {
	var p *status.Problem
	if errors.As(err, &p) {
		return p
	}
	var step *stepError
	if errors.As(err, &step) {
		p = explainCause(step.err)
		p.Detail = sentence(step.step, p.Detail)
		return p.Wrap(err)
	}
	return explainCause(err).Wrap(err)
}

// explainCause is the problem behind an error, without the step it stopped.
func explainCause(err error) *status.Problem {
	var configuration *config.Error
	switch {
	case errors.As(err, &configuration):
		return status.NewProblem(status.CodeConfig, configuration.Error())
	case errors.Is(err, ErrRefused):
		return status.NewProblem(status.CodeChallengeRefused, err.Error())
	case errors.Is(err, context.Canceled):
		return status.NewProblem(status.CodeInterrupted, "")
	}
	if p := explainStore(err); p != nil {
		return p
	}
	if p := explainAPI(err); p != nil {
		return p
	}
	if errors.Is(err, fs.ErrPermission) {
		return status.NewProblem(status.CodeNotPermitted, err.Error())
	}
	p := status.NewProblem(status.CodeFailed, "")
	p.Message = err.Error()
	return p
}

// explainAPI is the problem behind an error of the SDK, nil for another.
func explainAPI(err error) *status.Problem {
	var api *sdk.APIError
	if errors.As(err, &api) && api.Envelope {
		return status.NewProblem(apiCode(api), fmt.Sprintf("HTTP %d %s", api.StatusCode, status.Sanitize(api.Code)))
	}
	var validation *sdk.ValidationError
	if errors.As(err, &validation) {
		return status.NewProblem(status.CodeValidation, fmt.Sprintf("%s must be a %s", validation.Field, validation.Constraint))
	}
	var redirect *sdk.RedirectError
	var network *sdk.NetworkError
	if !errors.As(err, &redirect) && !errors.As(err, &network) && api == nil {
		return nil
	}
	cause := judge(err, time.Now()).cause
	p := status.NewProblem(cause.Code, "")
	p.Message = cause.Text
	return p
}

// apiCode is the orchestrator's code, safe to show wherever codes are shown.
func apiCode(e *sdk.APIError) status.Code { return status.Code(status.Sanitize(e.Code)) }
