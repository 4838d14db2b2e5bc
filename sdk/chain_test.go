package sdk_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// word returns a small number as an ABI word.
func word(n uint64) string { return fmt.Sprintf("%064x", n) }

// addressText returns an address as an ABI word.
func addressText(address string) string {
	return strings.Repeat("0", 24) + strings.ToLower(strings.TrimPrefix(address, "0x"))
}

// node is an RPC endpoint with results by "method", or by "to data" for a call. For any
// other call it returns 0x, like a node at an address without a contract.
type node struct {
	t         *testing.T
	responses map[string]string // a result, or a whole error object
	asked     []string
}

func (n *node) RoundTrip(r *http.Request) (*http.Response, error) {
	var q struct {
		JSONRPC string            `json:"jsonrpc"`
		Method  string            `json:"method"`
		Params  []json.RawMessage `json:"params"`
		ID      *int              `json:"id"`
	}
	text, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(text, &q); err != nil || q.JSONRPC != "2.0" || q.ID == nil || q.Params == nil ||
		r.Header.Get("Content-Type") != "application/json" {
		n.t.Errorf("asked %s: %v", text, err)
	}
	key := q.Method
	if q.Method == "eth_call" {
		var call map[string]string
		json.Unmarshal(q.Params[0], &call)
		if len(call) != 2 || string(q.Params[1]) != `"latest"` {
			n.t.Errorf("asked %s", text)
		}
		key = call["to"] + " " + call["data"]
	} else if len(q.Params) > 0 {
		key += " " + strings.Trim(string(q.Params[0]), `"`)
	}
	n.asked = append(n.asked, key)
	response, ok := n.responses[key]
	body := `{"jsonrpc":"2.0","id":1,"result":"` + response + `"}`
	switch {
	case !ok:
		body = `{"jsonrpc":"2.0","id":1,"result":"0x"}`
	case strings.HasPrefix(response, "{"):
		body = `{"jsonrpc":"2.0","id":1,"error":` + response + `}`
	}
	return &http.Response{
		StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)), Request: r,
	}, nil
}

