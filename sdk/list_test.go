package sdk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func listedMachine(id, status string) string {
	return `{"id":"` + id + `","displayName":"","status":"` + status + `","ownerId":"","machineType":"","runtimeProfile":"",` +
		`"createdAt":"c","updatedAt":"u"}`
}

// paging starts a server of one list: page returns the items and the next cursor.
func paging(t *testing.T, page func(cursor string) (items []string, next string)) (*Client, *atomic.Int32) {
	t.Helper()
	requests := new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		items, next := page(r.URL.Query().Get("cursor"))
		fmt.Fprintf(w, `{"items":[%s],"nextCursor":%q}`, strings.Join(items, ","), next)
	}))
	t.Cleanup(server.Close)
	c, err := New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return c, requests
}

// numbered is a list of n pages with one machine each: m0, m1, …
func numbered(n int) func(string) ([]string, string) {
	return func(cursor string) ([]string, string) {
		at, _ := strconv.Atoi(cursor)
		next := ""
		if at+1 < n {
			next = strconv.Itoa(at + 1)
		}
		return []string{listedMachine("m"+strconv.Itoa(at), "active")}, next
	}
}

func TestSequencesCanBeRangedAgain(t *testing.T) {
	c, _ := paging(t, numbered(3))
	all := c.Machines.All(t.Context(), ListOptions{})
	ids := func(stop int) (out []string) {
		for m, err := range all {
			if err != nil {
				t.Error(err)
			}
			if out = append(out, m.ID); len(out) == stop {
				break
			}
		}
		return out
	}
	for _, stop := range []int{0, 0, 1, 2, 0} { // also left early
		want := []string{"m0", "m1", "m2"}
		if stop > 0 {
			want = want[:stop]
		}
		if got := ids(stop); !slices.Equal(got, want) {
			t.Errorf("left after %d: %v", stop, got)
		}
	}
	pairs := 0
	for range all { // a range inside a range
		pairs += len(ids(0))
	}
	if pairs != 9 {
		t.Errorf("%d pairs", pairs)
	}
	from := c.Machines.All(t.Context(), ListOptions{Cursor: Some("1")})
	for range 2 {
		if got, err := collect(from); err != nil || len(got) != 2 || got[0].ID != "m1" {
			t.Errorf("from the second page: %v, %v", got, err)
		}
	}
}

