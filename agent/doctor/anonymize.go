package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Anonymizer replaces what identifies a device, its owner and its network in the files of
// a bundle. The same value gets the same replacement in every file, so that the files can
// still be read together.
type Anonymizer struct {
	literals []string // known values, the longest first
	kinds    map[string]string
	patterns []pattern
	seen     map[string]string
	count    map[string]int
}

type pattern struct {
	kind string
	re   *regexp.Regexp
}

// NewAnonymizer returns one that knows some values by their kind, such as "host"; what
// has the form of an identity, an id, an address of a chain or of a network, it finds.
func NewAnonymizer(known map[string]string) *Anonymizer {
	a := &Anonymizer{kinds: map[string]string{}, seen: map[string]string{}, count: map[string]int{}}
	for value, kind := range known {
		if len(value) >= 3 && value != "localhost" && !strings.HasPrefix(value, "127.") {
			a.literals, a.kinds[strings.ToLower(value)] = append(a.literals, value), kind
		}
	}
	slices.SortFunc(a.literals, func(x, y string) int { return cmp.Or(len(y)-len(x), strings.Compare(x, y)) })
	for _, p := range [][2]string{
		{"identity", `(?:did:peaq|peaqos:machine):[0-9A-Za-z]+`},
		{"machine", `mach_[0-9A-Za-z]+`},
		{"agent", `magt_[0-9A-Za-z]+`},
		{"label", `peaqos-agent@[0-9A-Za-z._-]+(?:#[0-9a-z]+)?`},
		{"account", `0x[0-9a-fA-F]{40}`},
		{"card", `(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}`},
		{"address", `\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b`},
		{"address", `[0-9a-fA-F:]*:[0-9a-fA-F:.]+`},
	} {
		a.patterns = append(a.patterns, pattern{p[0], regexp.MustCompile(p[1])})
	}
	return a
}

// Text replaces the values in a text.
func (a *Anonymizer) Text(text []byte) []byte {
	out := string(text)
	for _, literal := range a.literals {
		whole := regexp.MustCompile(`(?i)` + edge(literal[0]) + regexp.QuoteMeta(literal) + edge(literal[len(literal)-1]))
		out = whole.ReplaceAllStringFunc(out, func(found string) string { return a.replacement(a.kinds[strings.ToLower(found)], found) })
	}
	for _, p := range a.patterns {
		out = p.re.ReplaceAllStringFunc(out, func(found string) string {
			if p.kind == "address" && !identifies(found) {
				return found
			}
			return a.replacement(p.kind, found)
		})
	}
	return []byte(out)
}

// edge is the boundary next to a character of a literal.
func edge(c byte) string {
	if c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
		return `\b`
	}
	return ""
}

// identifies reports whether a text is an address of a network. Those of the machine
// itself say nothing, and a time such as 10:59:31 is not one.
func identifies(text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && !a.IsLoopback() && !a.IsUnspecified()
}

// replacement is the name that stands for a value in all files.
func (a *Anonymizer) replacement(kind, value string) string {
	key := strings.ToLower(value)
	if name, known := a.seen[key]; known {
		return name
	}
	a.count[kind]++
	name := fmt.Sprintf("%s-%d", kind, a.count[kind])
	a.seen[key] = name
	return name
}
