package agent

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// idle is the turn with nothing to publish: no beat, but once an hour (and at
// every turn while it fails) a look whether the orchestrator is there.
func (b *beater) idle(ctx context.Context, every time.Duration) beatOutcome {
	out := beatOutcome{reason: b.whyIdle()}
	if b.fails.auth >= refusalsBeforeVerdict || b.fails.revoked >= refusalsBeforeVerdict {
		return out // what the server said of our token still stands
	}
	if b.fails.inRow > 0 || b.healthAt.IsZero() || time.Since(b.healthAt) >= idleCheck {
		ctx, cancel := context.WithTimeout(ctx, beatDeadline(every))
		defer cancel()
		v := reached(b.health(ctx), time.Now())
		if ctx.Err() != nil && context.Cause(ctx) != context.DeadlineExceeded {
			return out
		}
		b.healthAt, b.fails = time.Now(), b.fails.count(v)
		b.state.Update(b.name, func(m *status.Machine) { m.Failures, m.RetryAfter = b.fails.inRow, v.retryAfter })
		if v.kind != accepted {
			b.settle(status.Offline, v.cause)
			return out
		}
	}
	b.settle(status.Idle, status.NewCause(status.CodeNothingUp, out.reason))
	return out
}

// reached judges the answer to a question about health: it says nothing of our
// token, so whatever the API itself answers, in its own error form, shows that the
// orchestrator is there.
func reached(err error, now time.Time) verdict {
	v := judge(err, now)
	switch v.kind {
	case refusedToken, refusedAgent, refusedEndpoints, refusedOther:
		return verdict{kind: accepted, result: "success"}
	}
	return v
}

// health asks the orchestrator whether it is there. The reference puts the path at
// the root of the host, its clients below the API's prefix (contract §1.1): so a
// 404 there is followed by a look at the root.
func (b *beater) health(ctx context.Context) error {
	err := b.api.health(ctx)
	var api *sdk.APIError
	if errors.As(err, &api) && api.StatusCode == http.StatusNotFound && b.healthAtRoot(ctx) {
		return nil
	}
	return err
}

// healthAtRoot reports whether GET /health of the host answers 2xx in JSON.
func (b *beater) healthAtRoot(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.origin+"/health", nil)
	if err != nil {
		return false
	}
	res, err := b.transport.RoundTrip(req) // follows no redirect
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, probeBody)) // so that the connection can be used again
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return res.StatusCode >= 200 && res.StatusCode <= 299 && kind == "application/json"
}
