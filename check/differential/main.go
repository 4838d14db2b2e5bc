package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

func main() {
	python := flag.String("python", "python3", "interpreter of a virtual environment with the Python SDK (check/realclient/venv.sh prints it)")
	minutes := flag.Float64("minutes", 1, "how long to run")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "where the random changes begin")
	recordings := flag.String("recordings", "sdk/testdata/wire", "directory of the recorded responses")
	flag.Parse()
	differences, err := run(*python, *recordings, *seed, time.Duration(*minutes*float64(time.Minute)))
	if err != nil {
		fmt.Fprintln(os.Stderr, "differential:", err)
		os.Exit(2)
	}
	if differences > 0 {
		os.Exit(1)
	}
}

// recording is a recorded call that succeeded.
type recording struct {
	method string
	args   map[string]string // by their names on the wire
	body   string
}

// verdict is what one client makes of a response.
type verdict struct {
	OK    bool   `json:"ok"`
	Code  string `json:"code"`
	Error string `json:"error"`
}

func run(python, directory string, seed uint64, limit time.Duration) (differences int, err error) {
	all, err := readRecordings(directory)
	if err != nil {
		return 0, err
	}
	other, err := startPython(python)
	if err != nil {
		return 0, err
	}
	defer other.stop()
	fmt.Printf("seed %d, %d recorded responses, for %v\n", seed, len(all), limit)
	random := rand.New(rand.NewPCG(seed, 0))
	table, counts := methods(), map[string]int{}
	for end := time.Now().Add(limit); time.Now().Before(end); {
		r := all[random.IntN(len(all))]
		body := mutate(random, r.body)
		theirs, err := other.judge(r, body)
		if err != nil {
			return differences, err
		}
		ours := judge(table[r.method].call, r, body)
		outcome := agree(table[r.method].strict, body, ours, theirs)
		counts[outcome]++
		if outcome == different {
			differences++
			fmt.Printf("%s differs\n  body    %q\n  Go      %+v\n  Python  %+v\n", r.method, body, ours, theirs)
		}
	}
	total := 0
	for _, name := range []string{same, stricter, different} {
		total += counts[name]
		fmt.Printf("%7d %s\n", counts[name], name)
	}
	fmt.Printf("%7d in all\n", total)
	return differences, nil
}

const (
	same      = "alike"
	stricter  = "refused by Go alone, where Python reads members as they are"
	different = "different"
)

// agree compares two verdicts about a body.
func agree(strict bool, body string, ours, theirs verdict) string {
	switch {
	case ours.OK && theirs.OK, !ours.OK && !theirs.OK && ours.Code == theirs.Code:
		return same
	case !ours.OK && !theirs.OK && theirs.Code == "" && ours.Code == sdk.CodeInvalidResponseShape:
		return same // Python's own KeyError, TypeError, …
	case !strict && !ours.OK && ours.Code == sdk.CodeInvalidResponseShape && theirs.OK:
		return stricter
	case byDesign(body, ours, theirs):
		return stricter
	}
	return different
}

// byDesign are the differences that stay: this client reads JSON as RFC 8259 has it, in UTF-8,
// where Python replaces other bytes; and a null cursor as the end of a list wherever the list
// is.
func byDesign(body string, ours, theirs verdict) bool {
	return ours.Code == sdk.CodeBadResponse && !utf8.ValidString(body) ||
		ours.OK && theirs.Code == sdk.CodeInvalidResponseShape && strings.Contains(theirs.Error, "nextCursor")
}

// judge makes the call with this client.
func judge(make call, r recording, body string) verdict {
	respond := responder(body)
	c, err := sdk.New("http://recorded.example", sdk.WithStrictStatus(), sdk.WithHTTPClient(&http.Client{Transport: respond}))
	if err == nil {
		err = make(context.Background(), c, r.args)
	}
	if err == nil {
		return verdict{OK: true}
	}
	if api, ok := errors.AsType[*sdk.APIError](err); ok {
		return verdict{Code: api.Code, Error: err.Error()}
	}
	return verdict{Code: "?", Error: err.Error()}
}

// responder is a transport that responds to everything with one body.
type responder string

func (r responder) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: req,
		ContentLength: int64(len(r)), Body: io.NopCloser(strings.NewReader(string(r))),
	}, nil
}

// readRecordings reads the successful calls of the reference release that methods knows.
func readRecordings(directory string) ([]recording, error) {
	files, err := filepath.Glob(filepath.Join(directory, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []recording
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var cases []struct {
			SDK  string `json:"sdk"`
			Call struct {
				Method string                     `json:"method"`
				Args   map[string]json.RawMessage `json:"args"`
			} `json:"call"`
			Exchanges []struct {
				Response struct{ Body json.RawMessage }
			} `json:"exchanges"`
			Outcome struct{ OK bool } `json:"outcome"`
		}
		if err := json.Unmarshal(text, &cases); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, c := range cases {
			_, known := methods()[c.Call.Method]
			if !known || c.SDK != "peaq-os-sdk 0.12.1" || !c.Outcome.OK || len(c.Exchanges) != 1 || c.Exchanges[0].Response.Body == nil {
				continue
			}
			r := recording{c.Call.Method, map[string]string{}, string(c.Exchanges[0].Response.Body)}
			for name, raw := range c.Call.Args {
				var text string
				if json.Unmarshal(raw, &text) == nil && name != "cursor" {
					r.args[name] = text
				}
			}
			all = append(all, r)
		}
	}
	if len(all) < 30 {
		return nil, fmt.Errorf("only %d usable recordings in %s", len(all), directory)
	}
	slices.SortStableFunc(all, func(a, b recording) int { return strings.Compare(a.method, b.method) })
	return all, nil
}

// pythonSide is the process of the Python SDK.
type pythonSide struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startPython(interpreter string) (*pythonSide, error) {
	cmd := exec.Command(interpreter, "check/differential/python_side.py")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &pythonSide{cmd, in, bufio.NewScanner(out)}, cmd.Start()
}

// judge makes the call with the Python SDK.
func (p *pythonSide) judge(r recording, body string) (v verdict, err error) {
	args := map[string]string{}
	for name, value := range r.args {
		args[snake(name)] = value
	}
	line, err := json.Marshal(struct {
		Method string            `json:"method"`
		Args   map[string]string `json:"args"`
		Body   []byte            `json:"body"` // base64
	}{r.method, args, []byte(body)})
	if err != nil {
		return v, err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return v, err
	}
	if !p.out.Scan() {
		return v, fmt.Errorf("the Python side ended: %w", errors.Join(p.out.Err(), io.ErrUnexpectedEOF))
	}
	return v, json.Unmarshal(p.out.Bytes(), &v)
}

func (p *pythonSide) stop() {
	_ = p.in.Close()
	_ = p.cmd.Wait()
}

func snake(name string) string {
	var b strings.Builder
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}
