package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

// cage holds the canaries of one world and notes where one was seen.
type cage struct {
	mu      sync.Mutex
	names   map[string]string // secret → what it is
	places  int
	sighted []string
}

func newCage() *cage {
	return &cage{names: map[string]string{
		lab.APIKey: "the API key", lab.ControllerKey[2:]: "the controller key", proxyPassword: "the proxy's password",
	}}
}

// add adds a secret.
func (c *cage) add(secret, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names[secret] = what
}

// look searches one place for every canary in every encoding.
func (c *cage) look(place string, content []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.places++
	for secret, what := range c.names {
		for _, s := range encodings(secret) {
			if bytes.Contains(content, []byte(s)) {
				c.sighted = append(c.sighted, what+" in "+place)
				break
			}
		}
	}
}

// tree searches every file below a directory, except those that contain a key on
// purpose.
func (c *cage) tree(place, dir string, purpose ...string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		for _, p := range purpose {
			if path == p {
				return nil
			}
		}
		b, err := os.ReadFile(path)
		c.look(place+" "+filepath.Base(path), b)
		return err
	})
}

// finding reports how often a canary was seen.
func (c *cage) finding() finding {
	return finding{leaks: len(c.sighted), why: strings.Join(c.sighted, "; ")}
}

// encodings are the forms in which a secret may appear: as it is, in upper case, as
// hex, and as base64 at each of the three alignments.
func encodings(secret string) []string {
	all := []string{secret, strings.ToUpper(secret), hex.EncodeToString([]byte(secret))}
	for shift := range 3 {
		padded := append(make([]byte, shift), secret...)
		text := base64.StdEncoding.EncodeToString(padded)
		// Adjacent bytes change the outer characters.
		text = strings.TrimRight(text, "=")[(shift*8+5)/6:]
		all = append(all, text[:len(text)-2])
	}
	return all
}
