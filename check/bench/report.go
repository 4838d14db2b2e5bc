package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/check/bench/measure"
)

// row is one line of the table: a figure of one task, for every client.
type row struct {
	name   string
	task   string
	calls  int // of list: machines per page
	format string
	more   bool // a larger figure is better
	figure func(measure.Result) float64
}

func rows() []row {
	list := func(calls int, pages string) []row {
		figure := func(name, format string, f func(measure.Result) float64) row {
			return row{name, "list", calls, format, false, f}
		}
		return []row{
			figure("10,000 machines, "+pages+": s", "%.3f", func(m measure.Result) float64 { return m.Seconds }),
			figure("… CPU s", "%.3f", func(m measure.Result) float64 { return m.CPU }),
			figure("… peak memory, whole process: MiB", "%.1f", func(m measure.Result) float64 { return float64(m.PeakKB) / 1024 }),
			figure("… of it before the first call: MiB", "%.1f", func(m measure.Result) float64 { return float64(m.BeforeKB) / 1024 }),
			figure("… pages requested before the first machine", "%.0f", func(m measure.Result) float64 { return float64(m.PagesAtFirst) }),
		}
	}
	perCall := func(seconds float64, m measure.Result) float64 { return seconds / float64(m.Calls) * 1e6 }
	all := []row{
		{"heartbeats per second, one after the other", "beat", 0, "%.0f", true, func(m measure.Result) float64 {
			return float64(m.Calls) / m.Seconds
		}},
		{"CPU per heartbeat: µs", "beat", 0, "%.0f", false, func(m measure.Result) float64 { return perCall(m.CPU, m) }},
	}
	all = append(append(all, list(0, "pages of 100")...), list(500, "pages of 500")...)
	return append(all, row{"EIP-191 signature: µs", "sign", 0, "%.0f", false, func(m measure.Result) float64 {
		return perCall(m.Seconds, m)
	}})
}

// report prints the table of medians. The factors are how many times better the Go
// SDK is than the Python one, and how many times worse than the floor.
func (c comparison) report(all []measure.Job, results [][]measure.Result, before string) error {
	fmt.Fprintf(c.out, "%s.\n\n", where(c.python))
	fmt.Fprintf(c.out, "Medians of %d rounds; load of the machine %s before the run, %s after it.\n\n", c.rounds, before, load())
	fmt.Fprintln(c.out, "| | Go SDK | floor | Python SDK | Go over Python | Go to floor |")
	fmt.Fprintln(c.out, "|---|---|---|---|---|---|")
	for _, r := range rows() {
		cells := map[string]float64{}
		for i, t := range all {
			if t.Task == r.task && (t.Task != "list" || t.Calls == r.calls) {
				cells[t.Client] = median(results[i], r.figure)
			}
		}
		factor := func(x, y float64, format string) string {
			if x == 0 || y == 0 {
				return "–"
			}
			if r.more {
				x, y = y, x
			}
			return fmt.Sprintf(format, x/y)
		}
		cell := func(client string) string {
			if v, ok := cells[client]; ok {
				return fmt.Sprintf(r.format, v)
			}
			return "–"
		}
		fmt.Fprintf(c.out, "| %s | %s | %s | %s | %s | %s |\n", r.name, cell("sdk"), cell("floor"), cell("python"),
			factor(cells["python"], cells["sdk"], "%.1f ×"), factor(cells["sdk"], cells["floor"], "%.2f ×"))
	}
	return nil
}

func median(ms []measure.Result, figure func(measure.Result) float64) float64 {
	values := make([]float64, 0, len(ms))
	for _, m := range ms {
		values = append(values, figure(m))
	}
	slices.SortFunc(values, cmp.Compare)
	return values[len(values)/2]
}

// load is the load average of the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// where names machine and versions in one line.
func where(python string) string {
	const versions = "import sys, importlib.metadata as m; " +
		"print('Python', sys.version.split()[0], 'with peaq-os-sdk', m.version('peaq-os-sdk'))"
	version, _ := exec.Command(python, "-c", versions).Output()
	cpu, _ := exec.Command("sh", "-c", "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1").Output()
	kernel, _ := exec.Command("uname", "-sr").Output()
	return fmt.Sprintf("%s, %d cores, %s, %s, %s", strings.TrimSpace(string(cpu)), runtime.NumCPU(), strings.TrimSpace(string(kernel)),
		runtime.Version(), strings.TrimSpace(string(version)))
}
