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

func (a *app) asker() *asker { return &asker{a.input(), a.err} }

// input reads standard input until the command is interrupted: a person who does not
// answer can end it.
func (a *app) input() *bufio.Reader {
	return bufio.NewReader(a.bounded())
}

// bounded is input without a buffer, for a secret.
func (a *app) bounded() io.Reader { return io.LimitReader(interruptible{a.in, a.interrupted}, 64<<10) }

// interruptible is a reader whose Read ends when the channel is closed. What it was
// waiting for is then lost.
type interruptible struct {
	in          io.Reader
	interrupted <-chan struct{}
}

func (r interruptible) Read(b []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	done, part := make(chan result, 1), make([]byte, len(b))
	go func() {
		n, err := r.in.Read(part)
		done <- result{n, err}
	}()
	select {
	case <-r.interrupted:
		return 0, context.Canceled
	case got := <-done:
		copy(b, part[:got.n])
		clear(part)
		return got.n, got.err
	}
}

func (k *asker) say(format string, args ...any) { _, _ = fmt.Fprintf(k.out, format+"\n", args...) }

// mostTries is how often a question is repeated after an answer that cannot be used.
const mostTries = 5

// ask asks until check accepts the answer; check returns why it does not, as a sentence.
// An empty answer means preset.
func (k *asker) ask(question, preset string, check func(string) string) (string, error) {
	if preset != "" {
		question += " [" + preset + "]"
	}
	for range mostTries {
		_, _ = fmt.Fprintf(k.out, "%s: ", question)
		answer, err := k.line()
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
func (k *asker) yes(question string) (bool, error) {
	answer, err := k.ask(question+" [Y/n]", "", func(s string) string {
		switch strings.ToLower(s) {
		case "", "y", "yes", "n", "no":
			return ""
		}
		return "answer y or n"
	})
	return answer == "" || strings.HasPrefix(strings.ToLower(answer), "y"), err
}

// line reads one line.
func (k *asker) line() (string, error) {
	text, err := k.in.ReadString('\n')
	if errors.Is(err, io.EOF) {
		k.say("")
		return "", status.NewProblem(status.CodeInterrupted, "the input ended; nothing was written")
	}
	return strings.TrimSpace(text), err
}
