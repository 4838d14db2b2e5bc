package sandbox_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

const testAPIKey = "test-key"

// controllerKey controls every decimal identity of a harness; otherKey controls none.
var (
	controllerKey = throwAwayKey(0x4b)
	otherKey      = throwAwayKey(0x22)
)

func throwAwayKey(b byte) *ecdsa.PrivateKey {
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		panic(err)
	}
	return key
}

func addressOf(key *ecdsa.PrivateKey) string { return crypto.PubkeyToAddress(key.PublicKey).Hex() }

// signText signs like a wallet (EIP-191); implemented here again on purpose.
func signText(key *ecdsa.PrivateKey, text string) string {
	digest := crypto.Keccak256(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d%s", len(text), text))
	sig, err := crypto.Sign(digest, key)
	if err != nil {
		panic(err)
	}
	sig[64] += 27
	return "0x" + hex.EncodeToString(sig)
}

// harness is a sandbox with an HTTP client on its in-process transport.
type harness struct {
	t         testing.TB
	s         *sandbox.Server
	client    *http.Client
	url       string
	key       string // sent with every call; "" sends none
	made      int
	adminSide http.Handler // the admin interface, once it was used
	host      string       // Host header of calls to the admin interface; "" is that of a listener
}

// newHarness starts a sandbox with an API key and a controller; opts are added.
func newHarness(t testing.TB, opts ...sandbox.Option) *harness {
	t.Helper()
	s, err := sandbox.Open(append(
		[]sandbox.Option{sandbox.WithAPIKey(testAPIKey), sandbox.WithController("", addressOf(controllerKey))}, opts...,
	)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &harness{
		t: t, s: s, client: &http.Client{Transport: s.Transport(), CheckRedirect: noRedirect}, url: "http://sandbox",
		key: testAPIKey,
	}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// reply is a response that was read completely.
type reply struct {
	t      testing.TB
	call   string
	status int
	header http.Header
	text   string
	body   map[string]any // nil when the text is not a JSON object
}

// request builds a request below the API's prefix. A string body is sent as it is.
func (r *harness) request(method, path string, body any, header ...string) *http.Request {
	r.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			r.t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+"/api/v1"+path, in)
	if err != nil {
		r.t.Fatal(err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("X-Api-Key", r.key)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

func (r *harness) do(req *http.Request) reply {
	r.t.Helper()
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	a := reply{t: r.t, call: req.Method + " " + req.URL.RequestURI(), status: res.StatusCode, header: res.Header, text: string(text)}
	_ = json.Unmarshal(text, &a.body)
	return a
}

func (r *harness) call(method, path string, body any, header ...string) reply {
	r.t.Helper()
	return r.do(r.request(method, path, body, header...))
}

func (r *harness) get(path string) reply { r.t.Helper(); return r.call("GET", path, nil) }

func (r *harness) post(path string, body any) reply { r.t.Helper(); return r.call("POST", path, body) }

// ok requires a status and returns the reply.
func (a reply) ok(status int) reply {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: %d %s, want %d", a.call, a.status, a.text, status)
	}
	return a
}

// code returns the code of the error envelope, or "".
func (a reply) code() string {
	e, _ := a.body["error"].(map[string]any)
	code, _ := e["code"].(string)
	if message, _ := e["message"].(string); code != "" && message == "" {
		a.t.Errorf("%s: the error has no message: %s", a.call, a.text)
	}
	return code
}

// fails requires an error envelope with the code and its status.
func (a reply) fails(code string) {
	a.t.Helper()
	if a.code() != code || a.status != sandbox.StatusOf(code) {
		a.t.Errorf("%s: %d %.300s, want %d %s", a.call, a.status, a.text, sandbox.StatusOf(code), code)
	}
}

// at returns the member at a dotted path, or nil.
func (a reply) at(path string) any {
	var v any = a.body
	for name := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

func (a reply) str(path string) string {
	a.t.Helper()
	s, ok := a.at(path).(string)
	if !ok {
		a.t.Fatalf("%s: %s is not a string in %s", a.call, path, a.text)
	}
	return s
}

func (a reply) items() []any {
	a.t.Helper()
	items, ok := a.body["items"].([]any)
	if !ok {
		a.t.Fatalf("%s: no list: %s", a.call, a.text)
	}
	return items
}

// object is a JSON object.
type object = map[string]any

func with(o object, pairs ...any) object {
	out := object{}
	for k, v := range o {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == nil {
			delete(out, pairs[i].(string))
		} else {
			out[pairs[i].(string)] = pairs[i+1]
		}
	}
	return out
}

// proof returns a signed identity challenge.
func (r *harness) proof(ref string, key *ecdsa.PrivateKey) object {
	r.t.Helper()
	ch := r.post("/machine-identity/challenges", object{"identityRef": ref}).ok(201)
	return object{"challengeId": ch.str("item.challengeId"), "signature": signText(key, ch.str("item.message"))}
}

// draft returns the body that registers a machine.
func (r *harness) draft(ref string) object {
	r.t.Helper()
	return object{
		"displayName": "Rover", "ownerId": "acct_1", "machineType": "rover", "runtimeProfile": "linux-native",
		"identityRef": ref, "identityProof": r.proof(ref, controllerKey),
	}
}

// register creates a draft with an identity of its own; machine creates an active one.
func (r *harness) register() string {
	r.t.Helper()
	r.made++
	return r.post("/machines", r.draft(fmt.Sprintf("did:peaq:%d", 1000+r.made))).ok(201).str("item.id")
}

func (r *harness) machine() string {
	r.t.Helper()
	id := r.register()
	r.call("PATCH", "/machines/"+id, object{"status": "active"}).ok(200)
	return id
}

// enrolledAgent is an agent with its token.
type enrolledAgent struct{ machine, id, token string }

func (r *harness) enroll(machine string, keys ...string) enrolledAgent {
	r.t.Helper()
	body := object{}
	if len(keys) > 0 {
		body["allowedProviderKeys"] = keys
	}
	a := r.post("/machines/"+machine+"/agents/enrollment", body).ok(201)
	return enrolledAgent{machine, a.str("item.id"), a.str("item.agentToken")}
}

func entry(provider, base string) object {
	return object{"providerKey": provider, "endpointBaseUrl": base}
}

// beat returns the body of a heartbeat.
func (c enrolledAgent) beat(entries ...object) object {
	if len(entries) == 0 {
		entries = []object{entry("qvac", "http://127.0.0.1:11434")}
	}
	return object{"machineId": c.machine, "agentId": c.id, "agentToken": c.token, "endpoints": entries}
}

func (r *harness) beat(body object) reply {
	r.t.Helper()
	return r.post("/machine-agents/heartbeat", body)
}

// newSocketHarness is newHarness behind a real listener, with one connection per call.
func newSocketHarness(t testing.TB, opts ...sandbox.Option) *harness {
	t.Helper()
	r := newHarness(t, opts...)
	web := httptest.NewUnstartedServer(nil)
	web.Config = r.s.HTTPServer()
	web.Start()
	t.Cleanup(web.Close)
	r.url = web.URL
	r.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: noRedirect}
	return r
}

// inProcessAndOverSocket runs a test in this process and over a socket: a client must see the same.
func inProcessAndOverSocket(t *testing.T, test func(t *testing.T, open func(testing.TB, ...sandbox.Option) *harness)) {
	t.Run("in process", func(t *testing.T) { test(t, newHarness) })
	t.Run("over a socket", func(t *testing.T) { test(t, newSocketHarness) })
}
