package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// runOnMachine sends a job to the runtime endpoint that the machine has published, as an
// OpenAI-compatible request, and takes the response as the result. A failed call is a failed
// outcome.
func (s *Server) runOnMachine(c *call, j job) (result, error) {
	e := s.serving(c, j.machineID, j.service.Runtime)
	if e == nil {
		return result{}, fail("EXECUTION_UNSUPPORTED", "the machine has no "+j.service.Runtime+" endpoint that is reachable now")
	}
	r, err := runtimeRequest(c, *e, j)
	if err != nil {
		return result{}, err
	}
	var out result
	c.unlocked(func() { out = s.callRuntime(r) })
	c.now = s.Now()
	return out, nil
}

// runtimeRequest builds the request of an operation: the method and path of its contract, with the
// input as the body. The endpoint's model alias replaces a missing model. The run continues if the
// buyer disconnects.
func runtimeRequest(c *call, e storedEndpoint, j job) (*http.Request, error) {
	k := j.service.contract(j.operation)
	var how struct {
		Method string `json:"method"`
		Path   string `json:"path"`
	}
	if k == nil || json.Unmarshal(k.ProviderRequest, &how) != nil || !strings.HasPrefix(how.Path, "/") {
		return nil, fail("EXECUTION_UNSUPPORTED", "this sandbox cannot run the operation "+j.operation)
	}
	var body []byte
	if how.Method == http.MethodPost {
		var input map[string]json.RawMessage
		if json.Unmarshal(j.input, &input) != nil || input == nil {
			input = map[string]json.RawMessage{}
		}
		if _, ok := input["model"]; !ok && e.ModelAlias != "" {
			input["model"], _ = marshal(e.ModelAlias)
		}
		delete(input, "stream") // the result is a single response
		var err error
		if body, err = marshal(input); err != nil {
			return nil, err
		}
	}
	r, err := http.NewRequestWithContext(
		context.WithoutCancel(c.r.Context()), how.Method, strings.TrimSuffix(e.EndpointBaseURL, "/")+how.Path,
		bytes.NewReader(body),
	)
	if err != nil {
		return nil, fail("EXECUTION_UNSUPPORTED", "the machine's endpoint cannot be called")
	}
	r.Header.Set("User-Agent", "peaqos-sandbox")
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	e.authorize(r)
	return r, nil
}

// authorize adds the endpoint's own token to a request.
func (e *storedEndpoint) authorize(r *http.Request) {
	switch e.AuthType {
	case "bearer":
		r.Header.Set("Authorization", "Bearer "+e.AuthToken)
	case "api-key": // the header is not published; this is the usual one
		r.Header.Set("X-Api-Key", e.AuthToken)
	}
}

// callRuntime sends the request. Error messages do not contain the address: it is internal to the
// machine, and a buyer reads them.
func (s *Server) callRuntime(r *http.Request) result {
	status, body, err := s.fetch(r)
	switch {
	case err != nil:
		return failure("RUNTIME_UNREACHABLE", "the machine's runtime did not respond: "+plainCause(err))
	case status < 200 || status > 299:
		refused := failure("RUNTIME_REFUSED", fmt.Sprintf("the machine's runtime returned HTTP %d", status))
		if len(body) <= maxText && json.Valid(body) {
			refused.value = body // more informative than the status
		}
		return refused
	case !json.Valid(body):
		return failure("RUNTIME_GARBAGE", "the machine's runtime returned something other than JSON")
	}
	return result{value: body}
}
