package sandbox

import (
	"crypto/rand"
	"strings"
)

// newID is a fresh id that cannot be guessed.
func newID(prefix string) string { return prefix + "_" + strings.ToLower(rand.Text()[:20]) }
