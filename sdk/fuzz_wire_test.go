package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// FuzzPaths: a parameter stays in its segment and decodes to the same value, and the
// request is sent with the path that was built.
func FuzzPaths(f *testing.F) {
	for _, s := range []string{
		"mach_1", "a/b", "..", ".", "%2e%2e", "%2F", "a?b=c#d", " ", "é", "\xff", "a b", "{x}", "\u2028", "..%2f..",
		"\\", "%", "a;b,c", "\x00",
	} {
		f.Add(s, "agent")
		f.Add("machine", s)
	}
	c, err := New("https://h.example:8443/gate%2Fway")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, machine, agent string) {
		r := c.call(http.MethodDelete, "/machines/{machineId}/agents/{agentId}", machine, agent)
		if r.err != nil {
			var fault *ValidationError
			if !errors.As(r.err, &fault) ||
				!(blank(machine) || blank(agent) || strings.Trim(machine, ".") == "" || strings.Trim(agent, ".") == "") {
				t.Errorf("%q %q: %v", machine, agent, r.err)
			}
			return
		}
		u := c.base.at(r.decoded, r.escaped, "")
		back, err := url.Parse(u.String())
		if err != nil || back.Host != "h.example:8443" || back.Scheme != "https" || back.RawQuery != "" ||
			back.Fragment != "" || back.User != nil {
			t.Fatalf("%s is %+v, %v", u, back, err)
		}
		segments := strings.Split(back.EscapedPath(), "/")
		if len(segments) != 8 || strings.Join(segments[:5], "/") != "/gate%2Fway/api/v1/machines" || segments[6] != "agents" {
			t.Fatalf("%q", segments)
		}
		for i, want := range map[int]string{5: machine, 7: agent} {
			if got, err := url.PathUnescape(segments[i]); err != nil || got != want || got == "." || got == ".." {
				t.Errorf("%q came back as %q, %v", want, got, err)
			}
		}
		var wire bytes.Buffer
		if err := (&http.Request{Method: http.MethodDelete, URL: u, Header: http.Header{}}).Write(&wire); err != nil {
			t.Fatal(err)
		}
		if line, _, _ := strings.Cut(wire.String(), "\r\n"); line != "DELETE /gate%2Fway/api/v1"+r.escaped+" HTTP/1.1" {
			t.Errorf("the request line is %q", line)
		}
	})
}

// FuzzBaseURL: a URL is accepted only if it is http or https with a host and no part that
// could hold a secret. The error for any other does not repeat it.
func FuzzBaseURL(f *testing.F) {
	for _, s := range []string{
		"https://orchestration.peaq.xyz", "http://127.0.0.1:8787/", "http://[::1]:80/a%2Fb", "http://u:passw0rd@h",
		"http://h?x=1", "h", "http://h/api/v1/", "ftp://h",
		"http://h\\@e", "http://h:99999", "http://%41", "http://h/%", "HTTP://H", "http://h/../x",
		"http://é.example", "http://h/api/v1/api/v1", "http://h#", "http://h?",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, base string) {
		c, err := New(base)
		if err != nil {
			var fault *ConfigError
			if !errors.As(err, &fault) || len(base) > 9 && strings.Contains(err.Error(), base) &&
				!strings.Contains("https://orchestration.peaq.xyz", base) {
				t.Errorf("%q: %v", base, err)
			}
			return
		}
		u := c.base.at("/machines/x", "/machines/x", "")
		back, err := url.Parse(u.String())
		if err != nil || (back.Scheme != "http" && back.Scheme != "https") || back.Hostname() == "" || back.User != nil ||
			back.RawQuery != "" || back.Fragment != "" {
			t.Fatalf("%q became %s, %v", base, u, err)
		}
		if !strings.HasSuffix(back.EscapedPath(), "/api/v1/machines/x") ||
			strings.HasSuffix(back.EscapedPath(), "/api/v1/api/v1/machines/x") && !strings.Contains(base, "/api/v1/api/v1") {
			t.Errorf("%q became %s", base, u)
		}
		again, err := New(strings.TrimSuffix(u.String(), "/machines/x"))
		if err != nil || again.base.at("/y", "/y", "").String() != c.base.at("/y", "/y", "").String() {
			t.Errorf("%q is not stable: %v", base, err)
		}
	})
}

