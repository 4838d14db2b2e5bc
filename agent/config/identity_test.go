package config

import (
	"math/big"
	"regexp"
	"strings"
	"testing"
)

func TestIdentityRefs(t *testing.T) {
	const (
		most    = "115792089237316195423570985008687907853269984665640564039457584007913129639935" // 2^256-1
		address = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
	)
	for ref, accepted := range map[string]string{ // both forms of identity_refs, any alone, or none
		"did:peaq:0": "both", "did:peaq:42": "both", "peaqos:machine:42": "both", "did:peaq:" + most: "both",
		"did:peaq:" + address: "any", "did:peaq:" + strings.ToLower(address): "any", "did:peaq:0x" + strings.ToUpper(address[2:]): "any",
		"peaqos:machine:" + address: "", "did:peaq:0X" + address[2:]: "", "did:peaq:" + address[:41]: "", "did:peaq:" + address + "0": "",
		"did:peaq:" + address[:41] + "g": "", "did:peaq:" + address + " ": "", address: "", "DID:PEAQ:" + address: "", "did:peaq:0x": "",
		"did:peaq:" + most[:77] + "6": "", "did:peaq:1" + most: "", "did:peaq:" + strings.Repeat("9", 2000): "",
		"did:peaq:00": "", "did:peaq:042": "", "did:peaq:+1": "", "did:peaq:-1": "", "did:peaq: 1": "", "did:peaq:1 ": "", "did:peaq:٤٢": "",
		"did:peaq:": "", "did:peaq:1e3": "", "did:peaq:0x2a": "", "DID:PEAQ:42": "", "did:peaq": "", "42": "",
		"peaqos:machine:": "", "did:ethr:42": "",
	} {
		if fault := IdentityRefFault(ref, "any"); (fault == "") != (accepted != "") {
			t.Errorf("any, %q: %q", ref, fault)
		}
		if fault := IdentityRefFault(ref, "decimal"); (fault == "") != (accepted == "both") {
			t.Errorf("decimal, %q: %q", ref, fault)
		}
		text := "machines: [{identity_ref: \"" + ref + "\"}]\n"
		if _, err := load(t, text); (err == nil) != (accepted != "") {
			t.Errorf("default, %q: %v", ref, err)
		}
		if _, err := load(t, "orchestrator: {identity_refs: decimal}\n"+text); (err == nil) != (accepted == "both") {
			t.Errorf("identity_refs: decimal, %q: %v", ref, err)
		}
	}
}

func TestCanonicalRef(t *testing.T) {
	for ref, want := range map[string]string{
		"did:peaq:42": "did:peaq:42", "peaqos:machine:42": "did:peaq:42", "": "", "did:ethr:0xAB": "did:ethr:0xAB",
		"did:peaq:0xAB": "did:peaq:0xAB",
		"did:peaq:0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A": "did:peaq:0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a",
	} {
		if got := CanonicalRef(ref); got != want {
			t.Errorf("CanonicalRef(%q) = %q, want %q", ref, got, want)
		}
	}
}

// FuzzIdentityRef compares with the API's rule: a prefix and digits without a
// leading zero, at most 2^256-1; or did:peaq: and an address.
func FuzzIdentityRef(f *testing.F) {
	for _, s := range []string{
		"did:peaq:42", "peaqos:machine:0", "did:peaq:007", "did:peaq:0x1",
		"did:peaq:" + strings.Repeat("9", 78), "did:peaq:0x" + strings.Repeat("aB", 20),
	} {
		f.Add(s)
	}
	decimal := regexp.MustCompile(`^(?:did:peaq|peaqos:machine):(0|[1-9][0-9]*)$`)
	address := regexp.MustCompile(`^did:peaq:0x[0-9a-fA-F]{40}$`)
	limit := new(big.Int).Lsh(big.NewInt(1), 256)
	f.Fuzz(func(t *testing.T, ref string) {
		want := false
		if m := decimal.FindStringSubmatch(ref); m != nil {
			n, _ := new(big.Int).SetString(m[1], 10)
			want = n.Cmp(limit) < 0
		}
		if fault := IdentityRefFault(ref, "decimal"); (fault == "") != want {
			t.Errorf("decimal, %q: %q, want accepted: %t", ref, fault, want)
		}
		want = want || address.MatchString(ref)
		if fault := IdentityRefFault(ref, "any"); (fault == "") != want {
			t.Errorf("any, %q: %q, want accepted: %t", ref, fault, want)
		}
	})
}
