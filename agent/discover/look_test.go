package discover_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/discover"
)

// server serves fixed bodies by path, and records what it was asked.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
}

func serve(t *testing.T, bodies map[string]string) *server {
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r)
		s.mu.Unlock()
		body, ok := bodies[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s
}

// TestLook: a runtime is recognized over a real connection, with few requests, none of
// which has a body, a key or a cookie.
func TestLook(t *testing.T) {
	s := serve(t, map[string]string{
		"/": "Ollama is running", "/api/tags": `{"models":[{"name":"llama3.2:latest","digest":"a80c"}]}`, "/api/version": `{"version":"0.5.1"}`,
	})
	r, err := discover.Look(t.Context(), s.URL)
	if err != nil || r.ProviderKey != "ollama" || r.Version != "0.5.1" || !slices.Equal(r.Models, []string{"llama3.2:latest"}) ||
		r.BaseURL != s.URL || r.Scope != "loopback" {
		t.Errorf("%+v, %v", r, err)
	}
	if len(s.requests) > 4 {
		t.Errorf("%d requests", len(s.requests))
	}
	for _, r := range s.requests {
		if r.Method != http.MethodGet || r.ContentLength > 0 || r.Header.Get("Authorization")+r.Header.Get("Cookie")+r.Header.Get("X-Api-Key") != "" {
			t.Errorf("%s %s with %v", r.Method, r.URL, r.Header)
		}
	}
}

// TestLookAtOthers: a redirect is not followed, a server that is not recognized is named
// so, and one that never ends is cut off.
func TestLookAtOthers(t *testing.T) {
	other := serve(t, map[string]string{"/": "Ollama is running"})
	redirecting := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer redirecting.Close()
	if r, err := discover.Look(t.Context(), redirecting.URL); err != nil || r.Name != "" || len(other.requests) != 0 {
		t.Errorf("a redirect: %+v, %v, %d requests to its target", r, err, len(other.requests))
	}
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := fmt.Fprint(w, strings.Repeat("Ollama is running", 1<<12)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	if r, err := discover.Look(t.Context(), endless.URL); err != nil || r.Name != "" {
		t.Errorf("an endless one: %+v, %v", r, err)
	}
}

// TestLookAtNoHTTP: what does not speak HTTP, or is not there, is an error.
func TestLookAtNoHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
			_ = c.Close()
		}
	}()
	origin := "http://" + l.Addr().String()
	if r, err := discover.Look(t.Context(), origin); err == nil {
		t.Errorf("an SSH server is %+v", r)
	}
	_ = l.Close()
	if r, err := discover.Look(t.Context(), origin); err == nil {
		t.Errorf("nothing is %+v", r)
	}
	if _, err := discover.Look(t.Context(), "http://192.0.2.1:80"); !errors.Is(err, discover.ErrNotAllowed) {
		t.Errorf("a public address: %v", err)
	}
	if _, err := discover.Look(t.Context(), "http://169.254.169.254:80"); !errors.Is(err, discover.ErrNotAllowed) {
		t.Errorf("the metadata service: %v", err)
	}
}

// TestFind asks several addresses, and leaves out what is not HTTP.
func TestFind(t *testing.T) {
	a := serve(t, map[string]string{"/": "Ollama is running"})
	b := serve(t, map[string]string{"/": "<title>Welcome to nginx!</title>"})
	gone := serve(t, nil)
	gone.Close()
	found := discover.Find(t.Context(), []string{a.URL, gone.URL, b.URL})
	if len(found) != 2 || found[0].Name != "Ollama" || found[1].Name != "nginx" {
		t.Errorf("%+v", found)
	}
}
