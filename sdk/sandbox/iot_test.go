package sandbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// frame is a server-sent event; a comment has its text in data and no event.
type frame struct {
	at        time.Time
	event, id string
	data      object
	comment   string
}

// events is an open event stream that is read continuously.
type events struct {
	frames chan frame
	close  func()
}

// stream opens an event stream with the buyer's token.
func (r *harness) stream(b paired, query string, header ...string) *events {
	r.t.Helper()
	return r.openStream("/machines/"+b.machine+"/iot/events"+query, append(header, "x-agent-pairing-token", b.token)...)
}

func (r *harness) openStream(path string, header ...string) *events {
	r.t.Helper()
	req := r.request("GET", path, nil, append(header, "Accept", "text/event-stream")...)
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		text, _ := io.ReadAll(res.Body)
		r.t.Fatalf("%s: %d %s %s", path, res.StatusCode, res.Header.Get("Content-Type"), text)
	}
	out := &events{frames: make(chan frame, 2000), close: func() { _ = res.Body.Close() }}
	r.t.Cleanup(out.close)
	go func() {
		defer close(out.frames)
		var f frame
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case lines.Text() == "":
				f.at = time.Now()
				out.frames <- f
				f = frame{}
			case name == "":
				f.comment = value
			case name == "event":
				f.event = value
			case name == "id":
				f.id = value
			case name == "data":
				_ = json.Unmarshal([]byte(value), &f.data)
			}
		}
	}()
	return out
}

// next returns the next frame that is not a heartbeat.
func (e *events) next(t *testing.T) frame {
	t.Helper()
	for {
		select {
		case f, ok := <-e.frames:
			if !ok {
				t.Fatal("the stream has ended")
			}
			if f.comment == "" {
				return f
			}
		case <-time.After(time.Minute):
			t.Fatal("no frame for a minute")
		}
	}
}

// all returns the frames received so far, without heartbeats.
func (e *events) all() (out []frame) {
	synctest.Wait()
	for {
		select {
		case f, ok := <-e.frames:
			if !ok {
				return out
			}
			if f.comment == "" {
				out = append(out, f)
			}
		default:
			return out
		}
	}
}

func (r *harness) subscribe(b paired, device, resource string, seconds int) string {
	r.t.Helper()
	return r.run(b, readings, "subscribe-events", lease(device, resource, seconds)).str("execution.outcome.result.subscription.id")
}

func TestSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		b := r.pair(r.machine(), nil)
		time.Sleep(3 * time.Second)
		begun := time.Now()
		a := r.run(b, readings, "subscribe-events", lease("iotdev_lobby_air", "temperature", 60))
		id := a.str("execution.outcome.result.subscription.id")
		sub := object{
			"id": id, "machineId": b.machine, "agentPairingId": b.id, "serviceId": readings, "deviceId": "iotdev_lobby_air",
			"resource": "temperature", "status": "active",
			"createdAt": wire(begun), "updatedAt": wire(begun), "expiresAt": wire(begun.Add(time.Minute)),
			"cleanup": object{"status": "not-required"},
		}
		snapshot := r.read(b, "get-latest-data", object{"deviceId": "iotdev_lobby_air", "resource": "temperature"}).at("execution.outcome.result")
		same(t, "subscribed", a.at("execution.outcome.result"), object{
			"subscription": sub, "initialSnapshot": snapshot, "eventsEndpoint": "/api/v1/machines/" + b.machine + "/iot/events?subscriptionId=" + id,
		})
		s := r.stream(b, "?subscriptionId="+id)
		f := s.next(t)
		same(t, "lifecycle", f.data, object{"eventId": f.id, "machineId": b.machine, "subscription": sub, "createdAt": wire(begun)})
		f = s.next(t)
		same(t, "snapshot", f.data, object{
			"eventId": f.id, "machineId": b.machine, "subscriptionId": id, "deviceId": "iotdev_lobby_air",
			"resource": "temperature", "kind": "snapshot", "stale": false,
			"sample": snapshot.(object)["sample"], "createdAt": wire(begun),
		})
		for i := range 6 {
			f = s.next(t)
			due := begun.Truncate(10 * time.Second).Add(time.Duration(i+1) * 10 * time.Second)
			if f.event != "iot.data" || f.data["kind"] != "notification" || f.data["createdAt"] != wire(due) ||
				!f.at.Equal(due) || f.data["sample"].(object)["observedAt"] != wire(due) {
				t.Errorf("notification %d at %v: %v", i, f.at, f)
			}
		}
		f = s.next(t)
		over := wire(begun.Add(time.Minute))
		sub = with(sub, "status", "expired", "updatedAt", over, "cleanup", object{"status": "completed", "lastAttemptAt": over})
		same(t, "expiry", f.data, object{"eventId": f.id, "machineId": b.machine, "subscription": sub, "createdAt": over})
		if f.event != "iot.subscription" || !f.at.Equal(begun.Add(time.Minute)) {
			t.Errorf("expiry came at %v: %v", f.at, f)
		}
		time.Sleep(time.Hour)
		if more := s.all(); len(more) != 0 {
			t.Errorf("an expired subscription continues: %v", more)
		}
		same(t, "list", r.as(b, "GET", "/machines/"+b.machine+"/iot/subscriptions", nil).ok(200).body, object{"items": []any{sub}})
		same(t, "delete of an expired one", r.as(b, "DELETE", "/machines/"+b.machine+"/iot/subscriptions/"+id, nil).ok(200).at("item"), sub)
	})
}

func TestSubscriptionDefaultsAndDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		b := r.pair(r.machine(), nil)
		a := r.run(b, readings, "subscribe-events", object{"deviceId": "iotdev_front_door", "resource": "state"})
		if got := a.str("execution.outcome.result.subscription.expiresAt"); got != wire(time.Now().Add(30*time.Minute)) {
			t.Errorf("the lease of no ttlSeconds ends at %s", got)
		}
		id := a.str("execution.outcome.result.subscription.id")
		s := r.stream(b, "")
		time.Sleep(time.Minute)
		s.all()
		opened := time.Now()
		r.run(b, smartDoors, "execute-action", open("iotdev_front_door", "cmd-1"))
		time.Sleep(time.Minute)
		got := s.all()
		if len(got) != 2 || got[0].data["sample"].(object)["value"] != "OPEN" ||
			got[0].data["sample"].(object)["commandId"] != "cmd-1" || !got[0].at.Equal(opened) ||
			got[1].data["sample"].(object)["value"] != "CLOSED" || !got[1].at.Equal(opened.Add(20*time.Second)) {
			t.Errorf("the smart door was opened: %v", got)
		}
		r.run(b, smartDoors, "execute-action", open("iotdev_garage_door", "cmd-2")) // another device
		path := "/machines/" + b.machine + "/iot/subscriptions/" + id
		stranger := r.pair(b.machine, nil)
		r.as(stranger, "DELETE", path, nil).fails("NOT_FOUND")
		r.as(r.pair(r.machine(), nil), "DELETE", path, nil).fails("AGENT_AUTH_INVALID")
		now := wire(time.Now())
		gone := r.as(b, "DELETE", path, nil).ok(200)
		if gone.str("item.status") != "deleted" || gone.str("item.cleanup.status") != "completed" ||
			gone.str("item.cleanup.lastAttemptAt") != now {
			t.Errorf("deleted %s", gone.text)
		}
		if again := r.as(b, "DELETE", path, nil).ok(200); again.text != gone.text {
			t.Errorf("deleted again %s", again.text)
		}
		if got := s.all(); len(got) != 1 || got[0].data["subscription"].(object)["status"] != "deleted" {
			t.Errorf("after the delete: %v", got)
		}
		r.as(b, "DELETE", "/machines/"+b.machine+"/iot/subscriptions/iotsub_none", nil).fails("NOT_FOUND")
		if n := len(r.as(stranger, "GET", "/machines/"+b.machine+"/iot/subscriptions", nil).ok(200).items()); n != 0 {
			t.Errorf("another pairing sees %d subscriptions", n)
		}
	})
}

