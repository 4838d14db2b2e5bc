package main

import (
	"math/rand/v2"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

func TestAgree(t *testing.T) {
	shape, bad := verdict{Code: sdk.CodeInvalidResponseShape}, verdict{Code: sdk.CodeBadResponse}
	good, leak := verdict{OK: true}, verdict{Error: "KeyError: 'id'"}
	for _, c := range []struct {
		strict       bool
		body         string
		ours, theirs verdict
		want         string
	}{
		{true, "{}", good, good, same},
		{true, "{}", shape, shape, same},
		{true, "{}", bad, bad, same},
		{true, "{}", shape, leak, same},
		{true, "{}", shape, good, different},
		{false, "{}", shape, good, stricter},
		{false, "{}", good, leak, different},
		{true, "{}", good, shape, different},
		{true, "{}", bad, shape, different},
		{true, "\xff", bad, shape, stricter},
		{true, "{}", verdict{Code: "?"}, good, different},
	} {
		if got := agree(c.strict, c.body, c.ours, c.theirs); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestMutateIsReproducible: a seed gives the same run.
func TestMutateIsReproducible(t *testing.T) {
	all, err := readRecordings("../../sdk/testdata/wire")
	if err != nil {
		t.Fatal(err)
	}
	a, b := rand.New(rand.NewPCG(7, 0)), rand.New(rand.NewPCG(7, 0))
	changed := 0
	for _, r := range all {
		first, second := mutate(a, r.body), mutate(b, r.body)
		if first != second {
			t.Errorf("%s: %q, then %q", r.method, first, second)
		}
		if first != r.body {
			changed++
		}
	}
	if changed < len(all)/2 {
		t.Errorf("%d of %d bodies were changed", changed, len(all))
	}
}
