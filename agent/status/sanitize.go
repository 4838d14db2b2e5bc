package status

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// maxForeign is how many characters of another machine's text are shown.
const maxForeign = 200

// Sanitize makes text from another machine safe to show: one line, at most 200
// characters, with control, bidirectional, hidden and private-use characters
// escaped. What is cut ends in "…".
func Sanitize(text string) string { return SanitizeTo(text, maxForeign) }

// SanitizeTo is [Sanitize] with another limit, for text that is partly our own.
func SanitizeTo(text string, limit int) string {
	if utf8.RuneCountInString(text) > limit {
		text = string([]rune(text)[:limit]) + "…"
	}
	return escape(text)
}

// Escape is Sanitize without the limit of its length.
func Escape(text string) string { return escape(text) }

// escape writes every character that a terminal or a reader acts on, instead of
// showing it, as \u and its number. Bytes that are not UTF-8 become U+FFFD.
func escape(text string) string {
	if !strings.ContainsFunc(text, config.Deceptive) && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if config.Deceptive(r) {
			b.WriteString(escapeRune(r))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func escapeRune(r rune) string {
	if r > 0xffff {
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}
