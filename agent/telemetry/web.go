package telemetry

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// web is the listener's web configuration in use. Its files are looked at with every
// connection and request, so that a renewed certificate needs no restart. A change that
// cannot be used is logged, and the previous one stays in use.
type web struct {
	path string
	log  *zap.Logger

	mu      sync.Mutex
	current *webSettings
	stamp   string

	proving  sync.Mutex // one bcrypt at a time: it takes a good part of a second on a small board
	known    map[string][]byte
	knownKey [32]byte
}

// openWeb reads the web configuration for a listener that may be reachable from outside.
func openWeb(cfg config.Telemetry, log *zap.Logger) (*web, error) {
	s, err := readWebConfig(cfg.WebConfigFile)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(cfg.Listen)
	if s.tls == nil && !cfg.AllowPlain && !config.IsLoopbackHost(host) {
		return nil, errors.New(cfg.WebConfigFile + " has no tls_server_config, so passwords would cross the network unencrypted; " +
			"add it, or set telemetry.allow_plain: true where the network is trusted")
	}
	w := &web{path: cfg.WebConfigFile, log: log, current: s, stamp: stampOf(s.files), known: map[string][]byte{}}
	_, _ = rand.Read(w.knownKey[:]) // never fails
	return w, nil
}

// settings returns what is in use, after a look at the files.
func (w *web) settings() *webSettings {
	w.mu.Lock()
	defer w.mu.Unlock()
	stamp := stampOf(w.current.files)
	if stamp == w.stamp {
		return w.current
	}
	w.stamp = stamp
	next, err := readWebConfig(w.path)
	if err == nil && (next.tls == nil) != (w.current.tls == nil) {
		err = errors.New("whether the listener is encrypted changes with a restart only")
	}
	if err != nil {
		w.log.Warn(status.Lookup(status.CodeTelemetryWebConfig).What+": "+status.SanitizeTo(err.Error(), 400),
			zap.String("code", string(status.CodeTelemetryWebConfig)))
		return w.current
	}
	w.current, w.stamp = next, stampOf(next.files)
	w.log.Info(status.Lookup(status.CodeTelemetryWebReloaded).What, zap.String("code", string(status.CodeTelemetryWebReloaded)))
	return next
}

// listener encrypts what is accepted, if the configuration says so.
func (w *web) listener(l net.Listener) net.Listener {
	if w.settings().tls == nil {
		return l
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return w.settings().tls, nil },
	})
}

// handler asks for name and password on every path, if there are users.
func (w *web) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if users := w.settings().users; len(users) > 0 {
			name, password, _ := r.BasicAuth()
			if !w.proves(users, name, password) {
				rw.Header().Set("WWW-Authenticate", `Basic realm="peaqos-agent"`)
				http.Error(rw, "a name and password of telemetry.web_config_file are needed", http.StatusUnauthorized)
				return
			}
		}
		next.ServeHTTP(rw, r)
	})
}

// nobody is a hash that no password is compared with in earnest: an unknown name takes as
// long as a wrong password.
const nobody = "$2a$10$WINNCLDismYBH3YkA0FJx.YnrS6Kq7fMgdekyDJbYLB5nYGCMcJe2"

// proves reports whether a password is the user's. A password that was right is remembered
// as a keyed hash until the process ends, because a scraper sends it with every scrape.
func (w *web) proves(users map[string][]byte, name, password string) bool {
	hash, exists := users[name]
	if !exists {
		hash = []byte(nobody)
	}
	mac := hmac.New(sha256.New, w.knownKey[:])
	mac.Write(hash)
	mac.Write([]byte("\x00" + password))
	sum := mac.Sum(nil)
	w.proving.Lock()
	defer w.proving.Unlock()
	if exists && hmac.Equal(w.known[name], sum) {
		return true
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !exists {
		return false
	}
	w.known[name] = sum
	return true
}

// opensPrivate reports whether a request may have /status and the page from anywhere: it
// is encrypted, the client has proven who it is, and the operator named the host.
func (s *Server) opensPrivate(r *http.Request) bool {
	return s.web != nil && r.TLS != nil && s.web.settings().proves &&
		slices.ContainsFunc(s.cfg.AllowedHosts, func(name string) bool { return sameHost(requestHost(r.Host), name) })
}
