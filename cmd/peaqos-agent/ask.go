package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// asker asks a person on a terminal. Questions go to standard error.
type asker struct {
	in  *bufio.Reader
	out io.Writer
}

// mayAsk reports whether a person can be asked: standard input and standard error are a
// terminal, and the result is for a person.
func (a *app) mayAsk() bool { return !a.json && !a.quiet && isTerminal(a.in) && isTerminal(a.err) }

func (a *app) asker() *asker { return &asker{bufio.NewReader(io.LimitReader(a.in, 64<<10)), a.err} }

func (k *asker) say(format string, args ...any) { _, _ = fmt.Fprintf(k.out, format+"\n", args...) }

// mostTries is how often a question is repeated after an answer that cannot be used.
const mostTries = 5

// ask asks until check accepts the answer; check returns why it does not, as a sentence.
// An empty answer means preset.
func (k *asker) ask(ctx context.Context, question, preset string, check func(string) string) (string, error) {
	if preset != "" {
		question += " [" + preset + "]"
	}
	for range mostTries {
		_, _ = fmt.Fprintf(k.out, "%s: ", question)
		answer, err := k.line(ctx)
		if err != nil {
			return "", err
		}
		if answer == "" {
			answer = preset
		}
		fault := ""
		switch {
		case strings.ContainsFunc(answer, unicode.IsControl):
			fault = "the answer contains control characters"
		case check != nil:
			fault = check(answer)
		}
		if fault == "" {
			return answer, nil
		}
		k.say("  %s", fault)
	}
	return "", usageProblem("no answer could be used", "see peaqos-agent enroll --help for the flags that take the place of the questions")
}

// yes asks a question that is answered with yes or no; an empty answer is yes.
func (k *asker) yes(ctx context.Context, question string) (bool, error) {
	answer, err := k.ask(ctx, question+" [Y/n]", "", func(s string) string {
		switch strings.ToLower(s) {
		case "", "y", "yes", "n", "no":
			return ""
		}
		return "answer y or n"
	})
	return answer == "" || strings.HasPrefix(strings.ToLower(answer), "y"), err
}

// line reads one line, or ends with the context.
func (k *asker) line(ctx context.Context) (string, error) {
	type answer struct {
		text string
		err  error
	}
	read := make(chan answer, 1)
	go func() {
		text, err := k.in.ReadString('\n')
		read <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case got := <-read:
		if got.err != nil {
			if errors.Is(got.err, io.EOF) {
				k.say("")
				return "", status.NewProblem(status.CodeInterrupted, "the input ended; nothing was written")
			}
			return "", got.err
		}
		return strings.TrimSpace(got.text), nil
	}
}
