package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// measured is what a client says of its turn; turn.py writes the same.
type measured struct {
	Calls        int     `json:"calls"`
	Seconds      float64 `json:"seconds"`
	CPU          float64 `json:"cpu"`            // seconds, user and system
	PeakKB       int     `json:"peak_kb"`        // of the whole process
	BeforeKB     int     `json:"before_kb"`      // its peak before the first call
	PagesAtFirst int     `json:"pages_at_first"` // asked for when the first machine was handed over
}

// stopwatch starts where a turn's calls begin to count.
type stopwatch struct {
	wall   time.Time
	cpu    time.Duration
	before int
}

func start() stopwatch { return stopwatch{time.Now(), cpuTime(), peakKB()} }

func (s stopwatch) stop(calls int) measured {
	return measured{
		Calls: calls, Seconds: time.Since(s.wall).Seconds(), CPU: (cpuTime() - s.cpu).Seconds(),
		PeakKB: peakKB(), BeforeKB: s.before,
	}
}

func cpuTime() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		panic(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// peakKB is the process's own peak. ru_maxrss will not do: it survives exec, so
// that a child would show its parent's.
func peakKB() int { return procField("/proc/self/status", "VmHWM:") }

func procField(file, name string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			n, _ := strconv.Atoi(fields[1])
			return n
		}
	}
	panic(fmt.Sprintf("%s has no %s", file, name))
}

// pagesGiven asks the server how many pages it has given so far.
func pagesGiven(base string) (int, error) {
	res, err := http.Get(base + "/pages")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}
