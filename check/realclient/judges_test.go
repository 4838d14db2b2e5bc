//go:build realclient

package realclient

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/eip191"
	"github.com/peaqnetwork/peaqos-agent/sdk/x402"
)

const (
	judgedKey     = "0x1111111111111111111111111111111111111111111111111111111111111111"
	judgedAddress = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
)

// judge passes cases to one part of judges.py and reads what it found.
func judge[T any](t *testing.T, part string, cases any) []T {
	t.Helper()
	text, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), python(t), "judges.py", part)
	cmd.Env, cmd.Stdin, cmd.Stderr = pythonEnv(), bytes.NewReader(text), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the judge stopped: %v\n%s", err, stderr.String())
	}
	var found []T
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return found
}

// x402Case is one challenge. Ours says what our signer does with it, theirs what the published
// client does; where they differ, why says so.
type x402Case struct {
	Name      string `json:"name"`
	Challenge string `json:"challenge"`
	Header    string `json:"header"`
	ours      bool
	theirs    string
	why       string
}

func x402Cases() []x402Case {
	const good = `{"x402Version":2,"error":"pay","resource":{"url":"https://x","description":"d"},"accepts":[{"scheme":"exact",` +
		`"network":"eip155:8453","asset":"0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913","payTo":"0x8617E340B3D01FA5F11F306F4090FD50E238070D",` +
		`"amount":"10000","maxTimeoutSeconds":300,"extra":{"name":"USD Coin","version":"2"}}],"extensions":{"x":{"y":1}}}`
	const usdc, lower = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"
	edit := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(good) }
	signed, refused := "signed", "refused"
	cases := []x402Case{
		{"standard", good, "", true, signed, ""},
		{"the largest amount", edit("10000", "1000000"), "", true, signed, ""},
		{"unknown members", edit(`"extra":`, `"more":[1,{"a":null}],"extra":`), "", true, signed, ""},
		{"characters", edit(`"d"`, `"<&> \u2028 ä 😀 \ud83d\ude00"`), "", true, signed, ""},
		{"no resource", edit(`"resource":{"url":"https://x","description":"d"},`, ``), "", true, signed, ""},
		{"resource null", edit(`{"url":"https://x","description":"d"}`, `null`), "", true, signed, ""},
		{"no extensions", edit(`,"extensions":{"x":{"y":1}}`, ``), "", true, signed, ""},
		{"a second entry", edit(`"accepts":[`, `"accepts":[`, `}],"ext`, `},{"scheme":"other","network":"solana:x","asset":"a","payTo":"p",`+
			`"amount":"1","maxTimeoutSeconds":1}],"ext`), "", true, signed, ""},
		{"asset in lower case", edit(usdc, lower), "", true, signed, ""},
		{"no time", edit("300", "0"), "", true, signed, ""},

		{"a million", edit("10000", "1000000000000"), "", false, refused, ""},
		{"a little more than the limit", edit("10000", "1000001"), "", false, refused, ""},
		{"an unknown token", edit(usdc, "0x52908400098527886E0F7030069857D2E4169EE7"), "", false, refused, ""},
		{"the old amount", edit(`"amount"`, `"maxAmountRequired"`), "", false, refused, ""},
		{"amount as a number", edit(`"10000"`, `10000`), "", false, refused, ""},
		{"no time given", edit(`"maxTimeoutSeconds":300,`, ``), "", false, refused, ""},
		{"version 1", edit(`"x402Version":2`, `"x402Version":1`), "", false, refused, ""},
		{"another scheme", edit(`"exact"`, `"upto"`), "", false, refused, ""},
		{"another chain family", edit("eip155:8453", "solana:5eykt"), "", false, refused, ""},
		{"no payee", edit(`"payTo"`, `"to"`), "", false, refused, ""},
		{"resource as text", edit(`{"url":"https://x","description":"d"}`, `"https://x"`), "", false, refused, ""},
		{"no domain", edit(`{"name":"USD Coin","version":"2"}`, `{}`), "", false, signed, "the published client knows the domain of USDC"},

		{"a year", edit("300", "31536000"), "", false, signed, "the published client bounds no time"},
		{"version 3", edit(`"x402Version":2`, `"x402Version":3`), "", false, signed, "the published client takes any version but 1 as 2"},
		{"snake case", edit(`"payTo"`, `"pay_to"`), "", false, signed, "only pydantic reads this name; the standard has the other"},
		{"time as text", edit(`"maxTimeoutSeconds":300`, `"maxTimeoutSeconds":"300"`), "", false, signed, "pydantic converts it; others do not"},
	}
	for _, amount := range []string{"0", "1", "7", "999999", "123456"} {
		for _, payTo := range []string{"0x0000000000000000000000000000000000000001", "0x52908400098527886E0F7030069857D2E4169EE7"} {
			cases = append(cases, x402Case{
				"amount " + amount + " to " + payTo, edit("10000", amount, "0x8617E340B3D01FA5F11F306F4090FD50E238070D", payTo), "", true, signed, "",
			})
		}
	}
	return cases
}

