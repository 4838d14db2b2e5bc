package main

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// turn is one client's turn at one task: beat, list or sign.
type turn struct {
	Base   string `json:"base"`
	Client string `json:"client"` // sdk, floor or python
	Task   string `json:"task"`
	Calls  int    `json:"calls"` // beat and sign: that many; list: machines per page, 0 leaves it to the server
}

// play takes the turn in this process.
func (t turn) play(ctx context.Context) (measured, error) {
	switch t.Client + " " + t.Task {
	case "sdk beat":
		c, err := sdk.New(t.Base)
		if err != nil {
			return measured{}, err
		}
		return repeat(t.Calls, func() error { return beat(ctx, c) })
	case "sdk list":
		c, err := sdk.New(t.Base, sdk.WithAPIKey(sdk.NewSecret(apiKey)))
		if err != nil {
			return measured{}, err
		}
		all := c.Machines.All(ctx, sdk.ListOptions{Limit: sdk.NonZero(t.Calls)})
		return walk(t.Base, all, func(m sdk.Machine) string { return m.ID })
	case "sdk sign":
		key, err := keystore.ParseKey([]byte("0x" + strings.Repeat("4b", 32)))
		if err != nil {
			return measured{}, err
		}
		signer, n := key.Signer(), 0
		return repeat(t.Calls, func() error {
			n++
			_, err := signer.SignText("machineId: 42\nsentAt: " + strconv.Itoa(n))
			return err
		})
	case "floor beat":
		f := newFloor(t.Base)
		return repeat(t.Calls, func() error { return f.beat(ctx) })
	case "floor list":
		return walk(t.Base, newFloor(t.Base).machines(ctx, t.Calls), func(m floorMachine) string { return m.ID })
	}
	return measured{}, fmt.Errorf("no client %q has a task %q", t.Client, t.Task)
}

// repeat makes a call over and over, after a tenth of the calls that warms up.
func repeat(calls int, call func() error) (measured, error) {
	for range calls / 10 {
		if err := call(); err != nil {
			return measured{}, err
		}
	}
	watch := start()
	for range calls {
		if err := call(); err != nil {
			return measured{}, err
		}
	}
	return watch.stop(calls), nil
}

// walk goes over all machines and keeps none.
func walk[T any](base string, all iter.Seq2[T, error], id func(T) string) (measured, error) {
	before, err := pagesGiven(base)
	if err != nil {
		return measured{}, err
	}
	n, first := 0, 0
	watch := start()
	for m, err := range all {
		if err != nil {
			return measured{}, err
		}
		if want := fmt.Sprintf("mach_%06d", n); n%1000 == 0 && id(m) != want {
			return measured{}, fmt.Errorf("machine %d is %s", n, id(m))
		}
		if n++; n == 1 {
			if first, err = pagesGiven(base); err != nil {
				return measured{}, err
			}
		}
	}
	out := watch.stop(n)
	out.PagesAtFirst = first - before
	if n != machines {
		return out, fmt.Errorf("%d machines came, not %d", n, machines)
	}
	return out, nil
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
		err = fmt.Errorf("the answer is %+v", result)
	}
	return err
}
