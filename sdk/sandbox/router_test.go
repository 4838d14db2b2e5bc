package sandbox_test

import (
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestPathsAreMatchedExactly: a path that is not in the contract gets the error envelope, never a
// redirect to a similar one, and a fixed segment takes precedence over a value.
func TestPathsAreMatchedExactly(t *testing.T) {
	inProcessAndOverSocket(t, func(t *testing.T, open func(testing.TB, ...sandbox.Option) *harness) {
		r := open(t)
		m := r.machine()
		for _, c := range []struct{ method, path, message string }{
			{"GET", "//health", "unknown route"},
			{"GET", "/health/", "unknown route"},
			{"GET", "/api/v1//machines", "unknown route"},
			{"GET", "/api/v1/machines/", "unknown route"},
			{"GET", "/api/v1/machines/../health", "unknown route"},
			{"GET", "/api/v1/machines//agents", "unknown route"},
			{"DELETE", "/api/v1/machines", "unknown route"},
			{"GET", "/api/v1/skills/submissions/manifest", "the submission does not exist"},
		} {
			req := r.request(c.method, "", nil)
			req.URL.Path = c.path
			a := r.do(req)
			a.fails("NOT_FOUND")
			if message := a.str("error.message"); message != c.message {
				t.Errorf("%s %s: %q, want %q", c.method, c.path, message, c.message)
			}
		}
		r.get("/machines/" + strings.Replace(m, "_", "%5F", 1)).ok(200)
		r.call("HEAD", "/machines/"+m, nil).ok(200)
	})
}
