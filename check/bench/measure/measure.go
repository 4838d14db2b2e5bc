package measure

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Job is what one client has to do.
type Job struct {
	Base   string `json:"base"`   // the server's URL
	Client string `json:"client"` // sdk, floor or python
	Task   string `json:"task"`   // beat, list or sign
	Calls  int    `json:"calls"`  // beat and sign: number of calls; list: machines per page, 0 is the server's default
}

// Result is what a client reports about its job; python_client.py writes the same.
type Result struct {
	Calls        int     `json:"calls"`
	Seconds      float64 `json:"seconds"`
	CPU          float64 `json:"cpu"`            // seconds, user and system
	PeakKB       int     `json:"peak_kb"`        // KiB, of the whole process
	BeforeKB     int     `json:"before_kb"`      // KiB, its peak before the first call
	PagesAtFirst int     `json:"pages_at_first"` // requested before the first machine was returned
}

// Stopwatch runs from Start to Stop.
type Stopwatch struct {
	wall   time.Time
	cpu    time.Duration
	before int
}

// Start starts to measure.
func Start() Stopwatch { return Stopwatch{time.Now(), cpuTime(), peakKB()} }

// Stop returns what was measured since Start.
func (s Stopwatch) Stop(calls int) Result {
	return Result{
		Calls: calls, Seconds: time.Since(s.wall).Seconds(), CPU: (cpuTime() - s.cpu).Seconds(),
		PeakKB: peakKB(), BeforeKB: s.before,
	}
}

// Repeat measures a call made again and again, after a warm-up of a tenth of the
// calls. The first error ends it.
func Repeat(calls int, call func() error) (Result, error) {
	for range calls / 10 {
		if err := call(); err != nil {
			return Result{}, err
		}
	}
	watch := Start()
	for range calls {
		if err := call(); err != nil {
			return Result{}, err
		}
	}
	return watch.Stop(calls), nil
}

func cpuTime() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		panic(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// peakKB is the process's own peak memory, in KiB. ru_maxrss cannot be used: it
// survives exec, so a child would report its parent's.
func peakKB() int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			return n
		}
	}
	return 0
}
