package config

import "strings"

// CanonicalRef writes the alias peaqos:machine:<n> as did:peaq:<n>; any other
// text stays as it is.
func CanonicalRef(ref string) string {
	if n, ok := strings.CutPrefix(ref, "peaqos:machine:"); ok {
		return "did:peaq:" + n
	}
	return ref
}
