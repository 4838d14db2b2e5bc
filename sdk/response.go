package sdk

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// Meta is the status and the time of a response. Every single result and every [Page]
// embeds it; items inside a page do not have it.
type Meta struct {
	Status int       // HTTP status
	Date   time.Time // the server's clock, from the Date header; zero when absent
}

func dateOf(h http.Header) time.Time {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return date
}

// errorEnvelope is the body of an error (contract §1.5).
type errorEnvelope struct {
	Error struct {
		Code    string   `json:"code" wire:"req"`
		Message string   `json:"message" wire:"req"`
		Details wire.Raw `json:"details"`
	} `json:"error" wire:"req"`
}

// refusal makes the error for a status other than 2xx (contract §1.6), without the secrets
// of the request.
func (r *call) refusal(res *http.Response, meta Meta, body string) error {
	return r.scrub(r.refused(res, meta, body))
}

func (r *call) refused(res *http.Response, meta Meta, body string) error {
	e := &APIError{Operation: r.operation, Code: CodeBadResponse, StatusCode: meta.Status, Date: meta.Date, Host: res.Request.URL.Host}
	e.retryAfter, e.retrySet = retryAfter(res.Header, meta.Date, time.Now())
	if meta.Status < 400 {
		e.Message = "neither a success nor an error"
		if target := res.Header.Get("Location"); target != "" {
			return &RedirectError{Location: redirectTarget(res.Request.URL, target), API: e}
		}
		return e
	}
	var envelope errorEnvelope
	if wire.Valid(body) && r.client.codec.Decode(body, &envelope) == nil {
		e.Envelope, e.Code, e.Message = true, envelope.Error.Code, wire.RedactText(envelope.Error.Message)
		if details := string(envelope.Error.Details); details != "" && details != "null" {
			e.Details = wire.ServerDetails().Apply(details)
		}
		return e
	}
	e.Message = "the body is not the API's error envelope but " + bodyClass(body)
	if said := bodyText(body); said != "" {
		e.Message += ": " + wire.RedactText(said)
	}
	return e
}

// bodyClass says what a body that is not the API's is, so that a reader knows who responded.
func bodyClass(body string) string {
	trimmed := strings.TrimLeft(body, " \t\r\n")
	lower := strings.ToLower(trimmed[:min(len(trimmed), 16)])
	switch {
	case trimmed == "":
		return "empty"
	case wire.IsObject(body):
		return "another JSON object"
	case wire.Valid(body):
		return "other JSON"
	case strings.HasPrefix(lower, "<!doctype html") || strings.HasPrefix(lower, "<html"):
		return "HTML"
	case trimmed[0] == '<':
		return "XML or HTML"
	case !utf8.ValidString(body) || strings.ContainsFunc(body, func(r rune) bool { return r < 0x20 && !unicode.IsSpace(r) }):
		return "binary data"
	case trimmed[0] == '{' || trimmed[0] == '[':
		return "incomplete or invalid JSON"
	}
	return "plain text"
}

// bodyText is the message of an error in one of the usual forms: the member error, detail,
// message or title, if it is a short text, or the message in the member error.
func bodyText(body string) string {
	var usual struct {
		Error, Detail, Message, Title json.RawMessage
	}
	if !wire.IsObject(body) || json.Unmarshal([]byte(body), &usual) != nil {
		return ""
	}
	var inner struct{ Message json.RawMessage }
	_ = json.Unmarshal(usual.Error, &inner)
	for _, raw := range []json.RawMessage{usual.Detail, usual.Error, inner.Message, usual.Message, usual.Title} {
		var text string
		if json.Unmarshal(raw, &text) == nil && text != "" {
			return text
		}
	}
	return ""
}

// redirectTarget resolves a Location and removes the parts that may hold a secret.
func redirectTarget(from *url.URL, location string) string {
	u, err := from.Parse(location)
	if err != nil {
		return "an unreadable address"
	}
	return withoutSecrets(u)
}

// fault makes an error for a response with a 2xx status.
func (res *success) fault(code, message string) *APIError {
	return &APIError{Operation: res.operation, Code: code, Message: message, StatusCode: res.Status, Date: res.Date, Host: res.host}
}

// text decodes the body, which must be JSON other than null. A syntax error anywhere makes
// it BAD_RESPONSE, so that a truncated body is not mistaken for one of another shape.
func (res *success) text(decode func(body string) error) error {
	if res.empty {
		return res.fault(CodeInvalidResponseShape, "HTTP 204, expected a result")
	}
	err := decode(res.body)
	if err == nil && utf8.ValidString(res.body) {
		return nil
	}
	var shape *wire.ShapeError
	if errors.As(err, &shape) && wire.Valid(res.body) && strings.Trim(res.body, " \t\r\n") != "null" {
		return res.fault(CodeInvalidResponseShape, "invalid response: "+shape.Error())
	}
	fault := res.fault(CodeBadResponse, "the body is not JSON")
	fault.ContentTypeMismatch = !jsonMedia(res.contentType)
	return fault
}

// jsonMedia reports whether a content type is JSON.
func jsonMedia(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	return media == "application/json" || strings.HasSuffix(media, "+json")
}
