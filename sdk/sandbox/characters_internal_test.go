package sandbox

import (
	"regexp"
	"strings"
	"testing"
)

// TestFormats compares the byte loops with the regular expressions that they stand for.
func TestFormats(t *testing.T) {
	forms := map[string]struct {
		pattern string
		check   func(string) bool
	}{
		"address":       {`^0x[0-9a-fA-F]{40}$`, isAddress},
		"decimal":       {`^[0-9]{1,60}(\.[0-9]{1,30})?$`, isDecimal},
		"whole amount":  {`^[0-9]{1,60}$`, func(s string) bool { return isDigits(s, 60) }},
		"resource name": {`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`, func(s string) bool { return isLogicalName(s, "._-") }},
		"command id":    {`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`, func(s string) bool { return isLogicalName(s, "._:-") }},
	}
	digits := func(n int) string { return strings.Repeat("7", n) }
	texts := []string{
		"", "0", "00", "1.5", ".5", "5.", "1.2.3", "-1", "+1", "1e3", " 1", "1\n", "\n", "é",
		"a", "A.b_c-d", "a:b", ".a", "-a", "_a", ":a", "a b", "a/b",
		digits(60), digits(61), digits(60) + "." + digits(30), digits(60) + "." + digits(31), digits(128), digits(129), digits(42),
		"0x", "0X" + digits(40), "0x" + digits(39), "0x" + digits(40), "0x" + digits(41), "0x" + digits(40) + "\n",
		"0x" + strings.Repeat("aF", 20), "0x" + strings.Repeat("g", 40),
		"1" + strings.Repeat("-", 127), "1" + strings.Repeat("-", 128),
	}
	for name, form := range forms {
		pattern := regexp.MustCompile(form.pattern)
		for _, text := range texts {
			if got, want := form.check(text), pattern.MatchString(text); got != want {
				t.Errorf("%s %q: %t, want %t", name, text, got, want)
			}
		}
	}
}

func TestCanonicalRef(t *testing.T) {
	largest := "115792089237316195423570985008687907853269984665640564039457584007913129639935" // 2^256-1
	address := "0x" + strings.Repeat("aB", 20)
	for ref, want := range map[string]string{
		"did:peaq:0": "did:peaq:0", "did:peaq:42": "did:peaq:42", "peaqos:machine:42": "did:peaq:42",
		"did:peaq:" + largest: "did:peaq:" + largest,
		"did:peaq:" + address: "did:peaq:" + address,
		"did:peaq:":           "", "did:peaq:042": "", "did:peaq:00": "", "did:peaq:-1": "", "did:peaq:+1": "",
		"did:peaq:1\n": "", "did:peaq:1_0": "", "42": "", "": "",
		"did:peaq:peaqos:machine:42": "", "peaqos:machine:" + address: "", "did:peaq:0x42": "",
		"did:peaq:" + largest[:77] + "6": "", "did:peaq:1" + largest: "",
	} {
		if got := canonicalRef(ref); got != want {
			t.Errorf("%q: %q, want %q", ref, got, want)
		}
	}
}