// TestSequencesAreSafeForConcurrentUse: 24 goroutines share one client and its sequences, of
// every kind whose options hold more than the page.
func TestSequencesAreSafeForConcurrentUse(t *testing.T) {
	c, _ := paging(t, func(cursor string) ([]string, string) {
		at, _ := strconv.Atoi(cursor)
		if at == 4 {
			return nil, ""
		}
		return []string{listedMachine("m"+cursor, "active")}, strconv.Itoa(at + 1)
	})
	machines := c.Machines.All(t.Context(), ListOptions{})
	services := c.MarketServices.All(t.Context(), MarketServiceOptions{})
	skills := c.Skills.All(t.Context(), SkillOptions{})
	var group sync.WaitGroup
	for i := range 24 {
		group.Go(func() {
			count := 0
			for _, err := range machines {
				if err != nil {
					t.Error(err)
				}
				if count++; i%3 == 2 {
					break
				}
			}
			if want := []int{4, 4, 1}[i%3]; count != want {
				t.Errorf("goroutine %d got %d machines", i, count)
			}
			for _, err := range services { // the items have another shape
				if !errors.Is(err, ErrMalformed) {
					t.Error(err)
				}
			}
			for _, err := range skills {
				if !errors.Is(err, ErrMalformed) {
					t.Error(err)
				}
			}
			if _, err := c.MachineAgents.Heartbeat(t.Context(), benchBeat()); !errors.Is(err, ErrMalformed) {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestEndlessListsEnd(t *testing.T) {
	var n atomic.Int32
	item := listedMachine("x", "active")
	for name, page := range map[string]func(string) ([]string, string){
		"the same cursor": func(string) ([]string, string) { return []string{item}, "A" },
		"a circle of two": func(c string) ([]string, string) {
			return []string{item}, map[string]string{"A": "B"}[c] + strings.Repeat("A", btoi(c != "A"))
		},
		"a circle of fifty": func(c string) ([]string, string) {
			at, _ := strconv.Atoi(c)
			return []string{item}, strconv.Itoa(at%50 + 1)
		},
		"empty pages":         func(string) ([]string, string) { return nil, fmt.Sprint("c", n.Add(1)) },
		"one item, then none": func(c string) ([]string, string) { return []string{item}[btoi(c != ""):], fmt.Sprint("c", n.Add(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			c, requests := paging(t, page)
			_, err := collect(c.Machines.All(t.Context(), ListOptions{}))
			var fault *ListError
			if !errors.Is(err, ErrEndlessList) || !errors.Is(err, ErrMalformed) || errors.Is(err, ErrRetryable) || !errors.As(err, &fault) {
				t.Errorf("got %v", err)
			}
			if requests.Load() > MaxEmptyPages+2 {
				t.Errorf("%d requests", requests.Load())
			}
			agents := strings.Replace(item, `"displayName"`, `"machineId":"m","label":"l","displayName"`, 1)
			c, _ = paging(t, func(cursor string) ([]string, string) {
				items, next := page(cursor)
				for i := range items {
					items[i] = agents
				}
				return items, next
			})
			if _, err := c.MachineAgents.List(t.Context(), "m"); !errors.Is(err, ErrEndlessList) {
				t.Errorf("agents: %v", err)
			}
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestBoundsOfAWalk(t *testing.T) {
	w := newWalk("")
	for i := range MaxPages - 1 {
		if reason := w.next(strconv.Itoa(i), 1, MaxListTime/2); reason != "" {
			t.Fatalf("page %d: %s", i, reason)
		}
	}
	if reason := w.next("last", 1, 0); reason != "too many pages" {
		t.Errorf("after %d pages: %q", MaxPages, reason)
	}
	w = newWalk("")
	if reason := w.next("slow", 0, MaxListTime); reason != "no item for too long" {
		t.Errorf("after a slow page: %q", reason)
	}
}

// TestHonestListsAreWhole: thousands of pages, with some empty ones in between.
func TestHonestListsAreWhole(t *testing.T) {
	c, _ := paging(t, func(cursor string) ([]string, string) {
		at, _ := strconv.Atoi(cursor)
		items, next := []string{listedMachine("m"+cursor, "active")}, strconv.Itoa(at+1)
		if at%100 < 19 {
			items = nil
		}
		if at == 3000 {
			next = ""
		}
		return items, next
	})
	got, err := collect(c.Machines.All(t.Context(), ListOptions{}))
	if err != nil || len(got) != 3001-31*19+18 {
		t.Errorf("%d machines, %v", len(got), err)
	}
}

// TestListsWithoutOptionsReadEveryPage: agents, policies, transports and rails.
func TestListsWithoutOptionsReadEveryPage(t *testing.T) {
	const stamps = `"createdAt":"c","updatedAt":"u"`
	const agent = `{"id":"a","machineId":"m","label":"l","status":"active",` + stamps + `}`
	for name, tt := range map[string]struct {
		item string
		call func(context.Context, *Client) (int, error)
	}{
		"agents": {agent, func(ctx context.Context, c *Client) (int, error) {
			out, err := c.MachineAgents.List(ctx, "m")
			return len(out), err
		}},
		"all agents": {agent, func(ctx context.Context, c *Client) (int, error) {
			out, err := collect(c.MachineAgents.All(ctx, "m", ListOptions{}))
			return len(out), err
		}},
		"policies": {
			`{"id":"p","name":"n","nativeOnly":true,"handoffAllowed":true,` + stamps + `}`,
			func(ctx context.Context, c *Client) (int, error) {
				out, err := collect(c.Policies.All(ctx, ListOptions{}))
				return len(out), err
			},
		},
		"transports": {`{"mode":"pigeon"}`, func(ctx context.Context, c *Client) (int, error) {
			out, err := c.Delivery.Transports(ctx)
			return len(out), err
		}},
		"rails": {`{"type":"shells"}`, func(ctx context.Context, c *Client) (int, error) {
			out, err := c.Delivery.PaymentRails(ctx)
			return len(out), err
		}},
	} {
		for _, pages := range []int{1, 2, 3, 7} {
			c, requests := paging(t, func(cursor string) ([]string, string) {
				at, _ := strconv.Atoi(cursor)
				if at+1 == pages {
					return []string{tt.item}, ""
				}
				return []string{tt.item}, strconv.Itoa(at + 1)
			})
			if got, err := tt.call(t.Context(), c); err != nil || got != pages || int(requests.Load()) != pages {
				t.Errorf("%s: %d items of %d pages in %d requests, %v", name, got, pages, requests.Load(), err)
			}
		}
	}
	c, _ := paging(t, func(string) ([]string, string) { return []string{`{"type":"shells"}`}, "ignored" })
	if rails, err := c.Delivery.PaymentRails(t.Context()); err != nil || len(rails) != 1 {
		t.Errorf("a server that ignores the cursor: %v, %v", rails, err)
	}
}

// TestUnknownStatusInAPage: it hides no other item, unless the client is strict. A single
// machine, and everything else about an item, is always checked.
func TestUnknownStatusInAPage(t *testing.T) {
	page := func(string) ([]string, string) {
		return []string{listedMachine("a", "active"), listedMachine("b", "decommissioned"), listedMachine("c", "draft")}, ""
	}
	c, _ := paging(t, page)
	got, err := c.Machines.List(t.Context(), ListOptions{})
	if err != nil || len(got.Items) != 3 || got.Items[1].Status != "decommissioned" {
		t.Errorf("got %v, %v", got, err)
	}
	WithStrictStatus()(c)
	_, err = c.Machines.List(t.Context(), ListOptions{})
	if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "items[1].status must be one of draft, active") {
		t.Errorf("strict: %v", err)
	}
	c, _ = paging(t, func(string) ([]string, string) { return []string{listedMachine("a", "")}, "" })
	if _, err = c.Machines.List(t.Context(), ListOptions{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("without a status: %v", err)
	}
	one, _ := serve(t, reply{body: `{"item":` + strings.Replace(machineJSON, `"active"`, `"decommissioned"`, 1) + `}`})
	if _, err := getMachine(one); !errors.Is(err, ErrMalformed) {
		t.Errorf("one machine: %v", err)
	}
}
