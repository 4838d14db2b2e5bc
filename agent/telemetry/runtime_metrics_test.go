package telemetry

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
)

func gatherFrom(t *testing.T, all ...prometheus.Collector) map[string]*dto.MetricFamily {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(all...)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*dto.MetricFamily{}
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return byName
}

// TestRuntimeMetricsMatchClientGolang: names, help texts, types, labels and values
// are those of client_golang's collectors, but for process_network_*.
func TestRuntimeMetricsMatchClientGolang(t *testing.T) {
	// A garbage collection between the two scrapes would change the heap.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC() // ends the one that may be running
	library := []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
	theirs := gatherFrom(t, library...)
	ours := gatherFrom(t, newRuntimeCollector())
	later := gatherFrom(t, library...)
	for name := range ours {
		if theirs[name] == nil {
			t.Errorf("%s is not a metric of client_golang", name)
		}
	}
	for name, want := range theirs {
		got := ours[name]
		if got == nil {
			if !strings.HasPrefix(name, "process_network_") {
				t.Errorf("%s is missing", name)
			}
			continue
		}
		if got.GetHelp() != want.GetHelp() || got.GetType() != want.GetType() {
			t.Errorf("%s: %v %q, want %v %q", name, got.GetType(), got.GetHelp(), want.GetType(), want.GetHelp())
		}
		compareValues(t, name, got.GetMetric()[0], want.GetMetric()[0], later[name].GetMetric()[0])
	}
}

// compareValues checks got against what the library has read before and after it.
func compareValues(t *testing.T, name string, got, want, later *dto.Metric) {
	t.Helper()
	if len(got.Label) != len(want.Label) || len(got.Label) > 0 && got.Label[0].String() != want.Label[0].String() {
		t.Errorf("%s: labels %v, want %v", name, got.Label, want.Label)
	}
	if s := want.GetSummary(); s != nil {
		if g := got.GetSummary(); g.String() != s.String() {
			t.Errorf("%s: %v, want %v", name, g, s)
		}
		return
	}
	value := func(m *dto.Metric) float64 { return m.GetGauge().GetValue() + m.GetCounter().GetValue() }
	low, high := min(value(want), value(later)), max(value(want), value(later))
	// The process works between the scrapes; sizes below 1 MB change most.
	tolerance := 0.0
	switch {
	case strings.HasPrefix(name, "go_memstats_"), strings.HasSuffix(name, "_memory_bytes"):
		tolerance = max(0.25*low, 1<<20)
	case name == "process_cpu_seconds_total", name == "process_start_time_seconds":
		tolerance = 1
	case name == "go_goroutines", name == "go_threads", name == "process_open_fds":
		tolerance = 5
	}
	if v := value(got); v < low-tolerance || v > high+tolerance {
		t.Errorf("%s: %v, client_golang reads %v to %v", name, v, low, high)
	}
}

// TestRuntimeMetricsLint: promlint finds nothing new in names and help texts.
func TestRuntimeMetricsLint(t *testing.T) {
	problems, err := testutil.CollectAndLint(newRuntimeCollector())
	if err != nil || len(problems) != 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestParseProcStat(t *testing.T) {
	const tail = " S 1 77 77 0 -1 4194560 1310 0 3 0 12 34 0 0 20 0 9 0 5678 1270000000 4400 18446744073709551615 1 1"
	want := procStat{cpuTicks: 46, startTicks: 5678, virtualBytes: 1270000000, residentPages: 4400}
	for _, command := range []string{"peaqos-agent", "a b", "a) S 1 (b", ""} {
		if got, err := parseProcStat([]byte("77 (" + command + ")" + tail + "\n")); err != nil || got != want {
			t.Errorf("command %q: %+v, %v", command, got, err)
		}
	}
	for _, bad := range []string{
		"", "77", "77 (a)", "77 (a) S 1 77",
		"77 (a)" + strings.Replace(tail, "5678", "x", 1), "77 (a)" + strings.Replace(tail, "34", "-1", 1),
	} {
		if got, err := parseProcStat([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestParseBootTime(t *testing.T) {
	got, err := parseBootTime([]byte("cpu  1 2 3\nintr 5\nbtime 1764309000\nprocesses 9\n"))
	if err != nil || got != 1764309000 {
		t.Errorf("%d, %v", got, err)
	}
	for _, bad := range []string{"", "cpu 1\n", "btime \n", "btime x\n"} {
		if got, err := parseBootTime([]byte(bad)); err == nil {
			t.Errorf("%q: %d", bad, got)
		}
	}
}
