package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// mutate changes a JSON text in one to three places: mostly its values, sometimes its bytes.
func mutate(random *rand.Rand, text string) string {
	for range 1 + random.IntN(3) {
		if random.IntN(12) == 0 {
			text = mutateBytes(random, text)
			continue
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return text
		}
		text = written(mutateValue(random, v, 6))
	}
	return text
}

func written(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return "null"
	}
	return strings.TrimSpace(b.String())
}

// mutateValue changes one place in a value, at most depth levels down.
func mutateValue(random *rand.Rand, v any, depth int) any {
	switch v := v.(type) {
	case map[string]any:
		if depth == 0 || len(v) == 0 {
			break
		}
		names := slices.Sorted(maps.Keys(v)) // the same run for the same seed
		name := names[random.IntN(len(names))]
		switch random.IntN(8) {
		case 0:
			delete(v, name)
		case 1:
			v["zzUnknown"] = strange(random)
		case 2:
			v[name] = strange(random)
		default:
			v[name] = mutateValue(random, v[name], depth-1)
		}
		return v
	case []any:
		if depth == 0 || len(v) == 0 {
			break
		}
		i := random.IntN(len(v))
		switch random.IntN(8) {
		case 0:
			return v[:i]
		case 1:
			return append(v, v[i])
		default:
			v[i] = mutateValue(random, v[i], depth-1)
		}
		return v
	}
	return strange(random)
}

// strange is a value that may be of the wrong kind.
func strange(random *rand.Rand) any {
	values := []any{
		nil, true, false, "", "x", " ", "did:peaq:42", "active", "another", "2026-03-01T10:00:00Z", "\u2028", "ä😀",
		json.Number("0"), json.Number("-1"), json.Number("1.0"), json.Number("1.5"), json.Number("1e2"),
		json.Number("123456789012345678901234567890"),
		[]any{},
		[]any{"x"},
		[]any{nil},
		map[string]any{},
		map[string]any{"a": "b"},
	}
	return values[random.IntN(len(values))]
}

// mutateBytes makes text that is mostly not JSON any more.
func mutateBytes(random *rand.Rand, text string) string {
	if text == "" {
		return "null"
	}
	at := random.IntN(len(text))
	switch random.IntN(7) {
	case 0:
		return text[:at]
	case 1:
		return text + text
	case 2:
		return text[:at] + "," + text[at:]
	case 3:
		return "null"
	case 4:
		return " \t\n" + text + "\r\n"
	case 5:
		return strings.Replace(text, `"`, `'`, 1)
	}
	return ""
}
