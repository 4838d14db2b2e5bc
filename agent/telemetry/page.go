package telemetry

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"sync"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

//go:embed page.html
var pageSource string

// page is the small live page for people on /. It shows the same view as /status.
// It is rendered on the server only: its script fetches the page again and applies
// what changed, and without scripts the browser reloads it.
type page struct {
	// parse runs once, at the first request, because most devices never get one.
	parse func() (*template.Template, error)
}

func newPage() *page {
	return &page{parse: sync.OnceValues(func() (*template.Template, error) {
		return template.New("page").Funcs(template.FuncMap{
			"clock": func(t time.Time) string { return t.Format(time.RFC3339) },
			"or":    status.OrMissing, "skew": status.FormatSkew, "ago": status.FormatSeconds,
			"running": func(s *float64) bool { return s != nil && *s > 0 },
		}).Parse(pageSource)
	})}
}

// serve writes the page with a nonce of its own, which the content policy names.
func (p *page) serve(w http.ResponseWriter, v status.View) {
	tmpl, err := p.parse()
	if err != nil {
		panic(err) // the page is part of the program
	}
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	nonce := base64.RawURLEncoding.EncodeToString(raw)
	var out bytes.Buffer
	if err := tmpl.Execute(&out, struct {
		status.View
		Nonce string
	}{v, nonce}); err != nil {
		panic(err)
	}
	w.Header().Set("Content-Security-Policy", contentPolicy(nonce))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = out.WriteTo(w)
}
