package sdk_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"go/doc"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write ENDPOINTS.md anew")

// TestEndpointsDocument holds ENDPOINTS.md to the operations table and to what the
// methods say of themselves. With -update it is written.
func TestEndpointsDocument(t *testing.T) {
	want := endpointsDocument(t)
	if *update {
		if err := os.WriteFile("ENDPOINTS.md", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("ENDPOINTS.md")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("ENDPOINTS.md is stale (%v): go test ./sdk -run TestEndpointsDocument -update", err)
	}
}

// chapter is a part of the document.
type chapter struct {
	title, intro string
	of           func(operation) bool
}

func chapters() []chapter {
	market := func(o operation) bool {
		return o.Service == "orchestration" && o.Unknown == "" && o.Method != "OFFLINE"
	}
	service := func(name string) func(operation) bool {
		return func(o operation) bool { return o.Service == name }
	}
	return []chapter{
		{"The orchestration API", "Paths stand below `/api/v1` of the orchestrator. All that release 0.12.1 of the Python SDK binds.", market},
		{
			"Payment signing", "Package `sdk/x402`; nothing is sent.",
			func(o operation) bool { return o.Method == "OFFLINE" },
		},
		{
			"Experimental", "Published, and bound by no SDK of peaq's own: what is not known may turn out otherwise. Where a shape is not known the call takes and gives JSON as it is.",
			func(o operation) bool { return o.Unknown != "" },
		},
		{"The presence service", "Another service on another host: is this machine online? Paths stand below `/api/v1`.", service("presence")},
		{"The MCR", "Machine credit ratings: whether a machine exists and is bonded. No key.", service("mcr")},
		{"The chain", "Reads of the deployment's contracts over JSON-RPC: who owns and controls a machine. No key, no transaction.", service("chain")},
	}
}

func endpointsDocument(t *testing.T) []byte {
	all, docs := operations(t), synopses(t)
	var b bytes.Buffer
	b.WriteString(`# Endpoints

Made from [testdata/operations.yaml](testdata/operations.yaml) and the methods' own comments by
` + "`go test ./sdk -run TestEndpointsDocument -update`" + `; a test fails when it is stale.

`)
	experimental, calls := 0, 0
	for _, o := range all {
		calls += len(o.Calls)
		if o.Unknown != "" {
			experimental++
		}
	}
	fmt.Fprintf(&b, "%d operations, %d of them experimental; %d calls.\n", len(all), experimental, calls)
	b.WriteString(`
| Auth | Means |
|---|---|
| platform | ` + "`x-api-key`" + `, when the client has a key |
| pairing | ` + "`x-agent-pairing-token`" + `, and ` + "`x-api-key`" + ` when the client has a key |
| optional-pairing | pairing when a token is given, else platform |
| agent-body | the machine agent's credentials inside the body, no header |
| agent-headers | ` + "`x-machine-agent-id` and `x-machine-agent-token`" + ` |
| signature | an EIP-191 signature inside the body |
| none | nothing |

"Since" is the first release of the Python SDK with the call, "§" the section of the contract.
`)
	for _, c := range chapters() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", c.title, c.intro)
		rows := slices.DeleteFunc(slices.Clone(all), func(o operation) bool { return !c.of(o) })
		writeRows(&b, rows, docs)
	}
	return b.Bytes()
}

func writeRows(b *bytes.Buffer, rows []operation, docs map[string]string) {
	experimental := rows[0].Unknown != ""
	if experimental {
		b.WriteString("| Call | Request | Auth | § | Does | Not known |\n|---|---|---|---|---|---|\n")
	} else {
		b.WriteString("| Call | Request | Auth | § | Since | Does |\n|---|---|---|---|---|---|\n")
	}
	for _, o := range rows {
		request := "`" + strings.TrimSpace(o.Method+" "+o.Path) + "`"
		if o.Method == "OFFLINE" {
			request = "offline"
		}
		for _, call := range o.Calls {
			does := docs[receiverOf(call.Go)]
			if experimental {
				fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", call.Go, request, o.Auth, o.Contract, does, o.Unknown)
				continue
			}
			fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", call.Go, request, o.Auth, o.Contract, cmp.Or(call.Since, o.Since), does)
		}
	}
}

// synopses are the first sentences of the methods' comments, without the name.
func synopses(t *testing.T) map[string]string {
	out := map[string]string{}
	for _, f := range append(parsePackage(t, ".").functions, parsePackage(t, "x402").functions...) {
		sentence := strings.TrimPrefix(new(doc.Package).Synopsis(f.doc), f.name+" ")
		sentence = strings.ReplaceAll(sentence, "<", "&lt;")
		out[f.receiver+"."+f.name] = strings.ToUpper(sentence[:min(1, len(sentence))]) + sentence[min(1, len(sentence)):]
	}
	return out
}
