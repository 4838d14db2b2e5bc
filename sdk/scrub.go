package sdk

import (
	"errors"
	"reflect"
	"strings"
)

// minScrubbed is the length in bytes from which a secret of a body is taken out of
// an error. A shorter one would tear words apart, and is no secret.
const minScrubbed = 8

// scrub takes what this call sent in secret out of an error: a server may echo
// credentials, and errors are logged. Details are printed nowhere and stay as the
// server sent them, except those of a stream (contract §1.9).
func (r *call) scrub(err error) error {
	var secrets []string
	for _, s := range []Secret{r.token, r.client.apiKey} {
		if !s.IsZero() {
			secrets = append(secrets, s.Reveal())
		}
	}
	if r.sent != nil {
		for _, s := range secretsIn(reflect.ValueOf(r.sent), nil) {
			if len(s) >= minScrubbed {
				secrets = append(secrets, s)
			}
		}
	}
	clean := func(s string) string {
		for _, secret := range secrets {
			s = strings.ReplaceAll(s, secret, redacted)
		}
		return s
	}
	var redirect *RedirectError
	if errors.As(err, &redirect) {
		redirect.Location = clean(redirect.Location)
	}
	var api *APIError
	if errors.As(err, &api) {
		api.Code, api.Message = clean(api.Code), clean(api.Message)
		if api.Details != nil && r.accept != "" {
			api.Details = redactor{hide: func(string) bool { return false }, text: clean}.apply(string(api.Details))
		}
	}
	return err
}

// secretsIn collects the secrets of a request body.
func secretsIn(v reflect.Value, found []string) []string {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			found = secretsIn(v.Elem(), found)
		}
	case reflect.Struct:
		return secretsOf(v, found)
	case reflect.Slice:
		for i := range v.Len() {
			found = secretsIn(v.Index(i), found)
		}
	case reflect.Map:
		for _, name := range v.MapKeys() {
			found = secretsIn(v.MapIndex(name), found)
		}
	}
	return found
}

// secretsOf is secretsIn for a struct: a Secret, an Optional, or one with fields.
func secretsOf(v reflect.Value, found []string) []string {
	t := v.Type()
	if t == reflect.TypeFor[Secret]() {
		return append(found, v.Interface().(Secret).Reveal())
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[slotted]()) {
		if v.IsZero() {
			return found
		}
		copied := reflect.New(t)
		copied.Elem().Set(v)
		value, _ := copied.Interface().(slotted).slot()
		return secretsIn(reflect.ValueOf(value).Elem(), found)
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() || f.Anonymous {
			found = secretsIn(v.Field(i), found)
		}
	}
	return found
}
