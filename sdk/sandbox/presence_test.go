package sandbox_test

import (
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// push is a presence heartbeat as a client signs it; change may spoil it.
func (r *harness) push(id string, at time.Time, change func(object)) reply {
	r.t.Helper()
	sentAt := at.UTC().Format("2006-01-02T15:04:05.000Z")
	body := object{
		"machineId": id, "publicKey": "0x" + hex.EncodeToString(crypto.FromECDSAPub(&controllerKey.PublicKey)), "sentAt": sentAt,
		"signature": signText(controllerKey, "machineId: "+id+"\nsentAt: "+sentAt),
	}
	if change != nil {
		change(body)
	}
	return r.call("POST", "/heartbeats", body)
}

// raw calls a path that is not below the API's prefix.
func (r *harness) raw(method, path string, body any) reply {
	r.t.Helper()
	req := r.request(method, "", body)
	var err error
	if req.URL, err = req.URL.Parse(path); err != nil {
		r.t.Fatal(err)
	}
	return r.do(req)
}

func TestPresenceExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		if r.s.Online("42") {
			t.Error("online before the first push")
		}
		got := r.push("42", time.Now(), nil).ok(200)
		if got.at("accepted") != true || got.at("online") != true {
			t.Errorf("%s", got.text)
		}
		time.Sleep(179 * time.Second)
		if state := r.call("POST", "/presence/check", object{"machineId": "did:peaq:42"}).ok(200); state.at("online") != true {
			t.Errorf("offline after 179 s: %s", state.text)
		}
		time.Sleep(2 * time.Second)
		state := r.call("POST", "/presence/check", object{"publicKey": "0x" + hex.EncodeToString(crypto.FromECDSAPub(&controllerKey.PublicKey))}).ok(200)
		if state.at("online") != false || state.at("machineId") != "42" || r.s.Online("42") {
			t.Errorf("online after 181 s: %s", state.text)
		}
	})
}

func TestPresenceRefuses(t *testing.T) {
	r := newHarness(t)
	for name, change := range map[string]func(object){
		"another text":      func(b object) { b["machineId"] = "43" },
		"another key":       func(b object) { b["publicKey"] = "0x" + hex.EncodeToString(crypto.FromECDSAPub(&otherKey.PublicKey)) },
		"no key":            func(b object) { b["publicKey"] = "0x04" },
		"another signature": func(b object) { b["signature"] = signText(otherKey, "x") },
		"not a signature":   func(b object) { b["signature"] = "0x00" },
		"another time":      func(b object) { b["sentAt"] = "2026-01-01T00:00:00Z" },
	} {
		if got := r.push("42", time.Now(), change).ok(200); got.at("accepted") != false {
			t.Errorf("%s: %s", name, got.text)
		}
	}
	for _, off := range []time.Duration{-6 * time.Minute, 6 * time.Minute} {
		if got := r.push("42", time.Now().Add(off), nil).ok(200); got.at("accepted") != false {
			t.Errorf("%s off: %s", off, got.text)
		}
	}
	if accepted, refused := r.s.Pushes(); accepted != 0 || refused != 8 {
		t.Errorf("%d accepted, %d refused", accepted, refused)
	}
	r.push("42", time.Now(), func(b object) { delete(b, "sentAt") }).fails("VALIDATION_ERROR")
	r.call("POST", "/presence/check", object{}).fails("VALIDATION_ERROR")
	r.call("POST", "/presence/check", object{"machineId": "a", "publicKey": "b"}).fails("VALIDATION_ERROR")
}