func TestSubscriptionPages(t *testing.T) {
	r := newHarness(t)
	b := r.pair(r.machine(), nil)
	for range 3 {
		r.subscribe(b, "iotdev_lobby_air", "humidity", 60)
	}
	path := "/machines/" + b.machine + "/iot/subscriptions"
	first := r.as(b, "GET", path+"?limit=2", nil).ok(200)
	cursor := first.str("nextCursor")
	if rest := r.as(b, "GET", path+"?limit=2&cursor="+cursor, nil).ok(200); len(first.items()) != 2 ||
		len(rest.items()) != 1 || rest.at("nextCursor") != nil {
		t.Errorf("pages %s %s", first.text, rest.text)
	}
	r.as(b, "GET", path+"?limit=3&cursor="+cursor, nil).fails("VALIDATION_ERROR")
	r.as(r.pair(b.machine, nil), "GET", path+"?limit=2&cursor="+cursor, nil).fails("VALIDATION_ERROR")
}

func TestEventReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		b := r.pair(r.machine(), nil)
		air, lobby := r.subscribe(b, "iotdev_lobby_air", "temperature", 600), r.subscribe(b, "iotdev_lobby_occupancy", "occupancy", 600)
		other := r.pair(b.machine, nil)
		r.subscribe(other, "iotdev_lobby_air", "climate", 600)
		time.Sleep(time.Minute)
		s := r.stream(b, "")
		kept := s.all()
		if len(kept) != 2*2+2*6 {
			t.Fatalf("%d events are replayed without a cursor", len(kept))
		}
		for i, f := range kept {
			if f.data["subscriptionId"] != nil && f.data["subscriptionId"] != air && f.data["subscriptionId"] != lobby {
				t.Errorf("event %d is another's: %v", i, f)
			}
		}
		ids := func(frames []frame) (out []string) {
			for _, f := range frames {
				out = append(out, f.id)
			}
			return out
		}
		rest := r.stream(b, "", "Last-Event-ID", kept[4].id).all()
		same(t, "after a cursor", ids(rest), ids(kept[5:]))
		if got := r.stream(b, "", "Last-Event-ID", kept[len(kept)-1].id).all(); len(got) != 0 {
			t.Errorf("after the last: %v", got)
		}
		for _, f := range r.stream(b, "?subscriptionId="+air).all() {
			if f.event == "iot.data" && f.data["subscriptionId"] != air {
				t.Errorf("the filter lets %v through", f)
			}
		}
		refused := func(query, cursor string, who paired) reply {
			t.Helper()
			header := []string{"x-agent-pairing-token", who.token}
			if cursor != "" {
				header = append(header, "Last-Event-ID", cursor)
			}
			return r.call("GET", "/machines/"+b.machine+"/iot/events"+query, nil, header...)
		}
		refused("", "iotevt_none", b).fails("IOT_REPLAY_UNAVAILABLE")
		refused("", kept[0].id, other).fails("IOT_REPLAY_UNAVAILABLE")
		refused("?subscriptionId=iotsub_none", "", b).fails("NOT_FOUND")
		refused("?subscriptionId="+air, "", other).fails("NOT_FOUND")
		refused("", "", paired{}).fails("AGENT_AUTH_REQUIRED")
		refused("", "", r.pair(r.machine(), nil)).fails("AGENT_AUTH_INVALID")

		time.Sleep(9 * time.Minute)
		live := s.all()
		if last := live[len(live)-1]; last.event != "iot.subscription" || len(live) != 2*53+2 {
			t.Errorf("%d events came live, the last is %v", len(live), last)
		}
		quiet := r.stream(other, "").all()
		for range 8 { // more than are retained
			r.subscribe(b, "iotdev_lobby_air", "humidity", 3600)
		}
		time.Sleep(20 * time.Minute)
		refused("", kept[4].id, b).fails("IOT_REPLAY_UNAVAILABLE")
		if got := r.stream(b, "").all(); len(got) != 500 {
			t.Errorf("%d events are retained", len(got))
		}
		// Another pairing of the machine has its own events, for an hour.
		same(t, "the quiet pairing", ids(r.stream(other, "").all()), ids(quiet))
	})
}

