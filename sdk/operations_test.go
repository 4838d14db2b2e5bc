package sdk_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// operation is one row of testdata/operations.yaml, which documents the fields.
type operation struct {
	Name     string `yaml:"name"`
	Service  string `yaml:"service"`
	Method   string `yaml:"method"`
	Path     string `yaml:"path"`
	Auth     string `yaml:"auth"`
	Contract string `yaml:"contract"`
	Since    string `yaml:"since"`

	Idempotent string `yaml:"idempotent"`
	Effect     string `yaml:"effect"`
	Secret     string `yaml:"secret"`
	Confidence string `yaml:"confidence"`

	Calls   []call `yaml:"calls"`
	Unknown string `yaml:"unknown"`
}

type call struct {
	Go     string `yaml:"go"`
	Python string `yaml:"python"`
	Since  string `yaml:"since"` // when it is not the operation's
}

func (o operation) onTheWire() bool { return o.Method != "OFFLINE" && o.Method != "RPC" }

// operations reads the table and rejects unknown fields.
func operations(t testing.TB) []operation {
	t.Helper()
	text, err := os.ReadFile("testdata/operations.yaml")
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var all []operation
	if err := decoder.Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOperationsAreListedOnce(t *testing.T) {
	names, requests, calls := map[string]bool{}, map[string]string{}, map[string]string{}
	bound, planned := map[string]int{}, 0
	for _, o := range operations(t) {
		if names[o.Name] {
			t.Errorf("%s is listed twice", o.Name)
		}
		names[o.Name] = true
		if request := o.Method + " " + o.Service + o.Path; o.onTheWire() {
			if first, ok := requests[request]; ok {
				t.Errorf("%s and %s are the same request", first, o.Name)
			}
			requests[request] = o.Name
		}
		for _, call := range o.Calls {
			if first, ok := calls[call.Go]; ok {
				t.Errorf("%s belongs to %s and to %s", call.Go, first, o.Name)
			}
			calls[call.Go] = o.Name
		}
		if len(o.Calls) == 0 || o.Contract == "" || o.Auth == "" {
			t.Errorf("%s is incomplete: %+v", o.Name, o)
		}
		yesNo := []string{"yes", "no"}
		if !slices.Contains(yesNo, o.Idempotent) || !slices.Contains(yesNo, o.Secret) || o.Effect == "" ||
			!slices.Contains([]string{"two", "one", "not shared"}, o.Confidence) {
			t.Errorf("%s is incomplete: %+v", o.Name, o)
		}
		if (o.Unknown != "") != (o.Since == "none") {
			t.Errorf("%s: what no release of the Python SDK has is experimental, and says what is unknown", o.Name)
		}
		switch {
		case o.Service != "orchestration" || !o.onTheWire():
		case o.Unknown != "":
			planned++
		case o.Method == "WS":
			bound["WebSocket"]++
		default:
			bound["HTTP"]++
		}
	}
	if bound["HTTP"] != 61 || bound["WebSocket"] != 1 {
		t.Errorf("%v operations are bound; release 0.12.1 has 61 HTTP calls and 1 WebSocket (contract §1.12)", bound)
	}
	t.Logf("%d HTTP operations, %d WebSocket, %d experimental; %d calls in all", bound["HTTP"], bound["WebSocket"], planned, len(calls))
}

// covered is one method of the contract's coverage table (part 4).
type covered struct{ section, since string }

func coverage(t testing.TB) map[string]covered {
	t.Helper()
	text, err := os.ReadFile("testdata/coverage.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]covered{}
	row := regexp.MustCompile("`([a-z0-9_]+)` \\| ([0-9., ]+) \\| ([0-9.]+) \\|")
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = covered{m[2], m[3]}
	}
	if len(all) != 70 {
		t.Fatalf("the coverage table has %d methods, not 70", len(all))
	}
	return all
}

// functions maps the Python functions outside the namespace to Go names. Every List does the
// last two itself.
func functions() map[string]string {
	return map[string]string{
		"connect_control_socket": "ConnectControlSocket", "is_onem2m_service": "MarketService.IsOneM2M",
		"pagination_query_params": "ListOptions", "validate_list_limit": "ListOptions",
	}
}

func TestCoverageTableIsBound(t *testing.T) {
	bound := map[string]covered{}
	for _, o := range operations(t) {
		for _, call := range o.Calls {
			if since := call.Since; call.Python != "" {
				if since == "" {
					since = o.Since
				}
				bound[call.Python] = covered{o.Contract, since}
			}
		}
	}
	table := coverage(t)
	for name, want := range table {
		if got, ok := bound[name]; !ok || got != want {
			t.Errorf("%s: the coverage table says %+v, the operations table %+v", name, want, got)
		}
	}
	for name := range bound {
		if _, ok := table[name]; !ok && functions()[name] == "" {
			t.Errorf("%s is in no coverage table", name)
		}
	}
}

// goCalls returns the methods and functions that send a request (those that take a
// context), by the names that a program writes.
func goCalls(t *testing.T) []string {
	t.Helper()
	var all []string
	add := func(prefix string, of reflect.Type) {
		for i := range of.NumMethod() {
			m := of.Method(i)
			if m.Type.NumIn() > 1 && m.Type.In(1) == reflect.TypeFor[context.Context]() {
				all = append(all, prefix+"."+m.Name)
			} else if strings.HasSuffix(of.Elem().Name(), "Service") {
				t.Errorf("%s.%s takes no context", prefix, m.Name)
			}
		}
	}
	client := reflect.TypeFor[sdk.Client]()
	for i := range client.NumField() {
		if field := client.Field(i); field.IsExported() {
			add(field.Name, field.Type)
		}
	}
	add("Presence", reflect.TypeFor[*sdk.Presence]())
	add("MCR", reflect.TypeFor[*sdk.MCR]())
	add("Chain", reflect.TypeFor[*sdk.Chain]())
	for _, f := range parsePackage(t, ".").functions {
		if f.receiver == "" && strings.HasPrefix(f.params, "ctx context.Context") {
			all = append(all, f.name)
		}
	}
	for _, f := range parsePackage(t, "x402").functions {
		if f.receiver == "" {
			all = append(all, "x402."+f.name)
		}
	}
	return all
}

func TestEveryMethodIsAnOperation(t *testing.T) {
	table := map[string]bool{}
	for _, o := range operations(t) {
		for _, call := range o.Calls {
			table[call.Go] = true
		}
	}
	methods := goCalls(t)
	for _, name := range methods {
		if !table[name] {
			t.Errorf("%s is in no operation", name)
		}
	}
	for name := range table {
		if !slices.Contains(methods, name) {
			t.Errorf("the operations table names %s, which does not exist", name)
		}
	}
	if len(methods) < 130 {
		t.Errorf("only %d methods were found", len(methods))
	}
}

// TestCommentsEndWithTheRequest: the last line of a method's comment is its request, and the
// comment of an experimental one says what is unknown.
func TestCommentsEndWithTheRequest(t *testing.T) {
	docs := map[string]string{}
	for _, f := range append(parsePackage(t, ".").functions, parsePackage(t, "x402").functions...) {
		docs[f.receiver+"."+f.name] = f.doc
	}
	for _, o := range operations(t) {
		for _, call := range o.Calls {
			doc := docs[receiverOf(call.Go)]
			if want := lastLine(o); !strings.HasSuffix(doc, "\n\n"+want+"\n") {
				t.Errorf("%s: the comment does not end with %q:\n%s", call.Go, want, doc)
			}
			if want := "\nExperimental: "; strings.Contains(doc, want) != (o.Unknown != "") {
				t.Errorf("%s: experimental is %t, and the comment does not agree", call.Go, o.Unknown != "")
			}
		}
	}
}

// lastLine returns the last line of a comment: the request and its section.
func lastLine(o operation) string {
	section := "contract §" + strings.ReplaceAll(o.Contract, ", ", ", §")
	if document, number, ok := strings.Cut(o.Contract, " "); ok && o.Service != "orchestration" {
		section = document + " contract §" + number
	}
	switch o.Method {
	case "OFFLINE":
		return "Offline (" + section + ")"
	case "WS":
		return "GET " + o.Path + ", as a WebSocket (" + section + ")"
	case "RPC":
		return "JSON-RPC " + o.Path + " (" + section + ")"
	}
	return fmt.Sprintf("%s %s (%s)", o.Method, o.Path, section)
}

// receiverOf returns the method for the name that a program writes.
func receiverOf(call string) string {
	of, name, ok := strings.Cut(call, ".")
	switch {
	case !ok:
		return "." + of
	case of == "x402":
		return "." + name
	case of == "Presence" || of == "MCR" || of == "Chain":
		return call
	}
	return of + "Service." + name
}
