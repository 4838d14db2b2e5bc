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

var update = flag.Bool("update", false, "rewrite ENDPOINTS.md")

// TestEndpointsDocument compares ENDPOINTS.md with the operations table and the comments of
// the methods. With -update it rewrites the file.
func TestEndpointsDocument(t *testing.T) {
	want := endpointsDocument(t)
	if *update {
		if err := os.WriteFile("ENDPOINTS.md", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("ENDPOINTS.md")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("ENDPOINTS.md is out of date (%v): go test ./sdk -run TestEndpointsDocument -update", err)
	}
}

// chapter is one part of the document.
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
		{
			"The orchestration API",
			"Paths are below `/api/v1` of the orchestrator. These are all calls of release 0.12.1 of the Python SDK.",
			market,
		},
		{
			"Payment signing", "Package `sdk/x402`; nothing is sent.",
			func(o operation) bool { return o.Method == "OFFLINE" },
		},
		{
			"Experimental", "Published, but not in any of peaq's own SDKs: what is not known may turn out differently. " +
				"Where a shape is not known,\nthe call takes and returns raw JSON.",
			func(o operation) bool { return o.Unknown != "" },
		},
		{
			"The presence service",
			"A separate service on another host: is this machine online? Paths are below `/api/v1`.",
			service("presence"),
		},
		{"The MCR", "Machine credit ratings: whether a machine exists and is bonded. Needs no key.", service("mcr")},
		{
			"The chain",
			"Reads of the deployment's contracts over JSON-RPC: who owns and controls a machine. Needs no key, sends no transaction.",
			service("chain"),
		},
	}
}

func endpointsDocument(t *testing.T) []byte {
	all, docs := operations(t), synopses(t)
	var b bytes.Buffer
	b.WriteString(`# Endpoints

Generated from [testdata/operations.yaml](testdata/operations.yaml) and the methods' comments by
` + "`go test ./sdk -run TestEndpointsDocument -update`" + `; a test fails if it is out of date.

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
| platform | ` + "`x-api-key`" + `, if the client has a key |
| pairing | ` + "`x-agent-pairing-token`" + `, and ` + "`x-api-key`" + ` if the client has a key |
| optional-pairing | pairing if there is a token, else platform |
| agent-body | the machine agent's credentials in the body, no header |
| agent-headers | ` + "`x-machine-agent-id` and `x-machine-agent-token`" + ` |
| signature | an EIP-191 signature in the body |
| none | nothing |

"Since" is the first release of the Python SDK that has the call, "§" the section of the contract.

"Idempotent" says whether sending a request twice has the effect of sending it once. After an error that is
` + "`ErrOutcomeUnknown`" + `, a call that is not idempotent must not be repeated before its outcome is known. "Effect" is what
the request changes on the server. "Secret": the response holds a secret, so its connection is never used again.

"Confidence" says how sure a request is: two independent sources agree, there is one source, or the sources do not
agree or mark the request as planned (not shared).
`)
	for _, c := range chapters() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", c.title, c.intro)
		rows := slices.DeleteFunc(slices.Clone(all), func(o operation) bool { return !c.of(o) })
		writeRows(&b, rows, docs)
	}
	return b.Bytes()
}

func writeRows(b *bytes.Buffer, rows []operation, docs map[string]string) {
	const rule = "|---|---|---|---|---|---|---|---|---|---|\n"
	experimental := rows[0].Unknown != ""
	if experimental {
		b.WriteString("| Call | Request | Auth | § | Idempotent | Effect | Secret | Confidence | Does | Not known |\n" + rule)
	} else {
		b.WriteString("| Call | Request | Auth | § | Since | Idempotent | Effect | Secret | Confidence | Does |\n" + rule)
	}
	for _, o := range rows {
		request := "`" + strings.TrimSpace(o.Method+" "+o.Path) + "`"
		if o.Method == "OFFLINE" {
			request = "offline"
		}
		for _, call := range o.Calls {
			does := docs[receiverOf(call.Go)]
			traits := strings.Join([]string{o.Idempotent, o.Effect, o.Secret, o.Confidence}, " | ")
			if experimental {
				fmt.Fprintf(
					b, "| `%s` | %s | %s | %s | %s | %s | %s |\n", call.Go, request, o.Auth, o.Contract, traits, does, o.Unknown,
				)
				continue
			}
			fmt.Fprintf(
				b, "| `%s` | %s | %s | %s | %s | %s | %s |\n",
				call.Go, request, o.Auth, o.Contract, cmp.Or(call.Since, o.Since), traits, does,
			)
		}
	}
}

// synopses returns the first sentence of each method's comment, without its name.
func synopses(t *testing.T) map[string]string {
	out := map[string]string{}
	for _, f := range append(parsePackage(t, ".").functions, parsePackage(t, "x402").functions...) {
		sentence := strings.TrimPrefix(new(doc.Package).Synopsis(f.doc), f.name+" ")
		sentence = strings.NewReplacer("<", "&lt;", "[", "", "]", "").Replace(sentence)
		out[f.receiver+"."+f.name] = strings.ToUpper(sentence[:min(1, len(sentence))]) + sentence[min(1, len(sentence)):]
	}
	return out
}
