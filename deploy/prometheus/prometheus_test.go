// Package prometheus_test checks the files for Prometheus and Grafana as far as that
// needs neither of them: names, links and structure. check/prometheus-scrape.sh runs
// every rule and query against a live agent.
package prometheus_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const (
	runbookURL = "https://github.com/peaqnetwork/peaqos-agent/blob/main/docs/runbook.md#"
	dashboard  = "../grafana/peaqos-agent.json"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// readYAML decodes a file that may have no other keys than v.
func readYAML(t *testing.T, path string, v any) {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader(read(t, path)))
	decoder.KnownFields(true)
	if err := decoder.Decode(v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	readYAML(t, "peaqos-agent.rules.yaml", &file)
	if len(file.Groups) != 1 || len(file.Groups[0].Rules) < 20 {
		t.Fatalf("%d groups", len(file.Groups))
	}
	return file.Groups[0].Rules
}

// TestEveryAlertHasARunbook: each alert has a severity, a text and a section of the
// runbook, and the runbook has no section of an alert that does not exist.
func TestEveryAlertHasARunbook(t *testing.T) {
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^### (\w+)\n\n[^#\n]`).FindAllStringSubmatch(string(read(t, "../../docs/runbook.md")), -1) {
		sections = append(sections, m[1])
	}
	for _, a := range alerts(t) {
		i := slices.Index(sections, a.Alert)
		if i < 0 {
			t.Errorf("%s has no section in the runbook, or an empty one", a.Alert)
			continue
		}
		sections = slices.Delete(sections, i, i+1)
		if want := runbookURL + strings.ToLower(a.Alert); a.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %s, want %s", a.Alert, a.Annotations["runbook_url"], want)
		}
		if s := a.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity is %q", a.Alert, s)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s has no summary or description", a.Alert)
		}
	}
	if len(sections) > 0 {
		t.Errorf("the runbook has sections without an alert: %v", sections)
	}
}

// TestEveryAlertIsTested: the file for promtool lets each alert be quiet and fire.
func TestEveryAlertIsTested(t *testing.T) {
	var file struct {
		RuleFiles          []string `yaml:"rule_files"`
		EvaluationInterval string   `yaml:"evaluation_interval"`
		Tests              []struct {
			Name, Interval string
			InputSeries    []struct{ Series, Values string } `yaml:"input_series"`
			AlertRuleTest  []struct {
				Alertname string
				EvalTime  string `yaml:"eval_time"`
				ExpAlerts []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	readYAML(t, "peaqos-agent.rules.test.yaml", &file)
	quiet, fires := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, at := range test.AlertRuleTest {
			quiet[at.Alertname] = quiet[at.Alertname] || len(at.ExpAlerts) == 0
			fires[at.Alertname] = fires[at.Alertname] || len(at.ExpAlerts) > 0
		}
	}
	for _, a := range alerts(t) {
		if !quiet[a.Alert] || !fires[a.Alert] {
			t.Errorf("%s is not tested both ways: quiet %t, fires %t", a.Alert, quiet[a.Alert], fires[a.Alert])
		}
	}
}

// TestExpressionsNameRealMetrics: every metric of a rule or a panel is in docs/metrics.md,
// which is made from what a scrape returns.
func TestExpressionsNameRealMetrics(t *testing.T) {
	known := string(read(t, "../../docs/metrics.md"))
	expressions := map[string]string{}
	for _, a := range alerts(t) {
		expressions[a.Alert] = a.Expr
	}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			expressions[p.Title+" "+target.RefID] = target.Expr
		}
	}
	metric := regexp.MustCompile(`\b(?:peaqos_agent|process|go)_\w+`)
	seen := 0
	for where, expr := range expressions {
		if !strings.Contains(expr, `job="peaqos-agent"`) {
			t.Errorf("%s does not select the job: %s", where, expr)
		}
		for _, name := range metric.FindAllString(expr, -1) {
			seen++
			if !strings.Contains(known, "`"+strings.TrimSuffix(name, "_bucket")+"`") {
				t.Errorf("%s: there is no metric %s", where, name)
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d metrics are named", seen)
	}
}

type datasource struct{ Type, UID string }

type panel struct {
	ID          int
	Type, Title string
	Datasource  datasource
	GridPos     struct{ X, Y, W, H int } `json:"gridPos"`
	FieldConfig struct {
		Defaults struct{ Unit string }
	} `json:"fieldConfig"`
	Targets []struct {
		Datasource datasource
		Expr       string
		RefID      string `json:"refId"`
	}
}

func panels(t *testing.T) []panel {
	t.Helper()
	var d struct{ Panels []panel }
	if err := json.Unmarshal(read(t, dashboard), &d); err != nil {
		t.Fatal(err)
	}
	return d.Panels
}

// TestDashboardStructure: what Grafana needs to import the file for any data source.
func TestDashboardStructure(t *testing.T) {
	var d struct {
		UID, Title    string
		ID            any
		SchemaVersion int `json:"schemaVersion"`
		Templating    struct {
			List []struct {
				Name, Type string
				Query      any
				Datasource datasource
			}
		}
	}
	if err := json.Unmarshal(read(t, dashboard), &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.Title == "" || d.ID != nil || d.SchemaVersion < 36 {
		t.Errorf("uid %q, title %q, id %v, schema %d", d.UID, d.Title, d.ID, d.SchemaVersion)
	}
	ours := datasource{"prometheus", "${datasource}"}
	var names []string
	for i, v := range d.Templating.List {
		names = append(names, v.Name)
		if (i == 0) != (v.Type == "datasource" && v.Query == "prometheus") || i > 0 && v.Datasource != ours {
			t.Errorf("variable %s: type %s, data source %v", v.Name, v.Type, v.Datasource)
		}
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range panels(t) {
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("the panel %q has the id %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.X < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
			t.Errorf("%s does not fit into 24 columns: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s is over %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if !slices.Contains([]string{"stat", "table", "timeseries", "state-timeline"}, p.Type) {
			t.Errorf("%s has the type %s", p.Title, p.Type)
		}
		if p.Datasource != ours || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("%s: data source %v, unit %q, %d queries", p.Title, p.Datasource, p.FieldConfig.Defaults.Unit, len(p.Targets))
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if target.Datasource != ours || target.Expr == "" || target.RefID == "" || refs[target.RefID] {
				t.Errorf("%s: query %+v", p.Title, target)
			}
			refs[target.RefID] = true
			for _, m := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if m[1] != "__rate_interval" && !slices.Contains(names, m[1]) {
					t.Errorf("%s uses the variable %s, which does not exist", p.Title, m[1])
				}
			}
		}
	}
	if len(ids) < 20 {
		t.Errorf("only %d panels", len(ids))
	}
}
