package keystore

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// Form is what the text of a secret file looks like, for the mistakes that tools and
// editors make.
type Form int

// The forms.
const (
	FormPlain     Form = iota // nothing that is recognized: it may be right
	FormEmpty                 // nothing but white space
	FormUTF16                 // as PowerShell and some editors on Windows save text
	FormQuoted                // in quotation marks
	FormNameValue             // a line NAME=value
	FormMnemonic              // 12 to 24 words
	FormPolkadot              // a JSON backup of polkadot.js
	FormWeb3                  // a Web3 key file
	FormJSON                  // another JSON document
	FormPEM                   // a PEM or OpenSSH key
	FormLines                 // more than one line
	FormAddress               // 0x and 40 hex digits: an address, or 130: a public key
	FormShort                 // hex digits, but not 64
	FormNotText               // bytes that are not text
)

// String says what the text is, to follow "this is not a private key: ".
func (f Form) String() string {
	return [...]string{
		"its form is not known", "the file is empty", "it is UTF-16 text, as PowerShell saves it", "it is in quotation marks",
		"it is a line NAME=value", "it is a mnemonic phrase", "it is a JSON backup of polkadot.js", "it is a Web3 key file",
		"it is a JSON document", "it is a PEM or OpenSSH key", "it has more than one line", "it is an address or a public key",
		"it does not have 64 hex digits", "it is not text",
	}[max(0, min(f, FormNotText))]
}

// nameValue and hexDigits are compiled when a file is looked at, which few commands do.
var (
	nameValue = compiled(`^(export\s+)?[A-Za-z_][A-Za-z0-9_.-]*\s*[=:]\s*\S`)
	hexDigits = compiled(`^(0[xX])?[0-9a-fA-F]+$`)
)

func compiled(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// FormOf recognizes what the text of a secret file is. It looks at white space around
// the text and at a byte order mark, and ignores them.
func FormOf(text []byte) Form {
	if utf16Text(text) {
		return FormUTF16
	}
	b := trimText(text)
	s := string(b)
	words := strings.Fields(s)
	switch {
	case len(b) == 0:
		return FormEmpty
	case !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0:
		return FormNotText
	case b[0] == '{' || b[0] == '[':
		return jsonForm(b)
	case strings.HasPrefix(s, "-----BEGIN ") || strings.HasPrefix(s, "PuTTY-User-Key-File"):
		return FormPEM
	case quoted(s):
		return FormQuoted
	case hexDigits().MatchString(s):
		return hexForm(s)
	case len(words) >= 12 && len(words) <= 24 && len(words)%3 == 0 && lowerWords(words):
		return FormMnemonic
	case strings.ContainsAny(s, "\r\n"):
		return FormLines
	case nameValue().MatchString(s):
		return FormNameValue
	}
	return FormPlain
}

func hexForm(s string) Form {
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	switch {
	case len(digits) == 64:
		return FormPlain
	case len(digits) != len(s) && (len(digits) == 40 || len(digits) == 66 || len(digits) == 128 || len(digits) == 130):
		return FormAddress
	}
	return FormShort
}

func jsonForm(b []byte) Form {
	var fields struct {
		Crypto   json.RawMessage `json:"crypto"`
		Encoded  json.RawMessage `json:"encoded"`
		Encoding json.RawMessage `json:"encoding"`
	}
	switch err := json.Unmarshal(b, &fields); {
	case err != nil:
		return FormJSON
	case fields.Encoded != nil || fields.Encoding != nil:
		return FormPolkadot
	case fields.Crypto != nil:
		return FormWeb3
	}
	return FormJSON
}

func quoted(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	return strings.ContainsRune("\"'`\u201c\u2018\u00ab", first) || strings.ContainsRune("\"'`\u201d\u2019\u00bb", last)
}

func lowerWords(words []string) bool {
	for _, w := range words {
		if len(w) < 3 || len(w) > 8 || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" {
			return false
		}
	}
	return true
}

func utf16Text(b []byte) bool {
	if bytes.HasPrefix(b, []byte{0xff, 0xfe}) || bytes.HasPrefix(b, []byte{0xfe, 0xff}) {
		return true
	}
	return len(b) >= 8 && len(b)%2 == 0 && (b[1] == 0 && b[3] == 0 && b[0] != 0 || b[0] == 0 && b[2] == 0 && b[1] != 0)
}

// trimText drops a byte order mark and white space around a text.
func trimText(b []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))
}

// looksSecret reports whether a text that should be the path of a file, or the last part
// of one, looks like the secret itself. A long name with digits and without a directory
// is more likely a key than a file.
func looksSecret(path string, whole bool) bool {
	s := strings.TrimSpace(path)
	if form := FormOf([]byte(s)); form != FormPlain && form != FormShort && form != FormNameValue && form != FormQuoted {
		return true
	}
	if digits := strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X"); len(digits) >= 16 && hexDigits().MatchString(digits) || len(s) > 200 ||
		strings.HasPrefix(s, "eyJ") { // a JSON web token
		return true
	}
	upper, lower, numbers := false, false, false
	for _, c := range s {
		upper = upper || c >= 'A' && c <= 'Z'
		lower = lower || c >= 'a' && c <= 'z'
		numbers = numbers || c >= '0' && c <= '9'
	}
	if len(s) < 20 || !numbers || !upper && !lower || strings.ContainsAny(s, " .") || strings.HasPrefix(s, "/") {
		return false
	}
	return upper && lower || !strings.ContainsAny(s, "-_/") || whole && !strings.Contains(s, "/")
}