// FuzzMachineNumber: exactly the decimal numbers below 2^256 are accepted, in one spelling.
func FuzzMachineNumber(f *testing.F) {
	for _, s := range []string{
		"did:peaq:0", "peaqos:machine:42", "did:peaq:007", "did:peaq:+1", "did:peaq:" + strings.Repeat("9", 78),
		"did:peaq:٣", "did:peaq:1 ", "did:peaq:0x1",
	} {
		f.Add(s)
	}
	limit := new(big.Int).Lsh(big.NewInt(1), 256)
	f.Fuzz(func(t *testing.T, ref string) {
		digits, err := MachineNumber(ref)
		_, text, cut := strings.Cut(ref, ":peaq:")
		prefix := "did"
		if !cut {
			_, text, cut = strings.Cut(ref, ":machine:")
			prefix = "peaqos"
		}
		n, number := new(big.Int).SetString(text, 10)
		want := cut && strings.HasPrefix(ref, prefix+":") && number && n.Sign() >= 0 && n.Cmp(limit) < 0 &&
			n.String() == text && strings.Count(ref, ":") == 2
		if (err == nil) != want || err == nil && digits != text {
			t.Errorf("%q: %q, %v", ref, digits, err)
		}
	})
}

// FuzzRetryAfter: a wait is never negative and never too long, and with a Date in the
// response the device's own clock does not matter.
func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{
		"7", "0", "-1", "+5", "1.5", "soon", "Sun, 01 Mar 2026 10:00:30 GMT", "Sunday, 01-Mar-26 10:00:30 GMT",
		"Sun Mar  1 10:00:30 2026", "99999999999999999999", " 7", "0x10", "Fri, 31 Dec 9999 23:59:59 GMT",
	} {
		f.Add(s, int64(1_772_359_200), int64(1_500_000_000))
	}
	f.Fuzz(func(t *testing.T, value string, date, now int64) {
		h := http.Header{"Retry-After": {value}}
		at := time.Unix(date%(1<<35), 0)
		wait, ok := retryAfter(h, at, time.Unix(now%(1<<35), 0))
		if wait < 0 || wait > maxRetryAfter || !ok && wait != 0 {
			t.Errorf("%q is %v, %v", value, wait, ok)
		}
		if other, otherOK := retryAfter(h, at, time.Now()); other != wait || otherOK != ok {
			t.Errorf("%q is %v by another clock, not %v", value, other, wait)
		}
		if n, err := strconv.ParseUint(value, 10, 31); err == nil && (!ok || wait != min(time.Duration(n)*time.Second, maxRetryAfter)) {
			t.Errorf("%q is %v, %v", value, wait, ok)
		}
	})
}

