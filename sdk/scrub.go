package sdk

import (
	"errors"
	"slices"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// minScrubbed is the length in bytes from which a secret is removed from errors. Removing a
// shorter one would break up words, and it is hardly a secret.
const minScrubbed = 8

// scrub removes the secrets of this request from an error: a server may echo credentials,
// and errors are logged. Details are never printed and stay as the server sent them, except
// those of a stream (contract §1.9).
func (r *call) scrub(err error) error {
	var secrets []string
	for _, s := range []Secret{r.token, r.client.apiKey} {
		if text := s.Reveal(); len(text) >= minScrubbed {
			secrets = append(secrets, text)
		}
	}
	for _, s := range wire.SecretsIn(r.sent) {
		if len(s) >= minScrubbed {
			secrets = append(secrets, s)
		}
	}
	slices.SortFunc(secrets, func(x, y string) int { return len(y) - len(x) }) // one may be part of another
	clean := func(s string) string {
		for _, secret := range secrets {
			s = strings.ReplaceAll(s, secret, wire.Redacted)
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
			api.Details = wire.Redactor{Hide: func(string) bool { return false }, Text: clean}.Apply(string(api.Details))
		}
	}
	return err
}
