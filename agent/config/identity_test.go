package config

import (
	"math/big"
	"regexp"
	"strings"
	"testing"
)

func TestIdentityRefs(t *testing.T) {
	const most = "115792089237316195423570985008687907853269984665640564039457584007913129639935" // 2^256-1
	for ref, ok := range map[string]bool{
		"did:peaq:0": true, "did:peaq:42": true, "peaqos:machine:42": true, "did:peaq:" + most: true,
		"did:peaq:" + most[:77] + "6": false, "did:peaq:1" + most: false, "did:peaq:00": false, "did:peaq:042": false, "did:peaq:+1": false, "did:peaq:-1": false,
		"did:peaq: 1": false, "did:peaq:1 ": false, "did:peaq:٤٢": false, "did:peaq:": false, "did:peaq:1e3": false, "did:peaq:0x2a": false,
		"DID:PEAQ:42": false, "did:peaq": false, "42": false, "peaqos:machine:": false, "did:ethr:42": false,
	} {
		if fault := identityRefFault(ref); (fault == "") != ok {
			t.Errorf("%q: %q", ref, fault)
		}
	}
}

// FuzzIdentityRef compares with the API's rule: a prefix and digits without a
// leading zero, at most 2^256-1.
func FuzzIdentityRef(f *testing.F) {
	for _, s := range []string{"did:peaq:42", "peaqos:machine:0", "did:peaq:007", "did:peaq:0x1", "did:peaq:" + strings.Repeat("9", 78)} {
		f.Add(s)
	}
	form := regexp.MustCompile(`^(?:did:peaq|peaqos:machine):(0|[1-9][0-9]*)$`)
	limit := new(big.Int).Lsh(big.NewInt(1), 256)
	f.Fuzz(func(t *testing.T, ref string) {
		want := false
		if m := form.FindStringSubmatch(ref); m != nil && !strings.HasSuffix(ref, "\n") {
			n, _ := new(big.Int).SetString(m[1], 10)
			want = n.Cmp(limit) < 0
		}
		if fault := identityRefFault(ref); (fault == "") != want {
			t.Errorf("%q: %q, want accepted: %t", ref, fault, want)
		}
	})
}