// TestEventsAreRetainedForAnHour: older events cannot be replayed, even if they are few.
func TestEventsAreRetainedForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, sandbox.WithSessionTTL(48*time.Hour))
		b := r.pair(r.machine(), nil)
		r.subscribe(b, "iotdev_lobby_air", "climate", 60)
		time.Sleep(30 * time.Minute)
		look := func() []frame {
			s := r.stream(b, "")
			defer s.close()
			return s.all()
		}
		first := look()
		r.subscribe(b, "iotdev_lobby_air", "climate", 60)
		time.Sleep(30 * time.Minute)
		all := look()
		time.Sleep(30 * time.Second)
		part := look()
		if len(first) != 8 || len(all) != 16 || len(part) >= 16 || len(part) <= 8 {
			t.Errorf("%d, %d and %d events are retained", len(first), len(all), len(part))
		}
		r.call("GET", "/machines/"+b.machine+"/iot/events", nil, tokenHeader, b.token, "Last-Event-ID", all[0].id).fails("IOT_REPLAY_UNAVAILABLE")
		time.Sleep(time.Hour)
		if got := look(); len(got) != 0 {
			t.Errorf("%d events are retained after an hour", len(got))
		}
	})
}

func TestEventStreamHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		b := r.pair(r.machine(), nil)
		begun := time.Now()
		s := r.stream(b, "")
		time.Sleep(time.Minute + time.Second)
		for i := range 4 {
			f := <-s.frames
			if f.comment == "" || !f.at.Equal(begun.Add(time.Duration(i+1)*15*time.Second)) {
				t.Errorf("heartbeat %d: %v", i, f)
			}
		}
		s.close()
		synctest.Wait()
		if open := r.openSockets(); open != "0" {
			t.Errorf("%s streams are open after the reader has left", open)
		}
	})
}

func TestEventStreamEnds(t *testing.T) {
	for _, c := range []struct {
		what string
		end  func(*harness, paired)
		code string
	}{
		{"the pairing is revoked", func(r *harness, b paired) {
			r.call("DELETE", "/machines/"+b.machine+"/agent-pairings/"+b.id, nil).ok(204)
		}, "AGENT_PAIRING_INACTIVE"},
		{"the pairing is paused", func(r *harness, b paired) {
			r.call("PATCH", "/machines/"+b.machine+"/agent-pairings/"+b.id, object{"status": "paused"}).ok(200)
		}, "AGENT_PAIRING_INACTIVE"},
		{"the policy changes", func(r *harness, b paired) {
			r.call(
				"PATCH", "/machines/"+b.machine+"/agent-pairings/"+b.id,
				object{"delegationPolicy": object{"allowedSkillKeys": []string{"x"}}},
			).ok(200)
		}, "AGENT_AUTH_INVALID"},
		{"the session ends", func(*harness, paired) { time.Sleep(time.Hour) }, "AGENT_AUTH_EXPIRED"},
		{"the server restarts", func(r *harness, _ paired) { r.s.Restart(true) }, ""},
		{"the machine is archived", func(r *harness, b paired) { r.call("DELETE", "/machines/"+b.machine, nil).ok(204) }, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t, sandbox.WithSessionTTL(time.Hour))
				b := r.pair(r.machine(), nil)
				s := r.stream(b, "")
				c.end(r, b)
				time.Sleep(16 * time.Second)
				got := s.all()
				if _, more := <-s.frames; more {
					t.Fatal("the stream continues")
				}
				switch {
				case c.code == "" && len(got) == 0:
				case len(got) == 1 && got[0].event == "iot.error" && got[0].id == "":
					e := got[0].data["error"].(object)
					if e["code"] != c.code || e["message"] == "" {
						t.Errorf("it ended with %v", e)
					}
				default:
					t.Errorf("it ended with %v", got)
				}
			})
		})
	}
}

func TestEventStreamOverLoopback(t *testing.T) {
	r := newHarness(t)
	b := r.pair(r.machine(), nil)
	r.onLoopback()
	id := r.subscribe(b, "iotdev_front_door", "state", 60)
	s := r.stream(b, "?subscriptionId="+id)
	s.next(t)
	s.next(t)
	r.run(b, smartDoors, "execute-action", open("iotdev_front_door", "cmd-1"))
	if f := s.next(t); f.event != "iot.data" || f.data["sample"].(object)["value"] != "OPEN" {
		t.Errorf("opened: %v", f)
	}
	res, err := r.client.Do(r.request(http.MethodHead, "/machines/"+b.machine+"/iot/events", nil, "x-agent-pairing-token", b.token))
	if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %v %v", res, err)
	}
	_ = r.s.Close()
	for range s.frames {
	}
}

