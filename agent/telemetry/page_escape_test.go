package telemetry

import (
	"regexp"
	"testing"
)

// TestPageHasNoOtherPlaceForValues: escaping for text and quoted attributes is
// enough only where every value stands in one of the two.
func TestPageHasNoOtherPlaceForValues(t *testing.T) {
	for _, where := range []struct{ what, pattern string }{
		{"a script", `(?s)<script[^>]*>.*\{\{.*</script>`},
		{"a style", `(?s)<style[^>]*>[^<]*\{\{`},
		{"an attribute without quotes", `<[^>"]*=\{\{`},
		{"an attribute that is code or an address", `(?i)\s(on\w+|style|href|src|action)="[^"]*\{\{`},
		{"a tag's or an attribute's name", `<[^>"]*\{\{`},
	} {
		if m := regexp.MustCompile(where.pattern).FindString(pageSource); m != "" {
			t.Errorf("a value stands in %s: %.120s", where.what, m)
		}
	}
}
