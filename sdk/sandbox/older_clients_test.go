package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// olderClient is the file of the recordings of the first public release.
const olderClient = "peaq-os-sdk 0.2.0"

// wireCase is the needed part of a recorded call: its requests and the responses of a scripted
// server.
type wireCase struct {
	Name      string
	SDK       string
	Exchanges []struct {
		Request struct {
			Method, Path string
			Query        map[string]string
			Headers      map[string]string
			Body         json.RawMessage
			NoBody       bool `json:"no_body"`
		}
		Response struct{ Status int }
	}
}

// wireCases reads every recording of the older client.
func wireCases(t *testing.T) (cases []wireCase) {
	t.Helper()
	dir := os.Getenv("PEAQOS_WIRE_CASES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "wire-cases")
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		dir = filepath.Join("..", "testdata", "wire")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings in %s (%v)", dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var all []wireCase
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		cases = append(cases, slices.DeleteFunc(all, func(c wireCase) bool { return c.SDK != olderClient })...)
	}
	return cases
}

// TestRecordedRequestsOfAnOlderClient replays them over a socket against a sandbox that has what
// they name. Ids and secrets of the recording are replaced; everything else is sent as recorded.
// All must succeed, except those that no server could accept.
func TestRecordedRequestsOfAnOlderClient(t *testing.T) {
	requests := 0
	for _, c := range wireCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			p := newPast(t)
			cursor := ""
			for _, x := range c.Exchanges {
				requests++
				var body object
				if !x.Request.NoBody && string(x.Request.Body) != "null" {
					if err := json.Unmarshal(x.Request.Body, &body); err != nil {
						t.Fatal(err)
					}
					p.translate(x.Request.Path, body)
				}
				a := p.send(x.Request.Method, x.Request.Path, x.Request.Query, x.Request.Headers, body, cursor)
				cursor, _ = a.body["nextCursor"].(string)
				switch code := refusal(x.Request.Method, x.Request.Path, body); {
				case code != "":
					a.fails(code)
				case x.Response.Status < 300 && a.status != x.Response.Status:
					t.Errorf("%s: %d %s, recorded is %d", a.call, a.status, a.text, x.Response.Status)
				case a.status >= 300:
					t.Errorf("%s: %d %s", a.call, a.status, a.text)
				}
			}
		})
	}
	if requests < 30 {
		t.Errorf("only %d requests were replayed", requests)
	}
	t.Logf("%d requests of %s were replayed", requests, olderClient)
}

// refusal returns the code for a request that the contract rejects from older clients as well; ""
// for all others.
func refusal(method, path string, body object) string {
	form := regexp.MustCompile(`^(did:peaq:|peaqos:machine:)(0|[1-9][0-9]*|0x[0-9a-fA-F]{40})$`)
	ref, _ := body["identityRef"].(string)
	switch create := method == "POST" && path == "/api/v1/machines"; {
	case strings.HasSuffix(path, "/machine-identity/challenges") && !form.MatchString(ref):
		return "VALIDATION_ERROR"
	case create && !form.MatchString(ref):
		return "VALIDATION_ERROR"
	case create && body["identityProof"] == nil:
		return "MACHINE_IDENTITY_PROOF_REQUIRED"
	}
	return ""
}

// past is a sandbox as it may have been when the recordings were made: machines, an agent and an
// endpoint, pairings, an order.
type past struct {
	*harness
	enrolledAgent enrolledAgent
	buyer         paired
	order         string
}

func newPast(t *testing.T) *past {
	r := newSocketHarness(t, sandbox.WithAPIKey("any key of a recording"))
	p := &past{harness: r, enrolledAgent: r.enroll(r.machine())}
	r.machine()
	r.machine() // enough for three pages
	r.beat(p.enrolledAgent.beat()).ok(200)
	p.buyer = r.pair(p.enrolledAgent.machine, nil)
	p.order = strings.TrimPrefix(r.places(p.buyer, paidService), "/market/orders/")
	return p
}

// translate replaces what a recording could not know.
func (p *past) translate(path string, body object) {
	own := map[string]any{
		"machineId": p.enrolledAgent.machine, "agentId": p.enrolledAgent.id, "agentToken": p.enrolledAgent.token,
		"agentPairingId": p.buyer.id, "agentAddress": addressOf(agentKey),
	}
	for name := range body {
		if v, ok := own[name]; ok {
			body[name] = v
		}
	}
	if body["identityProof"] != nil {
		body["identityProof"] = p.proof(body["identityRef"].(string), controllerKey)
	}
	if body["agentProof"] != nil {
		who := claim(agentKey)
		if body["agentProvider"] != nil {
			who = object{"agentAddress": addressOf(agentKey), "agentProvider": body["agentProvider"], "agentRole": body["agentRole"]}
		}
		body["agentProof"] = p.agentProof(p.enrolledAgent.machine, who, agentKey)
	}
}

// send makes the request with the recorded headers and no others.
func (p *past) send(method, path string, query, headers map[string]string, body object, cursor string) reply {
	p.t.Helper()
	for before, id := range map[string]string{
		"machines": p.enrolledAgent.machine, "agents": p.enrolledAgent.id, "agent-pairings": p.buyer.id, "orders": p.order,
	} {
		path = regexp.MustCompile(`/`+before+`/([a-z]+_[^/]+)`).ReplaceAllString(path, "/"+before+"/"+id)
	}
	values := url.Values{}
	for name, value := range query {
		if name != "cursor" {
			values.Set(name, value)
		} else if cursor != "" {
			values.Set(name, cursor)
		}
	}
	var sent any
	if body != nil {
		sent = body
	}
	req := p.request(method, strings.TrimPrefix(path, "/api/v1"), sent)
	req.URL.RawQuery = values.Encode()
	req.Header = map[string][]string{"User-Agent": {"peaqos-sdk-py/0.2.0"}}
	for name, value := range headers {
		switch name {
		case "x-api-key":
			value = testAPIKey
		case "x-agent-pairing-token":
			value = p.buyer.token
		}
		req.Header.Set(name, value)
	}
	return p.do(req)
}

// TestOlderClientsNeedTheKeyOnlyByOption: a pairing token alone is enough for pairing
// calls, unless an option also requires the API key (contract §1.3).
func TestOlderClientsNeedTheKeyOnlyByOption(t *testing.T) {
	for name, c := range map[string]struct {
		opts []sandbox.Option
		code string
	}{"without the setting": {nil, ""}, "with it": {[]sandbox.Option{sandbox.WithPairingKey()}, "AUTH_REQUIRED"}} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t, c.opts...)
			b := r.pair(r.machine(), nil)
			r.key = ""
			for _, call := range []string{"GET /market/services", "POST /market/search"} {
				method, path, _ := strings.Cut(call, " ")
				var body any
				if method == "POST" {
					body = object{"machineId": b.machine, "serviceType": "storage"}
				}
				if a := r.as(b, method, path, body); c.code != "" {
					a.fails(c.code)
				} else if a.status >= 300 {
					t.Errorf("%s: %s", call, fmt.Sprint(a.status, " ", a.text))
				}
			}
		})
	}
}
