package telemetry

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/peaqnetwork/peaqos-agent/agent/status/statustest"
	"github.com/peaqnetwork/peaqos-agent/internal/golden"
)

// TestMetricsDocument keeps docs/metrics.md in step with what a scrape returns: name,
// type, labels and meaning of every metric, because dashboards and alerts depend on them.
func TestMetricsDocument(t *testing.T) {
	golden.Check(t, filepath.Join("..", "..", "docs", "metrics.md"), metricsDocument(t))
}

// TestEveryMetricIsDescribed: a metric that no example state has would be missing from
// the document.
func TestEveryMetricIsDescribed(t *testing.T) {
	text := metricsDocument(t)
	all := newDescs().all
	for _, d := range all {
		name, _, _ := strings.Cut(strings.TrimPrefix(d.String(), `Desc{fqName: "`), `"`)
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("%s is not in the document: no example state has it", name)
		}
	}
	if len(all) < 50 {
		t.Errorf("only %d metrics were found", len(all))
	}
}

// metricsDocument describes every metric that some example state has.
func metricsDocument(t *testing.T) string {
	t.Helper()
	families := map[string]*dto.MetricFamily{}
	for _, s := range statustest.Situations() {
		gathered, err := registryOf(s).Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range gathered {
			if known := families[f.GetName()]; known != nil {
				known.Metric = append(known.Metric, f.Metric...)
			} else {
				families[f.GetName()] = f
			}
		}
	}
	var own, standard []string
	for name, f := range families {
		row := fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), labelsOf(f), f.GetHelp())
		if strings.HasPrefix(name, "peaqos_agent_") {
			own = append(own, row)
		} else if strings.HasPrefix(name, "process_") {
			standard = append(standard, row)
		}
	}
	slices.Sort(own)
	slices.Sort(standard)
	const head = "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n"
	return `# Metrics

Generated from the agent's own descriptions by a test; do not edit. Update it with

    go test ./agent/telemetry -run TestMetricsDocument -update

` + "`/metrics`" + ` of the listener (` + "`telemetry.listen`" + `) has them in Prometheus' text format.
[operations.md](operations.md#metrics) says how to scrape it, [runbook.md](runbook.md) what the alerts mean.

- Every series of a machine has the label ` + "`machine`" + `, its name in the configuration; its ids are in
  ` + "`peaqos_agent_identity_info`" + ` alone, to be joined by ` + "`instance`" + ` and ` + "`machine`" + `.
- A counter exists, at zero, before its first event. A timestamp, and what else is not known yet, is absent.
- A service that is switched off (` + "`presence`, `control`" + `) has no series.

## The agent

` + head + strings.Join(own, "") + `
## The process

` + "`go_*`" + ` are those of Prometheus' Go client: goroutines, threads, memory and garbage collection.

` + head + strings.Join(standard, "")
}

// labelsOf lists the labels of a family, with the values of those that have a fixed set.
func labelsOf(f *dto.MetricFamily) string {
	open := []string{
		"machine", "provider", "machine_id", "identity_ref", "agent_id", "agent_label", "orchestrator_host", "hook", "loop",
		"version", "revision", "goversion", "goarch", "cause",
	}
	values := map[string][]string{}
	var names []string
	for _, m := range f.Metric {
		for _, l := range m.Label {
			if !slices.Contains(names, l.GetName()) {
				names = append(names, l.GetName())
			}
			if !slices.Contains(values[l.GetName()], l.GetValue()) {
				values[l.GetName()] = append(values[l.GetName()], l.GetValue())
			}
		}
	}
	var out []string
	for _, name := range names {
		text := "`" + name + "`"
		switch {
		case name == "cause":
			text += ": a [code](codes.md)"
		case !slices.Contains(open, name):
			slices.Sort(values[name])
			text += ": " + strings.Join(values[name], ", ")
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}
