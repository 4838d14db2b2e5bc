package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// pagedServer is a sandbox whose list of agents begins with earlier revoked ones, and is
// cut into pages by offset.
type pagedServer struct {
	server  *sandbox.Server
	earlier int           // revoked agents before the sandbox's own
	size    int           // the largest page
	delay   time.Duration // per page
	endless bool          // empty pages whose cursor always advances
	shift   func(page, earlier int) int
	pages   int
}

func (p *pagedServer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/agents") {
		return p.server.Transport().RoundTrip(r)
	}
	p.pages++
	time.Sleep(p.delay)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	machine := strings.Split(r.URL.Path, "/")[4]
	var all []map[string]any
	earlier := p.earlier
	if p.shift != nil {
		earlier = p.shift(p.pages, earlier)
	}
	for i := range earlier {
		all = append(all, agentItem(fmt.Sprintf("magt_earlier%d", p.earlier-i), machine, fmt.Sprintf("old#aaaa%04d", i), "revoked"))
	}
	for _, a := range p.server.Agents(machine) {
		all = append(all, agentItem(a.ID, machine, a.Label, a.Status))
	}
	offset, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil {
		limit = 100
	}
	limit = min(limit, p.size)
	begin, end := min(offset, len(all)), min(offset+limit, len(all))
	body := map[string]any{"items": append([]map[string]any{}, all[begin:end]...), "nextCursor": nil}
	if end < len(all) {
		body["nextCursor"] = strconv.Itoa(end)
	}
	if p.endless {
		body = map[string]any{"items": []any{}, "nextCursor": fmt.Sprint("c", p.pages)}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(text))), Request: r,
	}, nil
}

func agentItem(id, machine, label, state string) map[string]any {
	now := time.Now().UTC().Format(time.RFC3339)
	return map[string]any{"id": id, "machineId": machine, "label": label, "status": state, "createdAt": now, "updatedAt": now}
}

// paged makes the agent see the sandbox through pages.
func (l *life) paged(earlier, size int) *pagedServer {
	p := &pagedServer{server: l.server, earlier: earlier, size: size}
	l.transport = p
	l.reopen()
	return p
}

// TestManyEarlierAgents: however many agents the machine had and however the list is
// paged, no previous agent stays active.
func TestManyEarlierAgents(t *testing.T) {
	for _, earlier := range []int{0, 99, 100, 101, 1000} {
		for _, size := range []int{1, 7, 100, 500} {
			if earlier == 1000 && size < 100 {
				size *= 20 // a page of 1 is covered by the shorter lists
			}
			t.Run(fmt.Sprintf("%d in pages of %d", earlier, size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newLife(t, "demo")
					defer func() { l.close() }()
					l.paged(earlier, size)
					l.mustEnroll()
					for range 2 {
						r := l.mustRotate()
						if len(r.Revoked) != 1 {
							t.Errorf("rotate revoked %v", r.Revoked)
						}
						l.onlyActive(r.AgentID)
					}
					r, err := l.enroll(func(r *EnrollRequest) { r.Force = true })
					if err != nil {
						t.Fatal(err)
					}
					l.onlyActive(r.AgentID)
					l.server.SetFault(onPath("/enrollment", sandbox.Fault{Lost: true}))
					_, _ = l.enroll(func(r *EnrollRequest) { r.Force = true })
					l.server.SetFault(nil)
					if r, err = l.enroll(nil); err != nil {
						t.Fatal(err)
					}
					l.onlyActive(r.AgentID)
				})
			})
		}
	}
}

// TestManyPredecessors: an ephemeral store revokes its predecessors on every page.
func TestManyPredecessors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.paged(150, 100)
		first := l.mustEnroll()
		if err := os.RemoveAll(l.cfg.Keystore.Dir); err != nil {
			t.Fatal(err)
		}
		l.reopen()
		r, err := l.enroll(func(r *EnrollRequest) { r.predecessors = true })
		if err != nil || r.AgentID == first.AgentID {
			t.Fatalf("%+v, %v", r, err)
		}
		l.onlyActive(r.AgentID)
	})
}

// TestListChangesWhileRead: items are added and removed between two pages, so that one
// walk misses an agent.
func TestListChangesWhileRead(t *testing.T) {
	for name, shift := range map[string]func(page, earlier int) int{
		"removed": func(page, earlier int) int {
			if page > 2 {
				return earlier - 3
			}
			return earlier
		},
		"added": func(page, earlier int) int {
			if page <= 2 {
				return earlier - 3
			}
			return earlier
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				defer func() { l.close() }()
				p := l.paged(198, 100)
				l.server.SetFault(onPath("/enrollment", sandbox.Fault{Lost: true}))
				_, _ = l.enroll(nil)
				l.server.SetFault(nil)
				p.shift, p.pages = shift, 0
				r := l.mustEnroll()
				l.onlyActive(r.AgentID)
			})
		})
	}
}

// TestEndlessList: a list that does not end ends the command after half a minute.
func TestEndlessList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		p := l.paged(0, 100)
		l.mustEnroll()
		p.endless, p.delay = true, 20*time.Millisecond
		began := time.Now()
		_, err := l.rotate()
		if err == nil {
			t.Error("rotate succeeded although the previous agent was not looked for everywhere")
		}
		if took := time.Since(began); took > 2*lookupLimit {
			t.Errorf("it took %s: %v", took, err)
		}
		p.endless = false
		l.onlyActive(l.mustRotate().AgentID)
	})
}

