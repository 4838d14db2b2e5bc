package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// watchPause is the time between two looks at the status.
const watchPause = 2 * time.Second

// What a terminal does instead of printing: switch to a screen of its own and back, go to
// the top, and erase the rest of a line or of the screen.
const (
	enterScreen = "\x1b[?1049h"
	leaveScreen = "\x1b[?1049l"
	toTop       = "\x1b[H"
	eraseLine   = "\x1b[K"
	eraseBelow  = "\x1b[J"
)

// watchStatus shows the status again and again until the context ends. A terminal keeps
// what was on it, and the last status below it.
func (a *app) watchStatus(ctx context.Context, ask statusRequest) error {
	tick := time.NewTicker(watchPause)
	defer tick.Stop()
	inPlace := isTerminal(a.out) && !a.json
	if inPlace {
		_, _ = fmt.Fprint(a.out, enterScreen)
	}
	last := ""
	err := func() error {
		for {
			if !inPlace {
				if err := a.showStatus(ctx, ask); err != nil {
					return err
				}
			} else {
				text, err := a.currentStatus(ctx, ask)
				if err != nil {
					return err
				}
				if _, err := fmt.Fprint(a.out, redrawn(text, a.terminalHeight())); err != nil {
					return err
				}
				last = text
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}()
	if inPlace {
		_, _ = fmt.Fprint(a.out, leaveScreen+last)
	}
	if ctx.Err() != nil { // it was interrupted in the middle of a look
		return nil
	}
	return err
}

func (a *app) currentStatus(ctx context.Context, ask statusRequest) (string, error) {
	cfg, err := a.read()
	if err != nil {
		view, err := a.statusDespite(ctx, err)
		return a.statusText(view, ask), err
	}
	view, err := a.statusForReader(ctx, cfg)
	return a.statusText(view, ask), err
}

// redrawn replaces what a terminal of this height shows by the text, without flicker:
// nothing is erased that stays. Of a text that is too long the beginning is shown.
func redrawn(text string, height int) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if more := len(lines) - height; height > 1 && more > 0 {
		lines = append(lines[:height-1], fmt.Sprintf("(%d more lines)", more+1))
	}
	return toTop + strings.Join(lines, eraseLine+"\n") + eraseLine + eraseBelow
}