func TestOptIn(t *testing.T) {
	r := newHarness(t, sandbox.WithPresenceOptIn())
	if got := r.push("42", time.Now(), nil).ok(200); got.at("accepted") != false {
		t.Errorf("accepted before the opt-in: %s", got.text)
	}
	put := func(in bool, at int64, key string) reply {
		signer := controllerKey
		if key == "other" {
			signer = otherKey
		}
		text := "peaq-mcr monetization\nregistry: 0x64b93cc29b251fafa83bd110cdb1c24207f85536\nchain_id: 3338\nmachine_id: 42\nopted_in: " +
			strconv.FormatBool(in) + "\ntimestamp: " + strconv.FormatInt(at, 10)
		return r.raw("PUT", "/machine/did%3Apeaq%3A42/monetization", object{"opted_in": in, "timestamp": at, "signature": signText(signer, text)})
	}
	now := time.Now().Unix()
	for _, c := range []struct {
		got    reply
		status int
		code   string
	}{
		{put(true, now, "other"), 403, "UNAUTHORIZED_SIGNER"},
		{put(true, now-400, ""), 400, "TIMESTAMP_OUT_OF_WINDOW"},
		{r.raw("PUT", "/machine/42/monetization", object{"opted_in": "true", "timestamp": now, "signature": "0x"}), 400, "INVALID_REQUEST"},
		{r.raw("PUT", "/machine/42/monetization", object{"opted_in": true, "timestamp": now, "signature": "0x"}), 400, "INVALID_SIGNATURE"},
		{r.raw("GET", "/machine/0x42/monetization", nil), 400, "INVALID_REQUEST"},
	} {
		if c.got.status != c.status || c.got.at("detail.code") != c.code {
			t.Errorf("%d %s, want %d %s", c.got.status, c.got.text, c.status, c.code)
		}
	}
	if got := r.raw("GET", "/machine/did%3Apeaq%3A42/monetization", nil).ok(200); got.at("status") != "PENDING" || got.at("machine_id") != "42" {
		t.Errorf("%s", got.text)
	}
	put(true, now, "").ok(200)
	if got := put(false, now-1, ""); got.at("detail.code") != "STALE_SIGNATURE" {
		t.Errorf("%s", got.text)
	}
	if r.s.OptIn("did:peaq:42") != "OPTED_IN" {
		t.Error("not opted in")
	}
	if got := r.push("42", time.Now(), nil).ok(200); got.at("accepted") != true {
		t.Errorf("refused after the opt-in: %s", got.text)
	}
	info := r.raw("GET", "/.well-known/peaq-monetization", nil).ok(200)
	if info.at("chain_id") != "3338" || info.at("version") != "tokenomics-2.0-monetization-v1" {
		t.Errorf("%s", info.text)
	}
}

// TestNotificationsAreAcknowledged: a notification counts as read when the agent asks for
// the next message, and is repeated after a reconnect only if that is asked for.
func TestNotificationsAreAcknowledged(t *testing.T) {
	r := newHarness(t, sandbox.WithNotificationReplay(2))
	r.onLoopback()
	agent := r.enroll(r.machine(), "qvac")
	ws := r.listen(agent)
	nextMessage(t, ws)
	if n := r.s.Notify(agent.machine, "purchase.created", map[string]any{"purchaseId": "p"}); n != 1 {
		t.Fatalf("%d sockets", n)
	}
	nextMessage(t, ws)
	if notes := r.s.Notifications(agent.machine); len(notes) != 1 || notes[0].Acknowledged || notes[0].Type != "purchase.created" {
		t.Errorf("%+v", notes)
	}
	done := ws.CloseRead(t.Context())
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !r.s.Notifications("")[0].Acknowledged {
		select {
		case <-tick.C:
		case <-done.Done():
			t.Fatal("closed before it was acknowledged")
		}
	}
	_ = ws.Close(websocket.StatusNormalClosure, "")
	ws = r.listen(agent)
	nextMessage(t, ws)
	if again := nextMessage(t, ws); again["type"] != "purchase.created" {
		t.Errorf("%v", again)
	}
	r.s.FloodSockets(500)
	for range 500 {
		if _, b, err := ws.Read(t.Context()); err != nil || !strings.Contains(string(b), "sandbox.flood") {
			t.Fatalf("%s, %v", b, err)
		}
	}
}
