package sdk

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// errorEnvelope is the body of an error (contract §1.5).
type errorEnvelope struct {
	Error struct {
		Code    string   `json:"code" wire:"req"`
		Message string   `json:"message" wire:"req"`
		Details wire.Raw `json:"details"`
	} `json:"error" wire:"req"`
}

// refusal makes the error of a status that is no success (contract §1.6), without
// what the call sent in secret.
func (r *call) refusal(res *http.Response, meta Meta, body string) error {
	return r.scrub(r.refused(res, meta, body))
}

func (r *call) refused(res *http.Response, meta Meta, body string) error {
	e := &APIError{Operation: r.operation, Code: CodeBadResponse, StatusCode: meta.Status, Date: meta.Date}
	e.retryAfter, e.retrySet = retryAfter(res.Header, meta.Date, time.Now())
	if meta.Status < 400 {
		e.Message = "the answer is neither a success nor an error"
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
	e.Message = "the body is not the API's error envelope"
	return e
}

// redirectTarget resolves a Location and leaves out what may hold a secret.
func redirectTarget(from *url.URL, location string) string {
	u, err := from.Parse(location)
	if err != nil {
		return "an unreadable address"
	}
	return withoutSecrets(u)
}

// fault makes an error of an answer whose status was a success.
func (a *reply) fault(code, message string) *APIError {
	return &APIError{Operation: a.operation, Code: code, Message: message, StatusCode: a.Status, Date: a.Date}
}

// text checks that there is a body and that it is JSON other than null, then
// hands it to decode. A syntax fault anywhere makes it BAD_RESPONSE, so that a
// body which was cut is not mistaken for one of another shape.
func (a *reply) text(decode func(body string) error) error {
	if a.empty {
		return a.fault(CodeInvalidResponseShape, "HTTP 204 where a result was due")
	}
	err := decode(a.body)
	if err == nil && utf8.ValidString(a.body) {
		return nil
	}
	var shape *wire.ShapeError
	if errors.As(err, &shape) && wire.Valid(a.body) && strings.Trim(a.body, " \t\r\n") != "null" {
		return a.fault(CodeInvalidResponseShape, "invalid response: "+shape.Error())
	}
	fault := a.fault(CodeBadResponse, "the body is not JSON")
	fault.ContentTypeMismatch = !jsonMedia(a.contentType)
	return fault
}

// jsonMedia tells whether a content type claims to be JSON.
func jsonMedia(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	return media == "application/json" || strings.HasSuffix(media, "+json")
}
