package sdk_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// TestPresenceVectors has the vectors of the presence contract, §4.
func TestPresenceVectors(t *testing.T) {
	for _, c := range []struct {
		machineID, sentAt string
		size              int
		digest, signature string
	}{
		{
			"42", "2026-11-23T12:00:00Z", 42, "b11861e1e64ef5cc2e1ffe772a9d73f65bde10d108058a4c87c182500e4274e0",
			"0xd221dc2a33661bc0fd112be768bfb8db03f949c06564394a272676808ab18c165689eba5745bb22a80d84ef0f4d0dce57" +
				"10b956a4fe431dfb2d69a9872525a951b",
		},
		{
			"42", "2026-11-23T12:00:00.000000+00:00", 54, "60f647079b846d7be0fb8be93a635c0b87ea794ef2d8189d319f408ed295465c",
			"0xa30727ec1825a67bc2f568d99b5e78e137490f1c2753a08daa9d51c3eb564ff15208b1f04f09a2fbbb0460c8aa90e5090" +
				"5aa4d8ea3475d62b64e822da9c147451b",
		},
		{
			"did:peaq:42", "2026-11-23T12:00:00.123Z", 55, "7a222a3a0cd49a25615eaa7e3873472c7ac18af7cc4e495cf123f4021ff30ad8",
			"0xcfe7c95b1840abeb45e269263c5318d9ad5c8c6b55f0f099ac8fcc0ae3cfeebe4ecf3d20a6c94fe8e9538d734854c26c4" +
				"602ee0a7aa77dae8acfd8414c4a98291b",
		},
	} {
		message := sdk.PresenceMessage(c.machineID, c.sentAt)
		if message != "machineId: "+c.machineID+"\nsentAt: "+c.sentAt || len(message) != c.size {
			t.Errorf("the message is %q, %d bytes", message, len(message))
		}
		if got := hex.EncodeToString(sdk.EIP191Digest([]byte(message))); got != c.digest {
			t.Errorf("%s at %s: digest %s", c.machineID, c.sentAt, got)
		}
		if got := signVector(t, []byte(message)); got != c.signature {
			t.Errorf("%s at %s: signature %s", c.machineID, c.sentAt, got)
		}
	}
}

func TestPresenceTimeFormat(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), "2026-11-23T12:00:00.000Z"},
		{time.Date(2026, 11, 23, 14, 0, 0, 123_999_999, time.FixedZone("", 7200)), "2026-11-23T12:00:00.123Z"},
	} {
		if got := sdk.PresenceTime(c.at); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestCheckPresenceInterval(t *testing.T) {
	for every, good := range map[time.Duration]bool{
		0: false, -time.Second: false, time.Nanosecond: true, 60 * time.Second: true, 120 * time.Second: true,
		120*time.Second + time.Millisecond: false,
	} {
		if err := sdk.CheckPresenceInterval(every); (err == nil) != good {
			t.Errorf("%v gave %v", every, err)
		}
	}
}

// presenceServer sends the same response to every request, and keeps the last request.
func presenceServer(t *testing.T, handler http.HandlerFunc) *sdk.Presence {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	p, err := sdk.NewPresence(server.URL+"/", sdk.WithAPIKey(sdk.NewSecret("pk_1")))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func push(t *testing.T) sdk.PresencePush {
	return sdk.PresencePush{MachineID: "42", PublicKey: vectorPublicKey, Sign: vectorSigner(t)}
}

// TestPresencePush: the body has the signed values, and nothing else is sent.
func TestPresencePush(t *testing.T) {
	var body map[string]string
	p := presenceServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/v1/heartbeats" || r.Header.Get("X-Api-Key") != "" ||
			r.Header.Get("Authorization") != "" {
			t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
		}
		text, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(text, &body); err != nil {
			t.Error(err)
		}
		io.WriteString(w, `{"accepted":true,"online":true,"lastHeartbeatAt":"2026-11-23T12:00:00.123Z","later":1}`)
	})
	in := push(t)
	in.SentAt = time.Date(2026, 11, 23, 12, 0, 0, 123e6, time.UTC)
	got, err := p.Push(t.Context(), in)
	if err != nil || !got.Accepted || !got.Online || got.LastHeartbeatAt != "2026-11-23T12:00:00.123Z" || got.Status != http.StatusOK {
		t.Errorf("got %+v, %v", got, err)
	}
	want := map[string]string{
		"machineId": "42", "publicKey": vectorPublicKey, "sentAt": "2026-11-23T12:00:00.123Z",
		"signature": signVector(t, []byte("machineId: 42\nsentAt: "+body["sentAt"])),
	}
	if len(body) != len(want) {
		t.Errorf("the body is %v", body)
	}
	for name, value := range want {
		if body[name] != value {
			t.Errorf("%s is %q, want %q", name, body[name], value)
		}
	}
}

