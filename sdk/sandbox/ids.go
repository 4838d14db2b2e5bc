package sandbox

import (
	"crypto/rand"
	"strings"
)

// newID returns a new, unguessable id with a prefix such as "mach".
func newID(prefix string) string { return prefix + "_" + strings.ToLower(rand.Text()[:20]) }
