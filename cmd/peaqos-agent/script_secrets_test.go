package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// keptSecrets is the key of a script's secrets, which are not in its environment.
type keptSecrets struct{}

// forms returns a secret in the encodings in which it could leak.
func forms(secret string) []string {
	all := []string{
		secret, hex.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
	if digits, ok := strings.CutPrefix(secret, "0x"); ok {
		raw, err := hex.DecodeString(digits)
		if err == nil {
			all = append(all, digits, string(raw), base64.StdEncoding.EncodeToString(raw))
		}
	}
	return all
}

// secrets implements secrets GRANT APIKEY CONTROLLER: it sets what the commands below
// search for, and has to come first.
func secrets(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: secrets GRANT APIKEY CONTROLLER")
	}
	var grant struct {
		Token string `json:"agent_token"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &grant))
	if len(grant.Token) < 16 {
		ts.Fatalf("no token in the grant")
	}
	all := []string{grant.Token, "proxy-canary"}
	for _, f := range args[1:] {
		all = append(all, strings.TrimSpace(ts.ReadFile(f)))
	}
	*ts.Value(keptSecrets{}).(*[]string) = all
}

// look fails the script if the text contains a secret in any form.
func look(ts *testscript.TestScript, where, text string) {
	kept := *ts.Value(keptSecrets{}).(*[]string)
	if len(kept) < 4 {
		ts.Fatalf("secrets has not run")
	}
	for i, s := range kept {
		for _, form := range forms(s) {
			if strings.Contains(text, form) {
				ts.Fatalf("secret %d is in %s", i, where)
			}
		}
	}
}

// unseen implements unseen FILE|URL…: it fails if one of them contains a secret.
func unseen(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: unseen FILE|URL…")
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
	for _, a := range args {
		text := ""
		if strings.HasPrefix(a, "http://") {
			if text = ask(&client, a); !strings.HasPrefix(text, "200") {
				ts.Fatalf("%s: %.100s", a, text)
			}
		} else {
			text = ts.ReadFile(a)
		}
		look(ts, a, text)
	}
}

// unseenFiles implements unseen-files DIR: it fails if a file below contains a secret.
func unseenFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unseen-files DIR")
	}
	files := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		files++
		look(ts, path, string(b))
		return err
	}))
	if files < 4 {
		ts.Fatalf("%d files in %s", files, args[0])
	}
}

// unseenProcesses implements unseen-processes: it fails if the command line or the
// environment of one of this script's agents contains a secret. What the system does
// not let us read cannot leak.
func unseenProcesses(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: unseen-processes")
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	ts.Check(err)
	agents := 0
	for _, dir := range dirs {
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !strings.Contains(string(line), "run\x00--config\x00c.yaml") {
			continue
		}
		if cwd, err := os.Readlink(filepath.Join(dir, "cwd")); err == nil && cwd != ts.Getenv("WORK") {
			continue
		}
		agents++
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		look(ts, dir+"/cmdline", string(line))
		if err == nil { // it may not be readable, which is the intention
			look(ts, dir+"/environ", strings.ReplaceAll(string(environ), "proxy-canary", "")) // set by the script
		}
	}
	if agents == 0 {
		ts.Fatalf("no agent is running")
	}
}