// TestRestoredStore: the store is restored from before the last rotation. The agent that
// was enrolled after that is named, and rotate revokes it.
func TestRestoredStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		first := l.mustEnroll()
		l.close()
		backup := t.TempDir()
		copyDir(t, l.cfg.Keystore.Dir, backup)
		l.open()
		second := l.mustRotate()
		third := l.mustRotate()
		l.close()
		restore(t, backup, l.cfg.Keystore.Dir)
		l.open()
		e := l.mustEnroll()
		if e.Changed || e.AgentID != first.AgentID || len(e.OtherAgents) != 1 || e.OtherAgents[0].AgentID != third.AgentID || !e.OtherAgents[0].OurLabel {
			t.Errorf("enroll names %+v, want %s", e.OtherAgents, third.AgentID)
		}
		r := l.mustRotate()
		l.onlyActive(r.AgentID)
		if !slices.Contains(r.Revoked, third.AgentID) || slices.Contains(r.Revoked, second.AgentID) {
			t.Errorf("revoked %v", r.Revoked)
		}
	})
}

// TestSecondDevice: another device with an agent of the same machine is named, and never
// revoked.
func TestSecondDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		first := l.mustEnroll()
		other := newLife(t, "demo")
		defer func() { other.close() }()
		other.server = l.server
		other.reopen()
		r := other.mustEnroll()
		if len(r.OtherAgents) != 1 || r.OtherAgents[0].AgentID != first.AgentID || r.OtherAgents[0].LastSeenAt == nil {
			t.Errorf("the second enrollment names %+v", r.OtherAgents)
		}
		rotated := other.mustRotate()
		if len(rotated.OtherAgents) != 1 || rotated.OtherAgents[0].AgentID != first.AgentID || len(l.activeAgents()) != 2 {
			t.Errorf("rotate names %+v, active are %+v", rotated.OtherAgents, l.activeAgents())
		}
	})
}

// TestRenamedMachine: the record under the previous name is taken over; one that was left
// next to a newer record is revoked and dropped.
func TestRenamedMachine(t *testing.T) {
	rename := func(l *life, name string) {
		l.close()
		machines := slices.Clone(l.cfg.Machines)
		machines[0].Name = name
		cfg := *l.cfg
		cfg.Machines = machines
		l.cfg = &cfg
		l.open()
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.cfg.Machines[0].IdentityRef = "did:peaq:42"
		first := l.mustEnroll()
		rename(l, "front")
		if m := l.status(); m.Cause == nil || !strings.Contains(m.Cause.Text, "under the name main") {
			t.Errorf("status says %+v", m.Cause)
		}
		if r := l.mustEnroll(); r.Changed || r.AgentID != first.AgentID {
			t.Errorf("enroll under the new name: %+v", r)
		}
		l.onlyActive(first.AgentID)
		r := l.mustRotate()
		rename(l, "back")
		l.start()
		time.Sleep(time.Minute)
		l.want(status.Online, "")
		if m := l.status(); m.AgentID != r.AgentID {
			t.Errorf("the daemon runs as %s, want %s", m.AgentID, r.AgentID)
		}
		left, err := l.agent.store.Agent("back")
		if err != nil {
			t.Fatal(err)
		}
		old := *left
		old.AgentID = second(t, l, left.MachineID)
		if err := l.agent.store.PutAgent("older", &old); err != nil {
			t.Fatal(err)
		}
		l.onlyActive(l.mustRotate().AgentID)
		if found := l.agent.renamed("back", left.MachineID, ""); len(found) != 0 {
			t.Errorf("left under other names: %+v", found)
		}
	})
}

// second enrolls an agent that no record of the store holds.
func second(t *testing.T, l *life, machineID string) string {
	t.Helper()
	api, err := newClient(l.cfg, l.server.Transport(), "test", sdk.NewSecret(testAPIKey))
	if err != nil {
		t.Fatal(err)
	}
	a, err := api.MachineAgents.Enroll(context.Background(), machineID, sdk.EnrollMachineAgent{Label: sdk.Some("older#aaaaaaaa")})
	if err != nil {
		t.Fatal(err)
	}
	return a.ID
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// restore puts a backup of a store back, with the modes of a store.
func restore(t *testing.T, backup, dir string) {
	t.Helper()
	copyDir(t, backup, dir)
	if err := os.Chmod(dir+"/keystore", 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir + "/keystore")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Chmod(dir+"/keystore/"+f.Name(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFamily: the labels of one store share four characters; a label from a grant does
// not count.
func TestFamily(t *testing.T) {
	first := attemptLabel("lab", "")
	r := newRecordFor(first)
	next := attemptLabel("lab", familyOf(r))
	if !isAttemptOf("lab", next) || next == first || !strings.HasPrefix(next, familyOf(r)) {
		t.Errorf("%s after %s, family %s", next, first, familyOf(r))
	}
	r.Attempts = nil
	if family := familyOf(r); family != "" {
		t.Errorf("a label that is not known to be ours gives the family %s", family)
	}
	if config.TextFault(next) != "" {
		t.Error(next)
	}
}

func newRecordFor(label string) *keystore.Agent {
	return &keystore.Agent{AgentID: "magt_1", Label: label, Attempts: []string{label}}
}