// FuzzEnv: an environment is read, or rejected with the names of its variables. Neither the
// errors nor the printed form hold the value of a secret variable.
func FuzzEnv(f *testing.F) {
	f.Add(
		"https://o.example", "key", "https://rpc.example/v2/s3cret", "0x"+strings.Repeat("4b", 32), "peaq",
		"0x52908400098527886E0F7030069857D2E4169EE7",
	)
	f.Add("http://u:p@h", " ", "ws://x", "0x0", "nowhere", "0x0000000000000000000000000000000000000000")
	f.Fuzz(func(t *testing.T, orchestration, apiKey, rpc, private, deployment, address string) {
		if strings.ContainsRune(orchestration+apiKey+rpc+private+deployment+address, 0) {
			return // no environment can hold it
		}
		for name, value := range map[string]string{
			"PEAQOS_ORCHESTRATION_URL": orchestration, "PEAQOS_API_KEY": apiKey, "PEAQOS_RPC_URL": rpc, "PEAQOS_PRIVATE_KEY": private,
			"PEAQOS_DEPLOYMENT_ID": deployment, "MACHINE_NFT_ADDRESS": address,
		} {
			t.Setenv(name, value)
		}
		os.Unsetenv("PEAQOS_ORCH_API_KEY")
		e, err := FromEnv(RequireOrchestration, RequireSigner)
		printed := ""
		if err != nil {
			var fault *ConfigError
			if !errors.As(err, &fault) || fault.Field == "" {
				t.Errorf("%v is not a *ConfigError", err)
			}
			printed = err.Error()
		} else {
			printed = strings.Join(allPrints(e), " ") + strings.Join(e.Warnings, " ")
			if e.APIKey.Reveal() != apiKey || e.PrivateKey.Reveal() != private || e.OrchestrationURL == "" {
				t.Errorf("got %v", e)
			}
		}
		for _, secret := range []string{apiKey, private} {
			if len(secret) > 12 && strings.Contains(printed, secret) && !strings.Contains(orchestration+deployment+rpc, secret) {
				t.Errorf("%q is in %s", secret, printed)
			}
		}
		if u, err := url.Parse(strings.TrimSpace(rpc)); err == nil && len(u.Path) > 12 && strings.Contains(printed, u.Path) &&
			!strings.Contains(orchestration+deployment, u.Path) {
			t.Errorf("the path of the RPC URL is in %s", printed)
		}
	})
}

// FuzzSSE: how a stream is split into reads does not matter.
func FuzzSSE(f *testing.F) {
	for _, s := range []string{
		"event: iot.data\nid: 7\ndata: {\"a\":1}\n\n", ": beat\n\n: beat\r\n\r\n",
		"\ufeffdata: x\r\rdata:y\r\n\r\n", "data\n\n", "data: a\ndata: b\n\n", "id: \x00\ndata: x\n\n",
		"data: cut", "event: e\n\n", "data: \xff\n\n", "\ufeff\ufeffdata: x\n\n", "retry: 5\ndata: x\n\n",
		"data: x\r", "\r\n\r\n", "data:  two\n\n",
	} {
		f.Add([]byte(s), []byte{1, 2, 3})
	}
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		whole, wholeErr := frames(bytes.NewReader(stream))
		if wholeErr != nil && !errors.Is(wholeErr, io.EOF) {
			var shape *wire.ShapeError
			if !errors.As(wholeErr, &shape) {
				t.Errorf("got %v", wholeErr)
			}
		}
		for _, cut := range [][]byte{{1}, sizes} {
			parts, err := frames(&choppy{stream, cut, 0})
			if len(parts) != len(whole) || err.Error() != wholeErr.Error() {
				t.Fatalf("%d frames and %v, cut: %d and %v", len(whole), wholeErr, len(parts), err)
			}
			for i := range parts {
				if parts[i] != whole[i] {
					t.Errorf("frame %d is %+v, cut: %+v", i, whole[i], parts[i])
				}
			}
		}
		for _, frame := range whole {
			if !utf8.ValidString(frame.data+frame.event+frame.id) || strings.ContainsAny(frame.event+frame.id, "\r\n") ||
				strings.Contains(frame.data, "\r") {
				t.Errorf("got %+v", frame)
			}
			written := "event: " + frame.event + "\nid: " + frame.id + "\ndata: " +
				strings.ReplaceAll(frame.data, "\n", "\ndata: ") + "\n\n"
			again, _ := frames(strings.NewReader(written))
			if len(again) != 1 || again[0].data != frame.data || again[0].event != frame.event || again[0].id != frame.id {
				t.Errorf("%q reads as %+v", written, again)
			}
		}
	})
}

func frames(source io.Reader) ([]sseFrame, error) {
	r := &sseReader{source: source}
	var all []sseFrame
	for {
		frame, err := r.next()
		if err != nil {
			return all, err
		}
		all = append(all, frame)
	}
}

// choppy returns a stream in pieces of the given sizes, repeatedly.
type choppy struct {
	rest  []byte
	sizes []byte
	turn  int
}

