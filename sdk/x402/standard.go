package x402

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// standard checks that a challenge has the form of x402 version 2, so that every reader of
// that version can decode the header that carries it: members by their own names, none
// missing, each of its own type. Parse accepts more, as existing clients do.
func (c *challenge) standard() error {
	fault := func(field, constraint string) error {
		return &sdk.ValidationError{Field: field, Constraint: constraint}
	}
	if string(c.whole["x402Version"]) != "2" {
		return fault("x402Version", "2")
	}
	for _, name := range []string{"scheme", "network", "asset", "payTo", "amount"} {
		var text string
		if json.Unmarshal(c.requirements[name], &text) != nil || text == "" {
			return fault(name, "a string with this name, as version 2 of x402 requires")
		}
	}
	for _, name := range []string{"payTo", "maxTimeoutSeconds"} {
		if _, other := c.requirements[snake(name)]; other {
			return fault(name, "given once, by the name of version 2 of x402")
		}
	}
	var seconds int64
	if json.Unmarshal(c.requirements["maxTimeoutSeconds"], &seconds) != nil || string(c.requirements["maxTimeoutSeconds"]) == "null" ||
		seconds < 0 {
		return fault("maxTimeoutSeconds", "a whole number of seconds")
	}
	if !isObject(c.requirements["extra"]) {
		return fault("paymentRequirements.extra", "an object")
	}
	if raw := c.whole["extensions"]; raw != nil && string(raw) != "null" && !isObject(raw) {
		return fault("extensions", "an object")
	}
	for name, raw := range map[string]json.RawMessage{
		"paymentRequirements": c.accepted, "resource": c.whole["resource"], "extensions": c.whole["extensions"],
	} {
		if !portable(raw) {
			return fault(name, "JSON in UTF-8 with at most 64 levels, 16 KiB and no half of a surrogate pair")
		}
	}
	return standardResource(c.whole["resource"])
}

// portable reports whether every reader decodes a part of the header alike, and whether a
// header has room for it.
func portable(raw json.RawMessage) bool {
	if len(raw) > 16<<10 || !utf8.Valid(raw) {
		return false
	}
	depth, quoted := 0, false
	for i := 0; i < len(raw); i++ {
		switch b := raw[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			if depth++; depth > 64 {
				return false
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	lower := strings.ToLower(string(raw))
	if !strings.Contains(lower, `\ud`) {
		return true
	}
	var v any // half of a pair is read as the replacement character
	if json.Unmarshal(raw, &v) != nil {
		return false
	}
	text, err := json.Marshal(v)
	return err == nil && !strings.Contains(string(text), "\ufffd")
}

// standardResource checks the description of what is paid for, which may be absent.
func standardResource(raw json.RawMessage) error {
	if raw == nil || string(raw) == "null" {
		return nil
	}
	fault := func(field, constraint string) error {
		return &sdk.ValidationError{Field: field, Constraint: constraint}
	}
	var members object
	if json.Unmarshal(raw, &members) != nil || members == nil {
		return fault("resource", "an object")
	}
	for name, required := range map[string]bool{"url": true, "description": false, "mimeType": false, "serviceName": false, "iconUrl": false} {
		for _, spelling := range []string{name, snake(name)} {
			value, given := members[spelling]
			var text string
			if (given && string(value) != "null" || required) && (string(value) == "null" || json.Unmarshal(value, &text) != nil) {
				return fault("resource."+name, "a string")
			}
		}
	}
	var tags []*string
	if value, given := members["tags"]; given && json.Unmarshal(value, &tags) != nil {
		return fault("resource.tags", "a list of strings")
	}
	for _, tag := range tags {
		if tag == nil {
			return fault("resource.tags", "a list of strings")
		}
	}
	return nil
}

func isObject(raw json.RawMessage) bool {
	return strings.HasPrefix(strings.TrimLeft(string(raw), " \t\r\n"), "{")
}
