package telemetry

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// runtimeCollector reads the usual go_* and process_* metrics when a scrape asks
// for them. They have the names, types and meanings of client_golang's own
// collectors, which dashboards expect. Those collectors are not used because they
// read far more than they show and leave it on the heap of a process that is
// otherwise idle. process_network_* is left out: it counts every process of the
// host, not this one.
type runtimeCollector struct {
	memory []memoryMetric

	info, goroutines, threads, gcDuration, lastGC *prometheus.Desc

	cpu, openFiles, maxFiles, virtual, maxVirtual, resident, started *prometheus.Desc
}

// memoryMetric is the sum of some samples of runtime/metrics.
type memoryMetric struct {
	desc    *prometheus.Desc
	kind    prometheus.ValueType
	samples []string
}

func newRuntimeCollector() *runtimeCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &runtimeCollector{
		memory:     memoryMetrics(),
		info:       desc("go_info", "Information about the Go environment.", "version"),
		goroutines: desc("go_goroutines", "Number of goroutines that currently exist."),
		threads:    desc("go_threads", "Number of OS threads created."),
		gcDuration: desc("go_gc_duration_seconds",
			"A summary of the wall-time pause (stop-the-world) duration in garbage collection cycles."),
		lastGC:     desc("go_memstats_last_gc_time_seconds", "Number of seconds since 1970 of last garbage collection."),
		cpu:        desc("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
		openFiles:  desc("process_open_fds", "Number of open file descriptors."),
		maxFiles:   desc("process_max_fds", "Maximum number of open file descriptors."),
		virtual:    desc("process_virtual_memory_bytes", "Virtual memory size in bytes."),
		maxVirtual: desc("process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes."),
		resident:   desc("process_resident_memory_bytes", "Resident memory size in bytes."),
		started:    desc("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
	}
}

// Describe sends the descriptions of all metrics.
func (c *runtimeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.memory {
		ch <- m.desc
	}
	for _, d := range []*prometheus.Desc{
		c.info, c.goroutines, c.threads, c.gcDuration, c.lastGC,
		c.cpu, c.openFiles, c.maxFiles, c.virtual, c.maxVirtual, c.resident, c.started,
	} {
		ch <- d
	}
}

// Collect reads the runtime and /proc. What cannot be read is left out.
func (c *runtimeCollector) Collect(ch chan<- prometheus.Metric) {
	e := emitter{ch}
	e.gauge(c.info, 1, runtime.Version())
	e.gauge(c.goroutines, float64(runtime.NumGoroutine()))
	threads, _ := runtime.ThreadCreateProfile(nil)
	e.gauge(c.threads, float64(threads))
	c.collectGC(ch)
	c.collectMemory(ch)
	c.collectProcess(e)
}

func (c *runtimeCollector) collectGC(ch chan<- prometheus.Metric) {
	stats := debug.GCStats{PauseQuantiles: make([]time.Duration, 5)}
	debug.ReadGCStats(&stats)
	quantiles := make(map[float64]float64, len(stats.PauseQuantiles))
	for i, pause := range stats.PauseQuantiles {
		quantiles[float64(i)/float64(len(stats.PauseQuantiles)-1)] = pause.Seconds()
	}
	ch <- prometheus.MustNewConstSummary(c.gcDuration, uint64(stats.NumGC), stats.PauseTotal.Seconds(), quantiles)
	emitter{ch}.gauge(c.lastGC, float64(stats.LastGC.UnixNano())/1e9)
}

func (c *runtimeCollector) collectMemory(ch chan<- prometheus.Metric) {
	var samples []metrics.Sample
	for _, m := range c.memory {
		for _, name := range m.samples {
			samples = append(samples, metrics.Sample{Name: name})
		}
	}
	metrics.Read(samples)
	for _, m := range c.memory {
		sum, known := uint64(0), true
		for _, s := range samples[:len(m.samples)] {
			if s.Value.Kind() != metrics.KindUint64 {
				known = false // another version of Go may lack it
				break
			}
			sum += s.Value.Uint64()
		}
		samples = samples[len(m.samples):]
		if known {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(sum))
		}
	}
}

func (c *runtimeCollector) collectProcess(e emitter) {
	if raw, err := os.ReadFile("/proc/self/stat"); err == nil {
		if p, err := parseProcStat(raw); err == nil {
			e.ch <- prometheus.MustNewConstMetric(c.cpu, prometheus.CounterValue, float64(p.cpuTicks)/ticksPerSecond)
			e.gauge(c.virtual, float64(p.virtualBytes))
			e.gauge(c.resident, float64(p.residentPages)*float64(os.Getpagesize()))
			if system, err := os.ReadFile("/proc/stat"); err == nil {
				if boot, err := parseBootTime(system); err == nil {
					e.gauge(c.started, float64(boot)+float64(p.startTicks)/ticksPerSecond)
				}
			}
		}
	}
	if n, err := countOpenFiles(); err == nil {
		e.gauge(c.openFiles, float64(n))
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		e.gauge(c.maxFiles, float64(limit.Cur))
	}
	if syscall.Getrlimit(syscall.RLIMIT_AS, &limit) == nil {
		e.gauge(c.maxVirtual, float64(limit.Cur))
	}
}

// countOpenFiles counts the entries of /proc/self/fd, including the one that is
// open to read them.
func countOpenFiles() (int, error) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	return len(names), err
}

// ticksPerSecond is the unit of times in /proc: USER_HZ, which is 100 on every
// architecture that Go supports.
const ticksPerSecond = 100

// procStat is what is used of /proc/PID/stat.
type procStat struct {
	cpuTicks      uint64 // user and system time
	startTicks    uint64 // since boot
	virtualBytes  uint64
	residentPages uint64
}

var errProcFormat = errors.New("not in the format of proc(5)")

// parseProcStat parses /proc/PID/stat. The second field is the name of the command
// in parentheses and may itself contain spaces and parentheses.
func parseProcStat(raw []byte) (procStat, error) {
	const first = 3 // the first field after the name, by the numbers of proc(5)
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	var p procStat
	var user, system uint64
	for _, f := range []struct {
		number int
		value  *uint64
	}{{14, &user}, {15, &system}, {22, &p.startTicks}, {23, &p.virtualBytes}, {24, &p.residentPages}} {
		if f.number-first >= len(fields) {
			return procStat{}, errProcFormat
		}
		n, err := strconv.ParseUint(string(fields[f.number-first]), 10, 64)
		if err != nil {
			return procStat{}, errProcFormat
		}
		*f.value = n
	}
	p.cpuTicks = user + system
	return p, nil
}

// parseBootTime returns the time of boot in /proc/stat, in seconds since 1970.
func parseBootTime(raw []byte) (uint64, error) {
	for line := range bytes.Lines(raw) {
		if value, ok := bytes.CutPrefix(line, []byte("btime ")); ok {
			return strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 64)
		}
	}
	return 0, errProcFormat
}
