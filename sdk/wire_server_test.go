package sdk_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
)

// wireSeen is a received request.
type wireSeen struct {
	method string
	path   string // raw, before ?
	query  url.Values
	header http.Header
	body   string
}

// wireServer sends the recorded responses. Each case has its own server, so that no
// connection is shared.
type wireServer struct {
	url    string
	server *httptest.Server
	mu     sync.Mutex
	seen   []wireSeen
}

func newWireServer(exchanges []exchange) *wireServer {
	s := &wireServer{}
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		path, rawQuery, _ := strings.Cut(r.RequestURI, "?")
		query, _ := url.ParseQuery(rawQuery)
		s.mu.Lock()
		s.seen = append(s.seen, wireSeen{r.Method, path, query, r.Header.Clone(), string(body)})
		n := len(s.seen)
		s.mu.Unlock()
		if n > len(exchanges) {
			http.Error(w, "one request too many", http.StatusInternalServerError)
			return
		}
		exchanges[n-1].response(w)
	}))
	// net/http repeats a GET if a kept-alive connection fails.
	s.server.Config.SetKeepAlivesEnabled(false)
	s.server.Start()
	s.url = s.server.URL
	return s
}

// close stops the server and returns the requests.
func (s *wireServer) close() []wireSeen {
	s.server.CloseClientConnections()
	s.server.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (e *exchange) response(w http.ResponseWriter) {
	a := e.Response
	if a.Network == "close" {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			connection.Close()
		}
		return
	}
	var body string
	switch {
	case a.Body != nil:
		w.Header().Set("Content-Type", "application/json")
		body = string(a.Body)
	case a.BodyText != nil:
		w.Header().Set("Content-Type", "text/plain")
		body = *a.BodyText
	}
	for name, value := range a.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.Status)
	fmt.Fprint(w, body)
}
