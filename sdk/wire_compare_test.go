package sdk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"mime"
	"net/url"
	"slices"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// wireResult is the result of a call.
type wireResult struct {
	value     any // in wire names
	err       error
	delivered int // items handed over before err
}

// compare applies the rules of the recordings and returns the differences.
func (c *wireCase) compare(got wireResult, seen []wireSeen) (faults []string) {
	var refused *sdk.ValidationError
	if c.PathAlt != "" && errors.As(got.err, &refused) && len(seen) == 0 {
		return c.comparePrinted(got.err)
	}
	faults = c.compareRequests(seen)
	recorded := c.compareOutcome(got)
	if c.Lenient && len(recorded) > 0 && c.meetsExpectation(got) {
		recorded = nil
	}
	return append(append(faults, recorded...), c.comparePrinted(got.err)...)
}

func (c *wireCase) compareRequests(seen []wireSeen) (faults []string) {
	if len(seen) != len(c.Exchanges) {
		return []string{fmt.Sprintf("%d requests, recorded are %d", len(seen), len(c.Exchanges))}
	}
	for i, have := range seen {
		want := c.Exchanges[i].Request
		if have.method != want.Method {
			faults = append(faults, fmt.Sprintf("method %s, recorded is %s", have.method, want.Method))
		}
		query := url.Values{}
		for name, value := range want.Query {
			query.Set(name, value)
		}
		alternative := c.PathAlt != "" && samePath(have.path, c.PathAlt)
		if alternative {
			query = url.Values{}
		}
		if !alternative && !samePath(have.path, want.Path) {
			faults = append(faults, fmt.Sprintf("path %s, recorded is %s", have.path, want.Path))
		}
		if !maps.EqualFunc(have.query, query, slices.Equal) {
			faults = append(faults, fmt.Sprintf("query %v, recorded is %v", have.query, query))
		}
		faults = append(faults, compareHeaders(have, want.Headers)...)
		faults = append(faults, c.compareBody(have.body, want.Body, want.NoBody)...)
	}
	return faults
}

// samePath compares paths by their decoded segments.
func samePath(have, want string) bool {
	return slices.EqualFunc(strings.Split(have, "/"), strings.Split(want, "/"), func(h, w string) bool {
		return unescaped(h) == unescaped(w)
	})
}

func unescaped(segment string) string {
	if plain, err := url.PathUnescape(segment); err == nil {
		return plain
	}
	return segment
}

func compareHeaders(have wireSeen, want map[string]string) (faults []string) {
	for _, name := range []string{"x-api-key", "x-agent-pairing-token", "last-event-id"} {
		values := have.header.Values(name)
		value, recorded := want[name]
		value = strings.Trim(value, " \t") // white space at the ends is not part of a header value
		if recorded != (len(values) == 1) || (recorded && values[0] != value && fromLatin1(values[0]) != value) {
			faults = append(faults, fmt.Sprintf("header %s is %q, recorded is %q", name, values, value))
		}
	}
	for _, name := range []string{"x-machine-agent-id", "x-machine-agent-token", "authorization"} {
		if len(have.header.Values(name)) > 0 {
			faults = append(faults, "the header "+name+" was sent")
		}
	}
	media, _, _ := mime.ParseMediaType(have.header.Get("Content-Type"))
	if have.body == "" && media != "" || have.body != "" && media != "application/json" {
		faults = append(faults, fmt.Sprintf("content type %q with a body of %d bytes", media, len(have.body)))
	}
	if accept := want["accept"]; accept != "" && !allows(have.header.Values("Accept"), accept) {
		faults = append(faults, fmt.Sprintf("accept is %q, recorded is %q", have.header.Values("Accept"), accept))
	}
	return faults
}

// fromLatin1 decodes a header like the recordings.
func fromLatin1(bytes string) string {
	out := make([]rune, len(bytes))
	for i := range len(bytes) {
		out[i] = rune(bytes[i])
	}
	return string(out)
}

