package sandbox_test

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPlatformEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		id := r.machine()
		all, mine := r.openStream("/events"), r.openStream("/events?machineId="+id)
		agent := r.enroll(id)
		r.machine()
		if got := mine.all(); len(got) != 1 || got[0].event != "machine-agent.enrolled" ||
			got[0].data["resourceId"] != agent.id || got[0].data["id"] != got[0].id {
			t.Errorf("of one machine: %v", got)
		}
		got := all.all()
		if len(got) != 3 || got[1].event != "machine.created" {
			t.Errorf("of all: %v", got)
		}
		rest := r.openStream("/events?cursor=" + got[0].id).all()
		if len(rest) != 2 || rest[0].id != got[1].id {
			t.Errorf("after a cursor: %v", rest)
		}
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if f := <-all.frames; f.comment == "" {
			t.Errorf("got %v instead of a heartbeat", f)
		}
		r.get("/events?cursor=aud_none").fails("VALIDATION_ERROR")
		r.get("/events?machineId=mach_none").fails("NOT_FOUND")
		r.s.Restart(true)
		for range all.frames {
		}
	})
}