func TestSubscriptionsSurviveARestart(t *testing.T) {
	file := t.TempDir() + "/state.json"
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, sandbox.WithStateFile(file))
		b := r.pair(r.machine(), nil)
		r.subscribe(b, "iotdev_lobby_air", "temperature", 600)
		r.run(b, smartDoors, "execute-action", open("iotdev_front_door", "cmd-1"))
		time.Sleep(time.Minute)
		kept := r.stream(b, "").all()
		if err := r.s.Close(); err != nil {
			t.Fatal(err)
		}
		after := newHarness(t, sandbox.WithStateFile(file))
		time.Sleep(time.Minute)
		got := after.stream(b, "", "Last-Event-ID", kept[3].id).all()
		if len(got) != len(kept)-4+6 || got[0].id != kept[4].id {
			t.Errorf("%d events before the restart, %d after", len(kept), len(got))
		}
		after.ordered(b, smartDoors, "execute-action", open("iotdev_back_door", "cmd-1")).fails("ONEM2M_COMMAND_CONFLICT")
	})
}

func TestSubscriptionsAreBounded(t *testing.T) {
	r := newHarness(t)
	b := r.pair(r.machine(), nil)
	for range 50 {
		r.subscribe(b, "iotdev_lobby_air", "temperature", 60)
	}
	id := r.ordered(b, readings, "subscribe-events", lease("iotdev_lobby_air", "temperature", 60)).ok(201).str("item.id")
	r.as(b, "POST", fmt.Sprintf("/market/orders/%s/execute", id), object{}).fails("VALIDATION_ERROR")
}

// TestEventStreamFallsBehind: a reader that falls behind the retained events gets an error and
// starts over.
func TestEventStreamFallsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		b := r.pair(r.machine(), nil)
		r.subscribe(b, "iotdev_front_door", "state", 3600)
		res, err := r.client.Do(r.request("GET", "/machines/"+b.machine+"/iot/events", nil, "x-agent-pairing-token", b.token))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		for i := range 600 { // nobody reads in the meantime
			r.run(b, smartDoors, "execute-action", open("iotdev_front_door", fmt.Sprint("cmd-", i)))
		}
		text, err := io.ReadAll(res.Body)
		frames := strings.Split(strings.TrimSpace(string(text)), "\n\n")
		if last := frames[len(frames)-1]; err != nil || !strings.HasPrefix(last, "event: iot.error\ndata: ") ||
			!strings.Contains(last, "IOT_REPLAY_UNAVAILABLE") {
			t.Errorf("%d frames, the last is %s (%v)", len(frames), last, err)
		}
		if got := r.stream(b, "").all(); len(got) != 500 {
			t.Errorf("%d events are there for a new start", len(got))
		}
	})
}

// TestEventStreamSlowReader: a reader that does not read loses its stream, in process and over a
// socket; so does one whose context ends, even if it never reads.
func TestEventStreamSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		b := r.pair(r.machine(), nil)
		r.subscribe(b, "iotdev_lobby_air", "temperature", 3600)
		ctx, leave := context.WithCancel(t.Context())
		for _, req := range []*http.Request{
			r.request("GET", "/machines/"+b.machine+"/iot/events", nil), r.request("GET", "/events", nil).WithContext(ctx),
		} {
			req.Header.Set(tokenHeader, b.token)
			res, err := r.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
		}
		synctest.Wait()
		if open := r.openSockets(); open != "2" {
			t.Fatalf("%s streams are open", open)
		}
		r.machine() // an event for the other stream
		leave()
		synctest.Wait()
		if open := r.openSockets(); open != "1" {
			t.Errorf("%s streams are open after one reader has left", open)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if open := r.openSockets(); open != "0" {
			t.Errorf("%s streams are open after no read for 10 s", open)
		}
	})
}