// TestX402LibraryAgrees: the published library decodes every header of ours, recovers the
// payer, and refuses every challenge that ours refuses, except where its rule is looser.
func TestX402LibraryAgrees(t *testing.T) {
	cases := x402Cases()
	for i := range cases {
		signed, err := x402.Sign(json.RawMessage(cases[i].Challenge), sdk.NewSecret(judgedKey))
		if (err == nil) != cases[i].ours {
			t.Errorf("%s: our signer returned %v", cases[i].Name, err)
		}
		if err == nil {
			cases[i].Header = signed.PaymentSignature.Reveal()
		}
	}
	found := judge[struct{ Name, Client, Why, Header string }](t, "x402", cases)
	for i, c := range cases {
		if found[i].Client != c.theirs {
			t.Errorf("%s: the published client %s it (%s), want %s %s", c.Name, found[i].Client, found[i].Why, c.theirs, c.why)
		}
		if c.Header != "" && found[i].Header != judgedAddress {
			t.Errorf("%s: the published reader found %s", c.Name, found[i].Header)
		}
	}
	t.Logf("%d challenges", len(cases))
}

// TestEthAccountAgrees: it recovers the signer of our signatures, and makes the same ones.
func TestEthAccountAgrees(t *testing.T) {
	signer, err := eip191.NewSigner(sdk.NewSecret(judgedKey))
	if err != nil {
		t.Fatal(err)
	}
	type signature struct {
		Message   string `json:"message"`
		Signature string `json:"signature"`
	}
	messages := []string{"", "a", "two\r\nlines", "\x00", "\xff\xfe", "did:peaq:42", strings.Repeat("long ", 1000)}
	for i := range 100 {
		messages = append(messages, fmt.Sprint("message ", i, strings.Repeat("x", i)))
	}
	var cases []signature
	for _, m := range messages {
		s, err := signer.Sign([]byte(m))
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, signature{hex.EncodeToString([]byte(m)), s})
	}
	for i, found := range judge[struct{ Recovered, Signed string }](t, "eip191", cases) {
		if found.Recovered != judgedAddress || found.Signed != cases[i].Signature {
			t.Errorf("%.40q: recovered %s, signed %s, want %s", messages[i], found.Recovered, found.Signed, cases[i].Signature)
		}
		if got, err := eip191.Recover([]byte(messages[i]), found.Signed); err != nil || got != judgedAddress {
			t.Errorf("%.40q: we recover %s, %v", messages[i], got, err)
		}
	}
}

// abiMachine is what the contracts say of a machine.
type abiMachine struct {
	Owner      string `json:"owner"`
	Controller string `json:"controller"`
	Status     int    `json:"status"`
	Tier       int    `json:"tier"`
	Start      string `json:"start"`
	End        string `json:"end"`
	Bond       string `json:"bond"`
	Points     string `json:"points"`
	Available  bool   `json:"available"`
}

