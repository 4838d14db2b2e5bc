package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// Until waits for a condition, which it checks every 5 ms, for at most limit. The
// error names what was waited for.
func Until(ctx context.Context, limit time.Duration, what string, f func() bool) error {
	return UntilEvery(ctx, 5*time.Millisecond, limit, what, f)
}

// UntilEvery is [Until] for a condition that is expensive to check.
func UntilEvery(ctx context.Context, every, limit time.Duration, what string, f func() bool) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-deadline.C:
			return fmt.Errorf("not within %s: %s", limit, what)
		case <-tick.C:
		}
	}
	return nil
}

// UntilAdmin waits for the admin socket through which commands reach the daemon of
// a state directory.
func UntilAdmin(ctx context.Context, state string) error {
	path := filepath.Join(state, "admin.sock")
	return Until(ctx, 20*time.Second, "the daemon's admin socket", func() bool {
		c, err := net.Dial("unix", path)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// Fetch returns status and body of a GET, within 5 s.
func Fetch(ctx context.Context, client *http.Client, url string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), errors.Join(err, res.Body.Close())
}