func TestPresenceResponses(t *testing.T) {
	const good = `{"accepted":true,"online":true,"lastHeartbeatAt":"t"}`
	for name, c := range map[string]struct {
		status int
		header [2]string
		body   string
		want   error // by errors.Is; nil asks for another check
	}{
		"a string for a bool":    {200, [2]string{}, `{"accepted":"true","online":true,"lastHeartbeatAt":"t"}`, sdk.ErrMalformed},
		"no lastHeartbeatAt":     {200, [2]string{}, `{"accepted":true,"online":true}`, sdk.ErrMalformed},
		"null lastHeartbeatAt":   {200, [2]string{}, `{"accepted":true,"online":true,"lastHeartbeatAt":null}`, sdk.ErrMalformed},
		"not JSON":               {200, [2]string{}, `hello`, sdk.ErrNotTheAPI},
		"a body that never ends": {200, [2]string{}, good + strings.Repeat(" ", 70<<10), sdk.ErrMalformed},
		"400":                    {400, [2]string{}, ``, sdk.ErrRejected},
		"401":                    {401, [2]string{}, `{}`, sdk.ErrAuth},
		"404":                    {404, [2]string{}, `no`, sdk.ErrNotFound},
		"408":                    {408, [2]string{}, ``, sdk.ErrRetryable},
		"429":                    {429, [2]string{"Retry-After", "3600"}, ``, sdk.ErrRateLimited},
		"503":                    {503, [2]string{}, ``, sdk.ErrRetryable},
		"a redirect elsewhere":   {307, [2]string{"Location", "https://portal.example/?t=secret"}, ``, sdk.ErrNotTheAPI},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			p := presenceServer(t, func(w http.ResponseWriter, _ *http.Request) {
				asked++
				if c.header[0] != "" {
					w.Header().Set(c.header[0], c.header[1])
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			got, err := p.Push(t.Context(), push(t))
			if got != nil || !errors.Is(err, c.want) || asked != 1 {
				t.Errorf("got %+v, %v after %d requests, want %v", got, err, asked, c.want)
			}
		})
	}
}

func TestPresenceRetryAfterInBothForms(t *testing.T) {
	date := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, value := range []string{"90", date.Add(90 * time.Second).Format(http.TimeFormat)} {
		p := presenceServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", date.Format(http.TimeFormat)) // years from this machine's clock
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		_, err := p.Push(t.Context(), push(t))
		var api *sdk.APIError
		if !errors.As(err, &api) {
			t.Fatal(err)
		}
		if wait, asked := api.RetryAfter(); !asked || wait != 90*time.Second || !sdk.DateOf(err).Equal(date) {
			t.Errorf("Retry-After %s: %v, %t, at %v", value, wait, asked, sdk.DateOf(err))
		}
	}
}

func TestPresenceRefusedIsAnError(t *testing.T) {
	p := presenceServer(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"accepted":false,"online":false,"lastHeartbeatAt":""}`)
	})
	got, err := p.Push(t.Context(), push(t))
	var refused *sdk.PresenceRefusedError
	if !errors.As(err, &refused) || got == nil || refused.Result != got || got.Date.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestPresenceStops: canceling ends a push that hangs, and sends nothing if it happens while
// signing.
func TestPresenceStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	arrived, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	p := presenceServer(t, func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	})
	go func() { <-arrived; stop() }()
	_, err := p.Push(ctx, push(t))
	var network *sdk.NetworkError
	if !errors.As(err, &network) || !errors.Is(err, context.Canceled) {
		t.Errorf("a push that was stopped gave %v", err)
	}

	ctx, stop = context.WithCancel(t.Context())
	p = presenceServer(t, func(http.ResponseWriter, *http.Request) { t.Error("a push was sent after the stop") })
	in := push(t)
	in.Sign = func(_ context.Context, message []byte) (string, error) { stop(); return signVector(t, message), nil }
	if _, err := p.Push(ctx, in); !errors.Is(err, context.Canceled) {
		t.Errorf("a stop while signing gave %v", err)
	}
}

func TestPresenceArguments(t *testing.T) {
	p := presenceServer(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s was sent", r.URL) })
	failing := errors.New("no key")
	for field, spoil := range map[string]func(*sdk.PresencePush){
		"machineId": func(in *sdk.PresencePush) { in.MachineID = " " },
		"publicKey": func(in *sdk.PresencePush) { in.PublicKey = "" },
		"sign":      func(in *sdk.PresencePush) { in.Sign = nil },
	} {
		in := push(t)
		spoil(&in)
		_, err := p.Push(t.Context(), in)
		var invalid *sdk.ValidationError
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	in := push(t)
	in.MachineID = "42\nsentAt: forged"
	if _, err := p.Push(t.Context(), in); err == nil {
		t.Error("a machine id of two lines was signed")
	}
	in = push(t)
	in.Sign = func(context.Context, []byte) (string, error) { return "", failing }
	if _, err := p.Push(t.Context(), in); !errors.Is(err, failing) {
		t.Errorf("a signer's error became %v", err)
	}
	for _, q := range []sdk.PresenceQuery{{}, {MachineID: sdk.Some("42"), PublicKey: sdk.Some("0x04")}, {MachineID: sdk.Some("")}} {
		if _, err := p.Check(t.Context(), q); err == nil {
			t.Errorf("%+v was sent", q)
		}
	}
}

func TestPresenceCheck(t *testing.T) {
	var sent string
	response := ""
	p := presenceServer(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		sent = r.Method + " " + r.URL.Path + " " + string(text)
		io.WriteString(w, response)
	})
	response = `{"online":true,"machineId":"42","publicKey":"0x04","lastHeartbeatAt":"t"}`
	got, err := p.Check(t.Context(), sdk.PresenceQuery{PublicKey: sdk.Some("0x04")})
	if err != nil || !got.Online || got.MachineID != "42" || got.PublicKey != "0x04" || got.LastHeartbeatAt != "t" {
		t.Errorf("got %+v, %v", got, err)
	}
	if sent != `POST /api/v1/presence/check {"publicKey":"0x04"}` {
		t.Errorf("sent %s", sent)
	}
	for _, response = range []string{
		`{"online":false,"machineId":"42"}`,
		`{"online":false,"machineId":"42","publicKey":null,"lastHeartbeatAt":null}`,
	} {
		got, err := p.Check(t.Context(), sdk.PresenceQuery{MachineID: sdk.Some("42")})
		if err != nil || got.Online || got.PublicKey != "" || got.LastHeartbeatAt != "" {
			t.Errorf("%s gave %+v, %v", response, got, err)
		}
	}
	response = `{"online":"false","machineId":"42"}`
	if _, err := p.Check(t.Context(), sdk.PresenceQuery{MachineID: sdk.Some("42")}); !errors.Is(err, sdk.ErrMalformed) {
		t.Errorf("%s gave %v", response, err)
	}
}