func (c *choppy) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	size := 1
	if len(c.sizes) > 0 {
		size = max(1, int(c.sizes[c.turn%len(c.sizes)]))
		c.turn++
	}
	n := copy(p, c.rest[:min(size, len(c.rest))])
	c.rest = c.rest[n:]
	return n, nil
}

// FuzzControlMessage: one text is one message, or one error about that message.
func FuzzControlMessage(f *testing.F) {
	for _, s := range []string{
		`{"type":"control.connected","machineId":"m","agentId":"a","createdAt":"c"}`,
		`{"type":"control.ack","messageType":"ping","createdAt":"c"}`,
		`{"type":"purchase.created","payload":{"a":1},"createdAt":"c"}`, `{"type":"new.thing","x":1}`, `{"type":5}`,
		`[]`, `nope`, `{"type":"purchase.created","payload":5}`, "{\"type\":\"\xff\"}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		message, err := controlMessage(newCodec(false), text)
		if (message == nil) == (err == nil) {
			t.Fatalf("got %v, %v", message, err)
		}
		var fault *ControlFrameError
		if err != nil && (!errors.As(err, &fault) || strings.ContainsAny(err.Error(), "\r\n")) {
			t.Errorf("got %v", err)
		}
		if unknown, ok := message.(*ControlUnknown); ok && (string(unknown.Raw) != text || !json.Valid([]byte(text))) {
			t.Errorf("got %s of %s", unknown.Raw, text)
		}
		if note, ok := message.(*ControlNotification); ok && note.Payload != nil && note.Payload[0] != '{' {
			t.Errorf("the payload is %s", note.Payload)
		}
	})
}

// FuzzErrors: for any status and body, the error keeps the status, its details are JSON, and
// it prints as one short line.
func FuzzErrors(f *testing.F) {
	for _, s := range []string{
		`{"error":{"code":"NOT_FOUND","message":"gone","details":{"a":1}}}`, `{"error":"x"}`, ``, `null`, `<html>`,
		`{"item":` + machineJSON + `}`, `{"item":null}`,
		"{\"error\":{\"code\":\"a\\nb\",\"message\":\"\\u001b[31m\"}}",
	} {
		f.Add(404, "application/json", s, "https://u:p@x.example/y?z=1")
		f.Add(200, "text/html", s, "")
		f.Add(302, "", s, "/login?token=1")
	}
	f.Fuzz(func(t *testing.T, status int, contentType, body, location string) {
		if status < 200 || status > 599 {
			return
		}
		c := cannedClient(t, status, always(body))
		c.transport = canned{status, http.Header{"Content-Type": {contentType}, "Location": {location}}, always(body)}
		m, err := c.Machines.Get(t.Context(), "m")
		if err == nil {
			if status > 299 || !json.Valid([]byte(body)) || m.ID == "" {
				t.Errorf("HTTP %d with %q gave %v", status, body, m)
			}
			return
		}
		var api *APIError
		if !errors.As(err, &api) || api.StatusCode != status || api.Details != nil && !json.Valid(api.Details) {
			t.Fatalf("HTTP %d with %q: %#v", status, body, err)
		}
		if !api.Envelope && api.Code != CodeBadResponse && api.Code != CodeInvalidResponseShape || api.Envelope && status < 400 {
			t.Errorf("HTTP %d with %q: %v", status, body, err)
		}
		if text := err.Error(); strings.ContainsAny(text, "\r\n\x1b\u2028") || len(text) > 1700 || !utf8.ValidString(text) &&
			utf8.ValidString(body+location) {
			t.Errorf("%q", text)
		}
		var redirect *RedirectError
		if errors.As(err, &redirect) && strings.ContainsAny(redirect.Location, "?#@") &&
			!strings.Contains(redirect.Location, wire.Redacted) {
			if u, err := url.Parse(redirect.Location); err != nil || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
				t.Errorf("it points to %s", redirect.Location)
			}
		}
	})
}