// TestEthABIAgrees: the chain reader reads what eth-abi encodes, extremes included.
func TestEthABIAgrees(t *testing.T) {
	const most64, most256 = "18446744073709551615", "115792089237316195423570985008687907853269984665640564039457584007913129639935"
	machines := []abiMachine{
		{judgedAddress, judgedAddress, 1, 2, "1790000000", "1800000000", "5", "7", true},
		{judgedAddress, "0x0000000000000000000000000000000000000000", 4, 255, "1", most64, most256, most256, false},
		{"0x52908400098527886E0F7030069857D2E4169EE7", judgedAddress, 255, 0, "0", "0", "0", "0", false},
		{judgedAddress, judgedAddress, 2, 1, most64, most64, "1", "0", true},
	}
	deployment, err := sdk.LookupDeployment(sdk.DefaultDeployment)
	if err != nil {
		t.Fatal(err)
	}
	for i, words := range judge[map[string]string](t, "abi", machines) {
		m := machines[i]
		node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			out := strings.Repeat("0", 64)
			for selector, name := range map[string]string{
				"0x6352211e": "owner", "0x5dd8f6aa": "controller", "0x2d5bbf60": "subscription", "0x492f8724": "status", "0x2ba484c5": "available",
			} {
				if bytes.Contains(body, []byte(selector)) {
					out = words[name]
				}
			}
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":"0x%s"}`, out)
		}))
		chain, err := sdk.NewChain(node.URL, deployment)
		if err != nil {
			t.Fatal(err)
		}
		got, err := chain.Machine(t.Context(), "42")
		node.Close()
		if err != nil {
			t.Errorf("%+v: %v", m, err)
			continue
		}
		if got.Owner != m.Owner || got.Controller != m.Controller || int(got.Status) != m.Status || int(got.Tier) != m.Tier ||
			got.Bond.String() != m.Bond || got.Points.String() != m.Points || got.Available != m.Available {
			t.Errorf("read %+v of %+v", got, m)
		}
	}
}

// TestControlSocketOfAnotherLibrary: messages, pings and ends of Python's websockets.
func TestControlSocketOfAnotherLibrary(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, python(t), "socket_server.py")
	cmd.Env = pythonEnv()
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer input.Close()
	port, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	c, err := sdk.New("http://127.0.0.1:" + strings.TrimSpace(port))
	if err != nil {
		t.Fatal(err)
	}
	for code, retry := range map[int]bool{0: true, 1000: false, 1001: true, 1008: false, 1011: true, 1012: true, 4401: false} {
		options := sdk.ControlSocketOptions{AgentToken: sdk.Some(sdk.NewSecret("agent-token"))}
		socket, err := sdk.ConnectControlSocket(ctx, c, fmt.Sprint(code), options)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		var last error
		for message, err := range socket.Messages(ctx) {
			switch message := message.(type) {
			case *sdk.ControlConnected:
				got = append(got, "connected "+message.MachineID+" "+message.AgentID)
			case *sdk.ControlNotification:
				got = append(got, message.Type)
				if err := socket.Send(ctx, json.RawMessage(`{"type":"hello"}`)); err != nil {
					t.Error(err)
				}
			case *sdk.ControlAck:
				got = append(got, "ack "+message.MessageType)
			}
			last = err
		}
		if want := fmt.Sprintf("connected %d agent-token, purchase.created, ack hello", code); strings.Join(got, ", ") != want {
			t.Errorf("%d: got %q", code, got)
		}
		if (last == nil) != (code == 1000) || errors.Is(last, sdk.ErrRetryable) != retry {
			t.Errorf("%d: retryable is %t: %v", code, errors.Is(last, sdk.ErrRetryable), last)
		}
	}
}