func chainOf(t *testing.T, transport http.RoundTripper) *sdk.Chain {
	t.Helper()
	c, err := sdk.NewChain(
		"https://user:secret-key@rpc.example/v1/secret-key?token=secret-key", mainnet(t),
		sdk.WithHTTPClient(&http.Client{Transport: transport}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Calldata of the examples in §3.6 of the mcr contract.
const (
	registry     = "0x64b93Cc29b251fAFa83BD110cDB1C24207f85536"
	subscription = "0x9e37AD189c334C92e6B8a812Ca4c02f35Ac43895"
	state        = "0xcD1917FB2a56459AcA34FDD118e08776dE0890f2"
	mirror       = "0x71DCB313977d6884212395505f081a2991Bfe8E5"
	infoDesk     = "0x6C7426ada37212D94477Ac4CFcA43A38177D6A82"
	id42         = "000000000000000000000000000000000000000000000000000000000000002a"
	askOwner     = registry + " 0x6352211e" + id42
	absent       = `{"code":3,"message":"execution reverted","data":"0x7e273289` + id42 + `"}`
)

// bonded42 returns the results of those examples: the test key owns machine 42, which is
// bonded and active.
func bonded42() map[string]string {
	return map[string]string{
		askOwner:                                "0x00000000000000000000000019e7e376e7c213b7e7e7e46cc70a5dd086daff2a",
		registry + " 0x5dd8f6aa" + id42:         "0x" + strings.Repeat("0", 64),
		subscription + " 0x492f8724" + id42:     "0x" + word(1),
		subscription + " 0x2d5bbf60" + id42:     "0x" + word(1) + word(1790000000) + word(1792592000) + word(1e18) + word(7),
		state + " 0x2ba484c5" + id42:            "0x" + word(1),
		state + " 0x04fe5340" + id42:            "0x" + word(0),
		state + " 0x7e017030" + id42:            "0x" + word(0),
		state + " 0x230992eb" + id42:            "0x" + word(1),
		state + " 0xda205249" + id42:            "0x" + word(0),
		mirror + " 0x5bc23b9d" + id42:           "0x" + word(5),
		infoDesk + " 0x5b056da5":                "0x" + word(1),
		"eth_chainId":                           "0xd0a",
		"eth_getCode " + infoDesk:               "0x60",
		"eth_getCode " + registry:               "0x60",
		"eth_getCode " + subscription:           "0x60",
		"eth_getCode " + state:                  "0x60",
		"eth_getCode " + mirror:                 "0x60",
		infoDesk + " 0xa6d77118" + peerRegistry: "0x" + addressText(registry),
		infoDesk + " 0xa6d77118" + peerSub:      "0x" + addressText(subscription),
		infoDesk + " 0xa6d77118" + peerState:    "0x" + addressText(state),
		infoDesk + " 0xa6d77118" + peerMirror:   "0x" + addressText(mirror),
	}
}

// Peer keys of §3.3.
const (
	peerRegistry = "af5b42773c8b150a59d4bb67458cb17f9672307c5295de4278fd5649054926a4"
	peerSub      = "32e459f82469a36e51987804a9d51db869e28dcc5ab0ec708b4fb9ad54ba2c1d"
	peerState    = "817dd2c6eb213c578d0c420b1dc61394099cbd5f2dfd7543e4ec2c38972b426a"
	peerMirror   = "64bdb9ff260409297fec4bc6ce7fcc534d273570c8e892c8042f5ff350904284"
)

func TestChainMachine(t *testing.T) {
	n := &node{t: t, responses: bonded42()}
	m, err := chainOf(t, n).Machine(t.Context(), "42")
	if err != nil {
		t.Fatal(err)
	}
	if m.Registration != sdk.Registered || m.Owner != vectorAddress || !m.HeldBy(strings.ToLower(vectorAddress)) ||
		m.HeldBy("0x"+strings.Repeat("2", 40)) {
		t.Errorf("got %+v", m)
	}
	if !m.Bonded() || m.Bond.String() != "1000000000000000000" || m.Points.String() != "7" || m.Tier != 1 ||
		m.Status != sdk.SubscriptionActive {
		t.Errorf("got %+v", m)
	}
	if m.PeriodStart.Unix() != 1790000000 || m.PeriodEnd.Unix() != 1792592000 || !m.Available || m.Relocating ||
		fmt.Sprint(m.Paused) != "[operator]" {
		t.Errorf("got %+v", m)
	}
	if n.asked[0] != askOwner {
		t.Errorf("the first call was %s", n.asked[0])
	}
}

// TestChainMachineAbsent: only the contract's own revert means absent, and a machine on
// another chain is not absent.
func TestChainMachineAbsent(t *testing.T) {
	for name, c := range map[string]struct {
		owner, home string
		want        sdk.Registration // empty for an error
	}{
		"nowhere":                 {absent, "0x" + word(0), sdk.NotRegistered},
		"this chain was its home": {absent, "0x" + word(1), sdk.NotRegistered},
		"another chain":           {absent, "0x" + word(5), sdk.RegisteredElsewhere},
		"a revert inside an error": {`{"code":-32603,"message":"m","data":{"code":3,` +
			`"data":"Reverted 0x7e273289` + id42 + `"}}`, "0x" + word(0), sdk.NotRegistered},
		"another revert":    {`{"code":3,"message":"m","data":"0x08c379a0` + id42 + `"}`, "0x" + word(0), ""},
		"the name in words": {`{"code":3,"message":"ERC721NonexistentToken"}`, "0x" + word(0), ""},
		"no contract":       {"0x", "0x" + word(0), ""},
		"half a word":       {"0x1234", "0x" + word(0), ""},
		"no address":        {"0x01" + word(0)[2:], "0x" + word(0), ""},
		"an absurd home":    {absent, "0x" + word(1<<16), ""},
		"no mirror":         {absent, "0x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			responses := bonded42()
			responses[askOwner], responses[mirror+" 0x5bc23b9d"+id42] = c.owner, c.home
			m, err := chainOf(t, &node{t: t, responses: responses}).Machine(t.Context(), "42")
			switch {
			case c.want == "" && (err == nil || m != nil):
				t.Errorf("got %+v, %v", m, err)
			case c.want != "" && (err != nil || m.Registration != c.want || m.Owner != "" || m.Bonded()):
				t.Errorf("got %+v, %v", m, err)
			case c.want == sdk.RegisteredElsewhere && m.HomeChain != 5:
				t.Errorf("the home is %d", m.HomeChain)
			}
		})
	}
}

func TestChainSubscriptionThatNeverStarted(t *testing.T) {
	responses := bonded42()
	responses[subscription+" 0x492f8724"+id42] = `{"code":3,"message":"m","data":"0x037c597f"}`
	responses[subscription+" 0x2d5bbf60"+id42] = "0x" + strings.Repeat(word(0), 5)
	m, err := chainOf(t, &node{t: t, responses: responses}).Machine(t.Context(), "42")
	if err != nil || m.Registration != sdk.Registered || m.Status != sdk.SubscriptionNotActivated || m.Bonded() || !m.PeriodEnd.IsZero() {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestChainCheckDeployment(t *testing.T) {
	for name, c := range map[string]struct {
		ask, response string
		want          string // codes
	}{
		"as recorded":      {"", "", ""},
		"another chain":    {"eth_chainId", "0x2706", sdk.ChainMismatch},
		"no contract":      {"eth_getCode " + mirror, "0x", sdk.ContractNotDeployed},
		"a peer not set":   {infoDesk + " 0xa6d77118" + peerState, "0x" + word(0), sdk.PeerUnset},
		"a peer elsewhere": {infoDesk + " 0xa6d77118" + peerSub, "0x" + addressText(vectorAddress), sdk.PeerMismatch},
		"a chain of text":  {"eth_chainId", "peaq", "error"},
		"code of text":     {"eth_getCode " + registry, "none", "error"},
		"no peer result":   {infoDesk + " 0xa6d77118" + peerRegistry, "0x", "error"},
	} {
		t.Run(name, func(t *testing.T) {
			responses := bonded42()
			if c.ask != "" {
				responses[c.ask] = c.response
			}
			faults, err := chainOf(t, &node{t: t, responses: responses}).CheckDeployment(t.Context())
			codes := ""
			for _, fault := range faults {
				codes += fault.Code
			}
			if err != nil {
				codes = "error"
			}
			if codes != c.want {
				t.Errorf("got %v, %v, want %s", faults, err, c.want)
			}
		})
	}
}

func TestChainRetries(t *testing.T) {
	good := canned{status: 200, body: `{"jsonrpc":"2.0","id":1,"result":"0xd0a"}`}
	failing := func(code, rest string) canned {
		return canned{status: 200, body: `{"jsonrpc":"2.0","id":1,"error":{"code":` + code + `,"message":"m"` + rest + `}}`}
	}
	for name, c := range map[string]struct {
		response canned
		asked    int
		waits    time.Duration // at least
	}{
		"429":                         {canned{status: 429}, 5, 7500 * time.Millisecond},
		"429 that asks too much":      {canned{status: 429, header: [2]string{"Retry-After", "31"}}, 1, 0},
		"429 that says when":          {canned{status: 429, header: [2]string{"Retry-After", "30"}}, 5, 120 * time.Second},
		"the code of a limit":         {failing("-32029", ""), 5, 7500 * time.Millisecond},
		"502":                         {canned{status: 502, body: "<html>"}, 2, time.Second},
		"500":                         {canned{status: 500, body: "<html>"}, 1, 0},
		"an internal error":           {failing("-32603", ""), 2, time.Second},
		"an internal error of a call": {failing("-32000", `,"data":"0x7e273289`+id42+`"`), 1, 0},
		"an unknown method":           {failing("-32601", ""), 1, 0},
		"a connection that failed":    {canned{err: errors.New("reset")}, 2, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turn := &sequence{responses: []canned{c.response}}
				_, err := chainOf(t, turn).ID(t.Context())
				took := turn.at[len(turn.at)-1].Sub(turn.at[0])
				if err == nil || len(turn.seen) != c.asked || took < c.waits || took > c.waits*3/2 {
					t.Errorf("%v after %d requests in %v, want %d in %v", err, len(turn.seen), took, c.asked, c.waits)
				}
				turn = &sequence{responses: []canned{c.response, good}}
				if number, err := chainOf(t, turn).ID(t.Context()); (err == nil) != (c.asked > 1) || (err == nil && number != 3338) {
					t.Errorf("then %d, %v", number, err)
				}
			})
		})
	}
}

// TestChainShowsNoKey: any part of an RPC URL may be a key.
func TestChainShowsNoKey(t *testing.T) {
	c := chainOf(t, &sequence{responses: []canned{{status: 500, body: "no"}}})
	_, err := c.ID(t.Context())
	_, refused := sdk.NewChain("ftp://secret-key", mainnet(t))
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", c, c, c, c), fmt.Sprintf("%v %+v", err, err), fmt.Sprint(refused)} {
		if strings.Contains(text, "secret-key") {
			t.Errorf("printed %s", text)
		}
	}
	turn := &sequence{responses: []canned{{status: 200, body: `{"jsonrpc":"2.0","id":1,"result":"0xd0a"}`}}}
	if _, err := chainOf(t, turn).ID(t.Context()); err != nil {
		t.Fatal(err)
	}
	if user, password, _ := turn.seen[0].BasicAuth(); user != "user" || password != "secret-key" {
		t.Error("the endpoint's user was not sent")
	}
}

