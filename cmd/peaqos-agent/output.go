package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// progress prints one line for a person. With --quiet or --json it prints nothing.
func (a *app) progress(line string) {
	if !a.quiet && !a.json {
		_, _ = fmt.Fprintln(a.err, line)
	}
}

// waitNotice is how long a command is silent before it says what it waits for.
const waitNotice = time.Second

// waiting says after a second what a command waits for, unless the returned function is
// called before.
func (a *app) waiting(what string) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-done:
		case <-time.After(waitNotice):
			a.progress("waiting for " + what)
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// result prints the result of a command as JSON.
func (a *app) result(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// list returns a list that is printed as [] when it is empty, not as null.
func list[T any](items []T) []T { return append([]T{}, items...) }

// list prints the items of a list as JSON. Every list is complete, so there is never
// a next page.
func (a *app) list(items any) error {
	return a.result(map[string]any{"items": items, "next_cursor": nil})
}

// fail prints an error with its detail and next step, and returns its exit code.
func (a *app) fail(err error) int {
	p := agent.Explain(err)
	next := *p
	p = next.Advise(a.advice(p))
	if a.json {
		enc := json.NewEncoder(a.err)
		enc.SetIndent("", "  ")
		_ = enc.Encode(map[string]errorDocument{"error": newErrorDocument(p, err)})
		return int(p.Exit)
	}
	_, _ = fmt.Fprintf(a.err, "Error: %s\n", p.Message)
	for _, text := range []string{p.Detail, p.Next} {
		if text != "" {
			_, _ = fmt.Fprintf(a.err, "\n  %s\n", strings.ReplaceAll(text, "\n", "\n  "))
		}
	}
	return int(p.Exit)
}

// advice is the next step of a problem, with commands that can be run from here.
func (a *app) advice(p *status.Problem) string {
	r := a.reader()
	switch {
	case p.Next != status.Lookup(status.CodeNotPermitted).Advice:
		return status.ForReader(p.Next, r)
	case r.ServiceNeedsSudo:
		return "run " + sudoLine(cmp.Or(a.program, "peaqos-agent"), a.args)
	case errors.Is(p, fs.ErrPermission): // no sudo would help, as in a container
		uid := strconv.Itoa(os.Geteuid())
		return "give it to user " + uid + ", on the host if it is in a volume (chown -R " + uid + " DIRECTORY), or run as the user that owns it"
	}
	return "run the command as root or as the agent's user"
}

// sudoLine is a command line as root.
func sudoLine(program string, args []string) string {
	words := []string{"sudo", program}
	for _, arg := range args {
		words = append(words, config.ShellWord(arg))
	}
	return strings.Join(words, " ")
}

// errorDocument is an error as --json prints it, under the key "error". All fields
// but problems are always present.
type errorDocument struct {
	Code     status.Code      `json:"code"`
	Message  string           `json:"message"`
	Detail   string           `json:"detail"`
	Next     string           `json:"next"`
	Exit     status.Exit      `json:"exit"`
	Problems []config.Problem `json:"problems,omitempty"` // of the configuration, if it is not valid
}

func newErrorDocument(p *status.Problem, err error) errorDocument {
	doc := errorDocument{Code: p.Code, Message: p.Message, Detail: p.Detail, Next: p.Next, Exit: p.Exit}
	var invalid *config.Error
	if errors.As(err, &invalid) {
		doc.Problems = invalid.Problems
	}
	return doc
}

// textOptions returns how text is printed: wrapped and colored on a terminal only,
// without color when NO_COLOR is set, in ASCII where the locale is not UTF-8.
func (a *app) textOptions(all bool) status.TextOptions {
	env := environment(a.env)
	o := status.TextOptions{All: all, ASCII: !utf8Locale(env)}
	if f, ok := a.out.(*os.File); ok && isTerminal(f) {
		o.Color = env["NO_COLOR"] == "" && env["TERM"] != "dumb"
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
			o.Width = int(size.Col)
		}
	}
	return o
}

// terminalHeight is the number of lines of the terminal; 0 if that is not known.
func (a *app) terminalHeight() int {
	f, ok := a.out.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Row)
}

// environment returns variables by name.
func environment(variables []string) map[string]string {
	env := map[string]string{}
	for _, kv := range variables {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	return env
}

// utf8Locale reports whether the environment names a UTF-8 locale, or none at all:
// services and containers often have none, and their logs are read as UTF-8.
func utf8Locale(env map[string]string) bool {
	locale := cmp.Or(env["LC_ALL"], env["LC_CTYPE"], env["LANG"])
	name := strings.ToLower(strings.ReplaceAll(locale, "-", ""))
	return locale == "" || strings.Contains(name, "utf8")
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