// allows reports whether an Accept header accepts a media type; an absent one accepts all.
func allows(accept []string, wanted string) bool {
	wanted, _, _ = strings.Cut(wanted, ";")
	kind, _, _ := strings.Cut(wanted, "/")
	for entry := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		entry, _, _ = strings.Cut(entry, ";")
		if entry = strings.TrimSpace(entry); entry == wanted || entry == "*/*" || entry == kind+"/*" {
			return true
		}
	}
	return len(accept) == 0
}

func (c *wireCase) compareBody(have string, want json.RawMessage, none bool) []string {
	if none && have == "" {
		return nil
	}
	if none && c.BodyAlt == nil {
		return []string{"a body was sent: " + have}
	}
	sent, err := decodeJSON([]byte(have))
	if err != nil {
		return []string{"the body is not JSON: " + have}
	}
	for i, raw := range []json.RawMessage{want, c.BodyAlt} {
		if raw == nil || none && i == 0 {
			continue
		}
		recorded, _ := decodeJSON(raw)
		if c.NullEqualsAbsent {
			sent, recorded = withoutNulls(sent), withoutNulls(recorded)
		}
		if sameJSON(sent, recorded) {
			return nil
		}
	}
	return []string{fmt.Sprintf("body %s, recorded is %s", have, want)}
}

func (c *wireCase) compareOutcome(got wireResult) (faults []string) {
	o := c.Outcome
	if o.OK {
		if got.err != nil {
			return []string{"error " + got.err.Error() + ", recorded is a success"}
		}
		return c.compareValue(got.value)
	}
	if got.err == nil {
		return []string{"no error, recorded is " + o.ErrorClass + " " + o.Code}
	}
	if o.DeliveredBeforeError != nil && got.delivered > *o.DeliveredBeforeError {
		faults = append(faults, fmt.Sprintf("%d items before the error, recorded are %d", got.delivered, *o.DeliveredBeforeError))
	}
	var api *sdk.APIError
	var validation *sdk.ValidationError
	var config *sdk.ConfigError
	var network *sdk.NetworkError
	var notReady *sdk.DeliveryNotReadyError
	ok := false
	switch o.ErrorClass {
	case "OrchestrationApiError", "StreamDeliveryNotReadyError":
		ok = errors.As(got.err, &api) && (o.ErrorClass == "OrchestrationApiError" || errors.As(got.err, &notReady))
	case "OrchestrationValidationError":
		ok = errors.As(got.err, &validation)
		if ok && plainField(validation.Field) != plainField(o.Field) {
			faults = append(faults, fmt.Sprintf("field %s, recorded is %s", validation.Field, o.Field))
		}
	case "OrchestrationConfigError":
		ok = errors.As(got.err, &config)
	case "OrchestrationNetworkError":
		ok = errors.As(got.err, &network)
	}
	if !ok {
		return append(faults, fmt.Sprintf("error %T %v, recorded is %s %s", got.err, got.err, o.ErrorClass, o.Code))
	}
	if api != nil {
		faults = append(faults, c.compareAPIError(api)...)
	}
	return faults
}

func plainField(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "") }

func (c *wireCase) compareAPIError(have *sdk.APIError) (faults []string) {
	o := c.Outcome
	if have.Code != o.Code {
		faults = append(faults, fmt.Sprintf("code %s (%s), recorded is %s", have.Code, have.Message, o.Code))
	}
	if o.Code != sdk.CodeInvalidResponseShape && have.StatusCode != o.Status {
		faults = append(faults, fmt.Sprintf("status %d, recorded is %d", have.StatusCode, o.Status))
	}
	details, _ := decodeJSON(have.Details)
	recorded, _ := decodeJSON(o.Details)
	if o.DetailsSource == "request" {
		if details != nil && !coversRequest(details, recorded) {
			faults = append(faults, fmt.Sprintf("details %s show more than %s", have.Details, o.Details))
		}
	} else if !sameValue(details, recorded) || !sameValue(recorded, details) {
		faults = append(faults, fmt.Sprintf("details %s, recorded is %s", have.Details, o.Details))
	}
	return faults
}

