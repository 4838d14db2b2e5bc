package sdk

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// apiPrefix begins every path of the API (contract §1.1).
const apiPrefix = "/api/v1"

// baseURL is the address of an orchestrator: scheme and host, and the path that ends in
// /api/v1, decoded and as written.
type baseURL struct {
	url       url.URL
	path, raw string
}

func (b baseURL) origin() string { return b.url.Scheme + "://" + b.url.Host }

// parseBase checks an orchestrator's URL. Its errors do not repeat the URL, which may hold
// a password.
func parseBase(base string) (baseURL, error) {
	fault := func(text string) (baseURL, error) {
		return baseURL{}, &ConfigError{Field: "orchestrationUrl", Message: text}
	}
	if base == "" {
		return fault("is not set; set the orchestrator's URL, such as https://orchestration.peaq.xyz")
	}
	if strings.ContainsFunc(base, func(r rune) bool { return unicode.IsSpace(r) || r == '\\' || r < 0x20 || r == 0x7f }) {
		return fault("must not contain spaces, backslashes or control characters")
	}
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return fault("must be a URL with http or https and a host")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n > 65535 {
			return fault("must have a port up to 65535")
		}
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(base, "#") {
		return fault("must not have a user, a query or a fragment")
	}
	trim := func(path string) string {
		if strings.Trim(path, "/") == "" {
			return apiPrefix // a path that begins with two slashes would be a host
		}
		path = strings.TrimSuffix(path, "/")
		if rest := len(path) - len(apiPrefix); rest >= 0 && strings.EqualFold(path[rest:], apiPrefix) {
			return path // in the spelling of the caller
		}
		return path + apiPrefix
	}
	return baseURL{url: url.URL{Scheme: u.Scheme, Host: u.Host}, path: trim(u.Path), raw: trim(u.EscapedPath())}, nil
}

// at returns the URL of a path below /api/v1, given in decoded and escaped form.
func (b baseURL) at(decoded, escaped, query string) *url.URL {
	u := b.url
	u.Path, u.RawPath, u.RawQuery = b.path+decoded, b.raw+escaped, query
	if u.Path == u.RawPath {
		u.RawPath = ""
	}
	return &u
}

// fillPath puts parameters into a template such as /machines/{machineId}, each as one
// segment. It rejects blank parameters, and dot segments, which servers and proxies resolve
// even if they are escaped.
func fillPath(template string, params []string) (decoded, escaped string, err error) {
	var plain, raw strings.Builder
	for {
		open := strings.IndexByte(template, '{')
		if open < 0 {
			plain.WriteString(template)
			raw.WriteString(template)
			return plain.String(), raw.String(), nil
		}
		end := open + strings.IndexByte(template[open:], '}')
		name := template[open+1 : end]
		value := params[0]
		params = params[1:]
		if err := nonBlank(name, value); err != nil {
			return "", "", err
		}
		if value == "." || value == ".." {
			return "", "", &ValidationError{name, "other than a dot segment"}
		}
		plain.WriteString(template[:open] + value)
		raw.WriteString(template[:open] + escapeSegment(value))
		template = template[end+1:]
	}
}

// escapeSegment escapes all but the unreserved characters of RFC 3986.
func escapeSegment(s string) string {
	clean := true
	for i := range len(s) {
		clean = clean && unreserved(s[i])
	}
	if clean {
		return s
	}
	b := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		if unreserved(s[i]) {
			b = append(b, s[i])
			continue
		}
		const hex = "0123456789ABCDEF"
		b = append(b, '%', hex[s[i]>>4], hex[s[i]&15])
	}
	return string(b)
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// withoutSecrets returns a URL without user, query and fragment, for messages.
func withoutSecrets(u *url.URL) string {
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.Opaque != "" {
		return u.Scheme + ":"
	}
	return wire.RedactText(clean.String())
}
