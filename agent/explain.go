package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// code is the field of a log line that programs read.
func code(c status.Code) zap.Field { return zap.String("code", string(c)) }

// logEvent logs the sentence that a code stands for; write is a method of a logger.
func logEvent(write func(string, ...zap.Field), c status.Code, fields ...zap.Field) {
	write(status.Lookup(c).What, append([]zap.Field{code(c)}, fields...)...)
}

// stepError is an error with the step that failed. [Explain] reports the code of the
// error, and the step as part of the detail.
type stepError struct {
	step string
	err  error
}

func (e *stepError) Error() string { return e.step + ": " + e.err.Error() }

func (e *stepError) Unwrap() error { return e.err }

// at returns the problem that an error caused, with the error in its detail.
func at(p *status.Problem, err error) *status.Problem {
	why := Explain(err)
	p.Detail = sentence(p.Detail, why.Message, why.Detail)
	return p.Wrap(err)
}

// sentence joins the parts that are not empty.
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

// Explain returns the problem behind any error: its code, what happened, what is
// known, what to do next, and the exit code. A *status.Problem in the chain of err is
// returned unchanged. An error that nothing is known about has the code
// status.CodeFailed.
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

// explainCause returns the problem behind an error, without the step that failed.
func explainCause(err error) *status.Problem {
	var configuration *config.Error
	switch {
	case errors.As(err, &configuration):
		return status.NewProblem(status.CodeConfig, configuration.Error())
	case errors.Is(err, errExpired):
		return status.NewProblem(status.CodeChallengeRefused, err.Error()).
			Advise("this machine's clock says " + time.Now().UTC().Format(time.RFC3339) +
				"; if the other time is wrong, a gateway or the orchestrator has a wrong clock, otherwise try again with a new challenge")
	case errors.Is(err, errRefused):
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
		return status.NewProblem(status.CodeNotPermitted, err.Error()+whoseFile(err))
	}
	p := status.NewProblem(status.CodeFailed, "")
	p.Message = err.Error() // nothing better is known than the error itself
	return p
}

// whoseFile says whose the file of a refused operation is, or the directory that exists
// above it: in a container the user is often another one than the volume's.
func whoseFile(err error) string {
	var at *fs.PathError
	if !errors.As(err, &at) || !filepath.IsAbs(at.Path) {
		return ""
	}
	var st unix.Stat_t
	path := at.Path
	for unix.Stat(path, &st) != nil {
		if path == "/" {
			return ""
		}
		path = filepath.Dir(path)
	}
	if int(st.Uid) == os.Geteuid() {
		return ""
	}
	return fmt.Sprintf("; %s belongs to user %d, and this process runs as user %d", path, st.Uid, os.Geteuid())
}

// explainAPI returns the problem behind an error of the SDK, nil for any other error.
func explainAPI(err error) *status.Problem {
	var api *sdk.APIError
	if errors.As(err, &api) && api.Envelope {
		return status.NewProblem(apiCode(api), fmt.Sprintf("HTTP %d %s", api.StatusCode, apiCode(api)))
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
	return judge(err, time.Now()).cause.Problem()
}