// coversRequest compares the client's own copy of a request with the recorded one.
func coversRequest(have, recorded any) bool {
	h, isObject := have.(map[string]any)
	r, ok := recorded.(map[string]any)
	if !isObject || !ok {
		return have == "[REDACTED]" || have == nil && recorded == "[REDACTED]" || sameJSON(have, recorded)
	}
	for name, value := range h {
		if other, both := r[name]; both && !coversRequest(value, other) {
			return false
		}
	}
	return true
}

func (c *wireCase) compareValue(value any) []string {
	text, err := sdk.WireJSON(value)
	if err != nil {
		return []string{"the result cannot be written: " + err.Error()}
	}
	have, err := decodeJSON(text)
	if err != nil {
		return []string{"the result is not JSON: " + err.Error()}
	}
	want, _ := decodeJSON(c.Outcome.Value)
	if path := difference("value", have, want); path != "" {
		return []string{path, fmt.Sprintf("result %s", text)}
	}
	return nil
}

// meetsExpectation reports whether the client does what the recording allows where the
// reference has a defect.
func (c *wireCase) meetsExpectation(got wireResult) bool {
	var api *sdk.APIError
	malformed := errors.As(got.err, &api) && api.Code == sdk.CodeInvalidResponseShape
	if c.Expect.OK {
		return got.err == nil || malformed
	}
	return errors.As(got.err, &api) && api.Code == c.Expect.Code
}

// comparePrinted searches the printed forms of the error for secrets.
func (c *wireCase) comparePrinted(err error) (faults []string) {
	if err == nil {
		return nil
	}
	var text, lines bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Error("m", "err", err)
	slog.New(slog.NewJSONHandler(&lines, nil)).Error("m", "err", err)
	encoded, _ := json.Marshal(err)
	prints := []string{
		err.Error(), fmt.Sprintf("%v %+v %s %#v %q", err, err, err, err, err), text.String(), lines.String(),
		string(encoded),
	}
	for _, secret := range c.MustNotPrint {
		for _, printed := range prints {
			if strings.Contains(printed, secret) {
				faults = append(faults, "the error prints "+secret+": "+printed)
			}
		}
	}
	return faults
}

func decodeJSON(text []byte) (any, error) {
	if len(text) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var v any
	err := decoder.Decode(&v)
	if err == nil && decoder.More() {
		err = errors.New("more than one value")
	}
	return v, err
}

// sameJSON compares bodies: numbers by value, members in any order.
func sameJSON(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, sameJSON)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameJSON)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && sameNumber(a, b)
	}
	return a == b
}

func sameNumber(a, b json.Number) bool {
	x, ok1 := new(big.Rat).SetString(a.String())
	y, ok2 := new(big.Rat).SetString(b.String())
	return ok1 && ok2 && x.Cmp(y) == 0
}

// withoutNulls removes members that are null, at every depth.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			if value != nil {
				out[name] = withoutNulls(value)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = withoutNulls(v[i])
		}
		return out
	}
	return v
}

func sameValue(have, want any) bool { return difference("", have, want) == "" }

// empty reports whether a value counts as equal to an absent member.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// difference returns the first recorded member that is missing or different in the result.
// Additional members of the result do not matter.
func difference(path string, have, want any) string {
	if empty(have) && empty(want) {
		return ""
	}
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok && !empty(have) {
			break
		}
		for name, value := range w {
			if d := difference(path+"."+name, h[name], value); d != "" {
				return d
			}
		}
		return ""
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(w) {
			break
		}
		for i := range w {
			if d := difference(fmt.Sprintf("%s[%d]", path, i), h[i], w[i]); d != "" {
				return d
			}
		}
		return ""
	default:
		if sameJSON(have, want) {
			return ""
		}
	}
	return fmt.Sprintf("%s is %v, recorded is %v", path, have, want)
}
