package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// How the lists of the orchestrator are read: all pages of them, within limits. A page
// is cut by its offset, so an item that is added or removed while the pages are read
// moves others from one page to the next, and one of them is not seen. Therefore a list
// of several pages is complete only when two walks in a row saw the same items.

const (
	// lookupLimit is the longest time that reading one list takes.
	lookupLimit = 30 * time.Second
	// lookupItems is the largest number of items of a list that is read.
	lookupItems = 100_000
	// lookupWalks is how often a list that changes is read before that is an error.
	lookupWalks = 5
	// lookupPage is the page size that is asked for, the largest of the API.
	lookupPage = 500
)

// errLookupTime is the cause of a context that ends because lookupLimit has passed.
var errLookupTime = fmt.Errorf("the list did not end within %s", lookupLimit)

// walk reads a list once and returns its items by key.
func walk[T any](ctx context.Context, all func(context.Context, sdk.ListOptions) func(func(T, error) bool), key func(T) string) (map[string]T, error) {
	seen := map[string]T{}
	for item, err := range all(ctx, sdk.ListOptions{Limit: sdk.Some(lookupPage)}) {
		if err != nil {
			return nil, lookupFault(ctx, err)
		}
		if seen[key(item)] = item; len(seen) > lookupItems {
			return nil, status.NewProblem(status.CodeMalformedResponse, fmt.Sprintf("a list has more than %d items", lookupItems))
		}
		if ctx.Err() != nil {
			return nil, lookupFault(ctx, ctx.Err())
		}
	}
	return seen, nil
}

// lookupFault explains why a list could not be read to its end.
func lookupFault(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errLookupTime) {
		return status.NewProblem(status.CodeTimeout, errLookupTime.Error()).Wrap(err)
	}
	return err
}

// complete reads a list until two walks in a row saw the same items, and returns all
// that any walk saw.
func complete[T any](ctx context.Context, all func(context.Context, sdk.ListOptions) func(func(T, error) bool), key func(T) string) ([]T, error) {
	union := map[string]T{}
	var last map[string]T
	for range lookupWalks {
		seen, err := walk(ctx, all, key)
		if err != nil {
			return nil, err
		}
		maps.Copy(union, seen)
		if last != nil && sameKeys(last, seen) {
			return inOrder(union), nil
		}
		last = seen
	}
	return nil, status.NewProblem(status.CodeServerError, fmt.Sprintf("a list changed in each of %d readings", lookupWalks))
}

func sameKeys[T any](a, b map[string]T) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if _, ok := b[k]; !ok {
			return false
		}
	}
	return true
}

// inOrder returns the values sorted by key, so that the same list gives the same
// result.
func inOrder[T any](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

// ListAgents returns every agent of a machine, revoked ones included. It reads all pages
// of the list, as often as needed to be sure that none was missed.
func ListAgents(ctx context.Context, api *sdk.Client, machineID string) ([]sdk.MachineAgent, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookupLimit, errLookupTime)
	defer cancel()
	first, err := api.MachineAgents.ListPage(ctx, machineID)
	if err != nil {
		return nil, lookupFault(ctx, err)
	}
	agents := first.Items
	if first.NextCursor != "" {
		all := func(ctx context.Context, o sdk.ListOptions) func(func(sdk.MachineAgent, error) bool) {
			return api.MachineAgents.All(ctx, machineID, o)
		}
		if agents, err = complete(ctx, all, func(a sdk.MachineAgent) string { return a.ID }); err != nil {
			return nil, err
		}
	}
	for _, a := range agents {
		if !validID(a.ID) {
			return nil, malformedID("agent")
		}
	}
	return agents, nil
}

// machineOf looks for an identity among the account's machines; nil if none has it.
// That none has it counts only when two walks in a row saw the same machines.
func machineOf(ctx context.Context, api *sdk.Client, identityRef string) (*sdk.Machine, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookupLimit, errLookupTime)
	defer cancel()
	want := config.CanonicalRef(identityRef)
	var found *sdk.Machine
	find := func(m sdk.Machine) bool {
		if m.IdentityRef == "" || config.CanonicalRef(m.IdentityRef) != want || m.Status == sdk.MachineArchived {
			return false
		}
		found = &m
		return true
	}
	first, err := api.Machines.List(ctx, sdk.ListOptions{Limit: sdk.Some(lookupPage)})
	if err != nil {
		return nil, lookupFault(ctx, err)
	}
	if !slices.ContainsFunc(first.Items, find) && first.NextCursor != "" {
		var last map[string]sdk.Machine
		for range lookupWalks {
			seen, err := walk(ctx, func(ctx context.Context, o sdk.ListOptions) func(func(sdk.Machine, error) bool) {
				return api.Machines.All(ctx, o)
			}, func(m sdk.Machine) string { return m.ID })
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(inOrder(seen), find) || (last != nil && sameKeys(last, seen)) {
				break
			}
			last = seen
		}
	}
	if found != nil && !validID(found.ID) {
		return nil, malformedID("machine")
	}
	return found, nil
}

// validID reports whether an id of the orchestrator has the form of one: 1 to 128
// letters, digits and . _ ~ -, and not a step of a path. Ids become parts of URLs and
// are shown to people.
func validID(id string) bool { return config.IDFault(id) == "" }

// malformedID is the error of a response with an id that is not one.
func malformedID(of string) *status.Problem {
	return status.NewProblem(status.CodeMalformedResponse, "the id of the "+of+" is not valid")
}
