// Command client runs one job with the Go SDK, or with the floor it is compared to:
// heartbeats one after the other, or a list of all machines. The floor is what one
// writes by hand with net/http and encoding/json; it checks nothing but the status.
// Both use the same transport with the same limits. python_client.py does the jobs
// of the Python SDK.
package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"

	"github.com/peaqnetwork/peaqos-agent/check/bench/measure"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// What the server stores and expects.
const (
	machines   = 10_000
	agentToken = "bench-agent-token"
	apiKey     = "bench-api-key"
)

func main() { measure.Main(run) }

func run(j measure.Job) (measure.Result, error) {
	ctx := context.Background()
	switch j.Client + " " + j.Task {
	case "sdk beat":
		c, err := sdk.New(j.Base)
		if err != nil {
			return measure.Result{}, err
		}
		return measure.Repeat(j.Calls, func() error { return beat(ctx, c) })
	case "sdk list":
		c, err := sdk.New(j.Base, sdk.WithAPIKey(sdk.NewSecret(apiKey)))
		if err != nil {
			return measure.Result{}, err
		}
		all := c.Machines.All(ctx, sdk.ListOptions{Limit: sdk.NonZero(j.Calls)})
		return walk(j.Base, all, func(m sdk.Machine) string { return m.ID })
	case "floor beat":
		f := newFloor(j.Base)
		return measure.Repeat(j.Calls, func() error { return f.beat(ctx) })
	case "floor list":
		return walk(j.Base, newFloor(j.Base).machines(ctx, j.Calls), func(m floorMachine) string { return m.ID })
	}
	return measure.Result{}, fmt.Errorf("no client %q has a task %q", j.Client, j.Task)
}

// walk iterates over all machines and keeps none.
func walk[T any](base string, all iter.Seq2[T, error], id func(T) string) (measure.Result, error) {
	before, err := pagesServed(base)
	if err != nil {
		return measure.Result{}, err
	}
	n, first := 0, 0
	watch := measure.Start()
	for m, err := range all {
		if err != nil {
			return measure.Result{}, err
		}
		if want := fmt.Sprintf("mach_%06d", n); n%1000 == 0 && id(m) != want {
			return measure.Result{}, fmt.Errorf("machine %d is %s", n, id(m))
		}
		if n++; n == 1 {
			if first, err = pagesServed(base); err != nil {
				return measure.Result{}, err
			}
		}
	}
	out := watch.Stop(n)
	out.PagesAtFirst = first - before
	if n != machines {
		return out, fmt.Errorf("%d machines were returned, want %d", n, machines)
	}
	return out, nil
}

// pagesServed asks the server how many pages it has served so far.
func pagesServed(base string) (int, error) {
	res, err := http.Get(base + "/pages")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}

func beat(ctx context.Context, c *sdk.Client) error {
	result, err := c.MachineAgents.Heartbeat(ctx, sdk.Heartbeat{
		MachineID: "mach_0001", AgentID: "magt_0001", AgentToken: sdk.NewSecret(agentToken), LeaseTTLSeconds: sdk.Some(90),
		Endpoints: []sdk.HeartbeatEndpoint{{
			ProviderKey: "qvac", EndpointBaseURL: "http://127.0.0.1:11434", AuthType: sdk.Some("none"),
			NetworkScope: sdk.Some("loopback"), ProbePath: sdk.Some("/v1/models"),
		}},
	})
	if err == nil && (result.LeaseTTLSeconds != 90 || len(result.Endpoints) != 1) {
		err = fmt.Errorf("the response is %+v", result)
	}
	return err
}
