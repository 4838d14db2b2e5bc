package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxText bounds one string, in bytes; nothing sensible comes near it.
const maxText = 2048

// parse reads one value written as text into the field it belongs to. dir is
// where relative paths start. The fault is the end of a sentence that begins with
// the key, or ""; with a fault the field is unchanged.
func (r row) parse(text, dir string, target any) (fault string) {
	switch t := target.(type) {
	case *string:
		return r.parseText(text, dir, t)
	case *bool:
		return parseBool(text, t)
	case *time.Duration:
		return r.parseDuration(text, t)
	case *[]string:
		return parseList(text, t)
	case *map[string]string:
		return parseMap(text, t)
	}
	panic(r.Path + " has a type that nothing parses")
}

func (r row) parseText(text, dir string, t *string) string {
	fault := TextFault(text)
	if r.Path == "machines[].agent_label" || r.Path == "machines[].register.display_name" {
		fault = characterFault(text)
	}
	if fault != "" {
		return fault
	}
	if len(r.Values) > 0 && !slices.Contains(r.Values, text) {
		fault = fmt.Sprintf("must be %s, not %s", alternatives(r.Values), quoteBrief(text))
		if n := nearest(text, r.Values); n != "" {
			fault += "; did you mean " + n
		}
		return fault
	}
	if r.file && text != "" {
		if strings.HasPrefix(text, "~") {
			return "~ is not expanded; write an absolute path"
		}
		if !filepath.IsAbs(text) {
			text = filepath.Join(dir, text)
		}
	}
	*t = text
	return ""
}

// TextFault returns why a string is refused in a configuration, as the end of a
// sentence, or "": it is too long, not UTF-8, or has characters that could forge a
// log line or hide in a terminal, see [Deceptive].
func TextFault(text string) string {
	switch {
	case len(text) > maxText:
		return fmt.Sprintf("is longer than %d bytes", maxText)
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	case strings.ContainsFunc(text, Deceptive):
		return "has a line break or another control character"
	}
	return ""
}

// maxLabel is the largest agent label in bytes, without the suffix that the agent adds.
const maxLabel = 200

// LabelFault returns why a text is not an agent label, as the end of a sentence, or "".
// Every way by which a label comes in uses it.
func LabelFault(text string) string {
	switch {
	case len(text) > maxLabel:
		return fmt.Sprintf("must not be longer than %d bytes", maxLabel)
	case strings.TrimSpace(text) == "":
		return "must not be blank"
	}
	return characterFault(text)
}

// characterFault is the part of LabelFault that is about single characters. The
// zero-width joiner and non-joiner are part of ordinary words in Persian, Malayalam and
// other languages, and of emoji.
func characterFault(text string) string {
	if len(text) > maxText || !utf8.ValidString(text) {
		return TextFault(text)
	}
	for i, r := range []rune(text) {
		if Deceptive(r) && r != '\u200c' && r != '\u200d' {
			return fmt.Sprintf("has a hidden or control character, %U, as its character %d", r, i+1)
		}
	}
	return ""
}

// ProviderKeyFault returns why a text is not a provider key, as the end of a sentence,
// or "".
func ProviderKeyFault(key string) string {
	if !isProviderKey(key) {
		return providerKeyRule
	}
	return ""
}

// defaultLabel is the label of a device whose configuration names none. A host name can
// be any bytes.
func defaultLabel(hostname string) string {
	clean := strings.Map(func(r rune) rune {
		if Deceptive(r) || r == utf8.RuneError {
			return '-'
		}
		return r
	}, hostname)
	for len(clean) > 64 {
		_, size := utf8.DecodeLastRuneInString(clean)
		clean = clean[:len(clean)-size]
	}
	return "peaqos-agent@" + clean
}

// Deceptive reports whether a terminal or a reader acts on a character instead of
// showing it: controls, line and paragraph separators, bidirectional and zero-width marks, tags
// and private-use characters.
func Deceptive(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) || r == '\u2028' || r == '\u2029'
}

func parseBool(text string, t *bool) string {
	switch strings.ToLower(text) {
	case "true", "1":
		*t = true
	case "false", "0":
		*t = false
	default:
		return "must be true or false, not " + quoteBrief(text)
	}
	return ""
}

func (r row) parseDuration(text string, t *time.Duration) string {
	if r.auto && text == "auto" {
		*t = 0
		return ""
	}
	hint := "such as 90s or 5m"
	if r.auto {
		hint += ", or auto"
	}
	if isBareNumber(text) {
		number := text[:min(len(text), 20)]
		return fmt.Sprintf("the number %s has no unit; write %[1]ss for seconds, %[1]sm for minutes", number)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Sprintf("%s is not a duration; write a number and a unit, %s", quoteBrief(text), hint)
	}
	if d <= 0 {
		return "must be a duration above zero, " + hint
	}
	*t = d
	return ""
}

// isBareNumber reports whether text is a number as YAML or a person writes it:
// 90, +5, 1_000, 2.5, 1e3.
func isBareNumber(text string) bool {
	if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
		text = text[1:]
	}
	if text == "" || !strings.Contains(digits, text[:1]) {
		return false
	}
	text = strings.TrimLeft(text, digits+"_")
	if fraction, ok := strings.CutPrefix(text, "."); ok {
		text = strings.TrimLeft(fraction, digits)
	}
	return text == "" || ((text[0] == 'e' || text[0] == 'E') && madeOf(text[1:], len(text), digits))
}

// parseList reads the environment's form of a list: a,b,c.
func parseList(text string, t *[]string) string {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	if fault := listFault(list); fault != "" {
		return fault
	}
	*t = list
	return ""
}

func listFault(list []string) string {
	for i, item := range list {
		if fault := TextFault(item); fault != "" {
			return fmt.Sprintf("item %d %s", i+1, fault)
		}
		if strings.TrimSpace(item) == "" {
			return fmt.Sprintf("item %d is empty", i+1)
		}
		if slices.Contains(list[:i], item) {
			return fmt.Sprintf("item %d repeats an earlier one", i+1)
		}
	}
	return ""
}

// parseMap reads the environment's form of a map: a=1,b=2.
func parseMap(text string, t *map[string]string) string {
	m := map[string]string{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		k, v, ok := strings.Cut(item, "=")
		if !ok {
			return "must be pairs like floor=2,line=a"
		}
		if _, twice := m[k]; twice {
			return "has a label twice"
		}
		m[k] = v
	}
	if fault := mapFault(m); fault != "" {
		return fault
	}
	*t = m
	return ""
}

func mapFault(m map[string]string) string {
	for k, v := range m {
		if strings.TrimSpace(k) == "" {
			return "a label has no name"
		}
		if fault := TextFault(k + v); fault != "" {
			return "a label " + fault
		}
	}
	return ""
}

// alternatives writes a, b or c. There must be at least one word.
func alternatives(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// formatValue is the opposite of parse: the value as text for people, in the
// environment's form.
func (r row) formatValue(target any) string {
	switch t := target.(type) {
	case *string:
		return *t
	case *bool:
		return strconv.FormatBool(*t)
	case *time.Duration:
		if r.auto && *t == 0 {
			return "auto"
		}
		return formatDuration(*t)
	case *[]string:
		return strings.Join(*t, ",")
	case *map[string]string:
		pairs := make([]string, 0, len(*t))
		for k, v := range *t {
			pairs = append(pairs, k+"="+v)
		}
		slices.Sort(pairs)
		return strings.Join(pairs, ",")
	}
	return ""
}

// formatDuration writes 90s and 5m where Go writes 1m30s and 5m0s.
func formatDuration(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d%time.Second == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return d.String()
}
