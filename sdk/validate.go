package sdk

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

const constraintNonEmpty = "non-empty string"

// blank implements the contract's "empty after trimming white space". The four
// separators below U+0020 are white space to the existing clients.
func blank(s string) bool { return strings.IndexFunc(s, visible) < 0 }

func visible(r rune) bool { return !unicode.IsSpace(r) && (r < 0x1c || r > 0x1f) }

// nonBlank rejects a blank argument under its wire name.
func nonBlank(field, value string) error {
	if blank(value) {
		return &ValidationError{field, constraintNonEmpty}
	}
	return nil
}

// nonBlanks is nonBlank for pairs of name and value, in their order.
func nonBlanks(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := nonBlank(pairs[i], pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// nonBlankSecret is nonBlank for a secret. It makes no string of the value.
func nonBlankSecret(field string, s Secret) error {
	if !wire.ContainsFunc(s, visible) {
		return &ValidationError{field, constraintNonEmpty}
	}
	return nil
}

// webURL rejects what is not an http or https URL with a host, once trimmed.
func webURL(field, value string) error {
	if err := nonBlank(field, value); err != nil {
		return err
	}
	u, err := url.Parse(strings.TrimSpace(value))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return &ValidationError{field, "valid URL"}
	}
	return nil
}

// unsendable says why a string cannot be a header value that is sent in Latin-1, or "". It
// names the character and never repeats the value, which may be a key.
func unsendable(value string) string {
	if value == "" {
		return ""
	}
	bad := func(r rune) bool { return r < 0x20 || r == 0x7f || r > 0xff || r == utf8.RuneError }
	if i := strings.IndexFunc(value, bad); i >= 0 {
		r, size := utf8.DecodeRuneInString(value[i:])
		where := "contains "
		switch {
		case i+size == len(value) && i > 0:
			where = "ends in "
		case i == 0:
			where = "begins with "
		}
		return where + characterName(r) + ", which no header can hold"
	}
	for _, end := range []struct {
		where string
		r     rune
	}{{"begins with ", firstRune(value)}, {"ends in ", lastRune(value)}} {
		if unicode.IsSpace(end.r) {
			return end.where + characterName(end.r) + ", which is not part of a header value"
		}
	}
	return ""
}

func firstRune(s string) rune { r, _ := utf8.DecodeRuneInString(s); return r }

func lastRune(s string) rune { r, _ := utf8.DecodeLastRuneInString(s); return r }

// characterName is a character as a message shows it.
func characterName(r rune) string {
	switch r {
	case '\n':
		return "a newline"
	case '\r':
		return "a carriage return"
	case '\t':
		return "a tab"
	case ' ':
		return "a space"
	case utf8.RuneError:
		return "a byte that is not UTF-8"
	}
	if unicode.IsPrint(r) {
		return string(r)
	}
	return fmt.Sprintf("the character U+%04X", r)
}

// headerText rejects what no header can hold: control characters, and white space at
// the beginning.
func headerText(field, value string) error {
	first, _ := utf8.DecodeRuneInString(value)
	control := func(r rune) bool { return r < 0x20 || r == 0x7f }
	if unicode.IsSpace(first) || strings.ContainsFunc(value, control) {
		return &ValidationError{field, "a valid header value"}
	}
	return nil
}

// headerValue is headerText for values that are sent as Latin-1.
func headerValue(field, value string) error {
	if strings.ContainsFunc(value, func(r rune) bool { return r > 0xff }) {
		return &ValidationError{field, "a valid header value"}
	}
	return headerText(field, value)
}
