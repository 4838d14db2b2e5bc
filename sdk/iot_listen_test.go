package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func iotFrame(id string) string {
	return fmt.Sprintf("event: iot.data\nid: %s\ndata: "+`{"eventId":%q,"machineId":"m","subscriptionId":"s","deviceId":"d","resource":"r",`+
		`"kind":"notification","stale":false,"createdAt":"c","sample":{"deviceId":"d","resource":"r",`+
		`"value":1,"observedAt":"o","receivedAt":"r",`+
		`"source":{"cseId":"c","resourceId":"r"}}}`+"\n\n", id, id)
}

// TestListenResumes: a stream that ends, breaks, repeats events, is refused for a while and
// loses its place is one sequence, in which each event occurs once.
func TestListenResumes(t *testing.T) {
	var asked []string
	streams := []struct {
		status int
		text   string
		cut    bool
	}{
		{200, iotFrame("1") + iotFrame("2"), false},
		{200, iotFrame("2") + iotFrame("3") + "event: iot.data\nid: 4\nda", true},
		{503, "", false},
		{200, "event: iot.error\ndata: {\"error\":{\"code\":\"ONEM2M_CSE_UNAVAILABLE\",\"message\":\"x\"}}\n\n", false},
		{410, `{"error":{"code":"IOT_REPLAY_UNAVAILABLE","message":"gone"}}`, false},
		{200, iotFrame("3") + iotFrame("5"), false},
		{401, `{"error":{"code":"AGENT_AUTH_EXPIRED","message":"x"}}`, false},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := streams[min(len(asked), len(streams)-1)]
		asked = append(asked, r.Header.Get("Last-Event-Id"))
		w.Header().Set("Content-Type", map[bool]string{true: "text/event-stream", false: "application/json"}[s.status == 200])
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, s.text)
		if s.cut {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	c := must[*Client](t)(New(server.URL))
	var waits []time.Duration
	o := IoTListenOptions{
		MinWait: Some(time.Millisecond), MaxWait: Some(4 * time.Millisecond),
		Reconnecting: func(_ error, wait time.Duration) { waits = append(waits, wait) },
	}
	var got []string
	for event, err := range c.IoT.Listen(t.Context(), "m", NewSecret("token-token"), o) {
		var gap *IoTGapError
		switch {
		case errors.As(err, &gap):
			got = append(got, "gap after "+gap.After)
		case err != nil:
			got = append(got, fmt.Sprint("auth ", errors.Is(err, ErrAuth)))
		default:
			got = append(got, strings.TrimPrefix(event.Event(), "iot.")+" "+event.FrameID())
		}
	}
	if want := []string{"data 1", "data 2", "data 3", "error ", "gap after 3", "data 5", "auth true"}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if want := []string{"", "2", "3", "3", "3", "", "5"}; !slices.Equal(asked, want) {
		t.Errorf("resumed after %q", asked)
	}
	if len(waits) != len(asked)-1 || slices.Max(waits) > 4*time.Millisecond {
		t.Errorf("waited %v", waits)
	}
}

func TestListenEnds(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, iotFrame("1")+"event: iot.error\ndata: {\"error\":{\"code\":\"AGENT_PAIRING_INACTIVE\",\"message\":\"x\"}}\n\n")
	}))
	defer server.Close()
	c := must[*Client](t)(New(server.URL))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listen := c.IoT.Listen(ctx, "m", NewSecret("token-token"), IoTListenOptions{})
	for range 2 { // each range is a stream of its own
		items := 0
		var last error
		for _, last = range listen {
			items++
		}
		if !errors.Is(last, ErrForbidden) || items != 3 {
			t.Errorf("%d items, then %v", items, last)
		}
	}
	for range listen {
		break
	}
	if requests.Load() != 3 {
		t.Errorf("%d requests", requests.Load())
	}
	down := must[*Client](t)(New(refusing(t)))
	o := IoTListenOptions{Reconnecting: func(error, time.Duration) { cancel() }}
	var last error
	for _, last = range down.IoT.Listen(ctx, "m", NewSecret("token-token"), o) {
		continue
	}
	if meaningOf(last) != (meaning{canceled: true}) {
		t.Errorf("canceled in a wait: %+v, %v", meaningOf(last), last)
	}
}

func TestBackoff(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		0: time.Second, 1: 2 * time.Second, 3: 8 * time.Second, 6: time.Minute, 1 << 30: time.Minute,
	} {
		if got := backoff(failures, time.Second, time.Minute, 0); got != want {
			t.Errorf("after %d failures: %v", failures, got)
		}
		if got := backoff(failures, time.Second, time.Minute, 1); got != want/2 {
			t.Errorf("after %d failures, with jitter: %v", failures, got)
		}
	}
}