// TestChainLegacy reads the contracts of release 0.2.0.
func TestChainLegacy(t *testing.T) {
	l := sdk.LegacyContracts{IdentityRegistry: registry, IdentityStaking: state}
	const ownerCall = registry + " 0x367fbe4400000000000000000000000019e7e376e7c213b7e7e7e46cc70a5dd086daff2a" // §3.6
	n := &node{t: t, responses: map[string]string{
		ownerCall:                       "0x" + word(42),
		registry + " 0x9cc3fe74" + id42: "0x" + addressText(vectorAddress) + addressText(mirror) + word(1) + word(2),
		state + " 0xbaa51f86" + id42:    "0x" + word(1),
		state + " 0xce325bf8" + id42:    "0x" + word(1e18),
	}}
	chain := chainOf(t, n)
	if number, err := chain.LegacyMachineOf(t.Context(), l, vectorAddress); err != nil || number != "42" {
		t.Errorf("got %q, %v", number, err)
	}
	m, err := chain.LegacyMachine(t.Context(), l, "42")
	if err != nil || !m.Exists || m.Owner != vectorAddress || m.Wallet != mirror || m.Status != 2 || !m.Staked ||
		m.Stake.String() != "1000000000000000000" {
		t.Errorf("got %+v, %v", m, err)
	}
	for _, response := range []string{"0x" + word(0), `{"code":3,"message":"m","data":"0x70436860"}`} {
		n.responses[ownerCall], n.responses[registry+" 0x9cc3fe74"+id42] = response, `{"code":3,"message":"m","data":"0x70436860"}`
		if number, err := chain.LegacyMachineOf(t.Context(), l, vectorAddress); err != nil || number != "" {
			t.Errorf("%s gave %q, %v", response, number, err)
		}
		if m, err := chain.LegacyMachine(t.Context(), l, "42"); err != nil || m.Exists {
			t.Errorf("%s gave %+v, %v", response, m, err)
		}
	}
	n.responses[ownerCall], n.responses[registry+" 0x9cc3fe74"+id42] = "0x", "0x"
	if number, err := chain.LegacyMachineOf(t.Context(), l, vectorAddress); err == nil {
		t.Errorf("no contract gave %q", number)
	}
	if m, err := chain.LegacyMachine(t.Context(), l, "42"); err == nil || m != nil {
		t.Errorf("no contract gave %+v", m)
	}
}

func TestChainDeployed(t *testing.T) {
	chain := chainOf(t, &node{t: t, responses: map[string]string{"eth_getCode " + registry: "0x60"}})
	for address, want := range map[string]bool{registry: true, mirror: false} {
		if got, err := chain.Deployed(t.Context(), address); err != nil || got != want {
			t.Errorf("%s: %t, %v", address, got, err)
		}
	}
}
