package discover

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recorded is one file of testdata: what a program sends, and what is to be made of it.
type recorded struct {
	Source    string // where the shapes are from
	Responses map[string]struct {
		Status int
		Server string
		Body   string
	}
	ProviderKey, Name, ProbePath, Version string
	Models                                []string
	NeedsKey                              bool
	AsQVAC                                string // what Mismatch says if it is configured as qvac
}

func (r recorded) responses() Responses {
	all := Responses{}
	for path, one := range r.Responses {
		header := http.Header{}
		if one.Server != "" {
			header.Set("Server", one.Server)
		}
		all[path] = Response{one.Status, header, []byte(one.Body)}
	}
	return all
}

func recordings(t testing.TB) map[string]recorded {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	all := map[string]recorded{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r recorded
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&r); err != nil || r.Source == "" {
			t.Fatalf("%s: %v, source %q", file, err, r.Source)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = r
	}
	return all
}

// TestIdentify: every recording is recognized as what it is, and every kind that can be
// published has a recording.
func TestIdentify(t *testing.T) {
	seen := map[string]bool{}
	for name, rec := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			r := Identify(rec.responses())
			if r.ProviderKey != rec.ProviderKey || r.Name != rec.Name || r.ProbePath != rec.ProbePath || r.Version != rec.Version || r.NeedsKey != rec.NeedsKey {
				t.Errorf("it is %+v", r)
			}
			if !slices.Equal(r.Models, rec.Models) {
				t.Errorf("its models are %q", r.Models)
			}
			if says := Mismatch("qvac", r); (rec.AsQVAC == "") != (says == "") || !strings.Contains(says, rec.AsQVAC) {
				t.Errorf("as qvac: %q", says)
			}
			if r.ProviderKey != "" && r.ProviderKey != "qvac" && Mismatch(r.ProviderKey, r) != "" {
				t.Errorf("it is not itself: %q", Mismatch(r.ProviderKey, r))
			}
			if r.Publishable() && !slices.Contains([]int{0, 200}, rec.Responses[r.ProbePath].Status) && !r.NeedsKey {
				t.Errorf("its probe path answers %d", rec.Responses[r.ProbePath].Status)
			}
		})
		seen[rec.Name] = true
	}
	for _, k := range kinds {
		if !seen[k.name] {
			t.Errorf("%s has no recording", k.name)
		}
	}
}

// TestOneKindEach: no other kind claims a recording, so the order of the table decides
// nothing.
func TestOneKindEach(t *testing.T) {
	for name, rec := range recordings(t) {
		var claimed []string
		for _, k := range kinds {
			if k.is(rec.responses()) {
				claimed = append(claimed, k.name)
			}
		}
		if len(claimed) > 1 {
			t.Errorf("%s is claimed by %q", name, claimed)
		}
	}
}

func TestMismatch(t *testing.T) {
	ollama := Identify(Responses{"/": {Status: 200, Body: []byte("Ollama is running")}})
	empty := Identify(Responses{modelsPath: {Status: 200, Body: []byte(`{"object":"list","data":[]}`)}, "/": {404, nil, []byte(`{"error":{"message":"Unknown endpoint: GET /","type":"invalid_request_error"}}`)}})
	for _, test := range []struct {
		key   string
		found Runtime
		want  string
	}{
		{"qvac", ollama, "it answers like Ollama, not like QVAC: set provider_key ollama and probe_path /api/tags, or start QVAC on another port"},
		{"ollama", ollama, ""},
		{"my-own", ollama, ""},
		{"vllm", ollama, "it answers like Ollama, not like vLLM: set provider_key ollama and probe_path /api/tags, or start vLLM on another port"},
		{"qvac", empty, "it lists no model, so there is nothing to buy from it: add a model to the configuration of QVAC"},
		{"qvac", Runtime{}, ""},
		{"qvac", Runtime{listed: true}, "it lists no model, so there is nothing to buy from it: add a model to the configuration of QVAC"},
		{"vllm", Runtime{listed: true}, ""},
		{"comfyui", Runtime{Name: "nginx"}, "it answers like nginx, not like ComfyUI: correct base_url, or start ComfyUI there"},
	} {
		if got := Mismatch(test.key, test.found); got != test.want {
			t.Errorf("%s, %s: %q", test.key, test.found.Name, got)
		}
	}
}

// TestOneResponse: a model list alone, which is all that the agent's probe reads, tells
// most of the servers apart.
func TestOneResponse(t *testing.T) {
	for body, want := range map[string]string{
		`{"object":"list","data":[{"id":"a","owned_by":"qvac"}]}`:                             "QVAC",
		`{"object":"list","data":[{"id":"llama3.2:latest","owned_by":"library"}]}`:            "Ollama",
		`{"object":"list","data":[{"id":"a","owned_by":"vllm"}]}`:                             "vLLM",
		`{"object":"list","data":[{"id":"a","owned_by":"organization_owner"}]}`:               "LM Studio",
		`{"models":[{"name":"a"}],"object":"list","data":[{"id":"a","owned_by":"llamacpp"}]}`: "llama.cpp server",
		`{"object":"list","data":[{"id":"a","owned_by":"somebody"}]}`:                         "",
		`{"object":"list","data":[{"id":"a","owned_by":"qvac"},{"id":"b","owned`:              "QVAC",
		`{"object":"list"`: "",
		`[]`:               "",
		``:                 "",
	} {
		if got := Identify(Responses{modelsPath: {Status: 200, Body: []byte(body)}}).Name; got != want {
			t.Errorf("%s is %q", body, got)
		}
	}
}

// TestForeignText: names and versions that are not plain are dropped, and long lists cut.
func TestForeignText(t *testing.T) {
	list := `{"object":"list","data":[{"id":"\u001b[31mred","owned_by":"qvac"},{"id":"two words"},{"id":""},{"id":"ok"}` +
		strings.Repeat(`,{"id":"m"}`, 2*maxModels) + `]}`
	r := Identify(Responses{modelsPath: {Status: 200, Body: []byte(list)}, "/version": {Status: 200, Body: []byte(`{"version":"1\n2"}`)}})
	if len(r.Models) != maxModels || r.Models[0] != "ok" || r.Version != "" {
		t.Errorf("%q, version %q", r.Models, r.Version)
	}
}

func FuzzIdentify(f *testing.F) {
	for _, rec := range recordings(f) {
		for path, r := range rec.Responses {
			f.Add(path, r.Status, r.Server, []byte(r.Body))
		}
	}
	f.Fuzz(func(t *testing.T, path string, status int, server string, body []byte) {
		r := Identify(Responses{path: {status, http.Header{"Server": {server}}, body}})
		for _, text := range append(r.Models, r.Version, r.Note, Mismatch("qvac", r)) {
			if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Errorf("%q", text)
			}
		}
	})
}

func TestCandidates(t *testing.T) {
	at := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	got := Candidates([]netip.AddrPort{
		at("127.0.0.1:5000"), at("0.0.0.0:11434"), at("[::]:8123"), at("[::1]:9000"), at("127.0.0.1:9000"), at("[::1]:7000"),
		at("192.168.1.5:8080"), at("0.0.0.0:9100"), at("127.0.0.1:515"),
	})
	want := []string{
		"http://127.0.0.1:8123", "http://127.0.0.1:11434", "http://127.0.0.1:5000", "http://[::1]:7000", "http://127.0.0.1:9000",
	}
	if !slices.Equal(got, want) {
		t.Errorf("candidates %q", got)
	}
	if got := Candidates(nil); len(got) != len(KnownPorts()) || !slices.Contains(got, "http://127.0.0.1:11434") {
		t.Errorf("without a list: %q", got)
	}
	var many []netip.AddrPort
	for p := range uint16(400) {
		many = append(many, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 20000+p))
	}
	if got := Candidates(many); len(got) != mostCandidates {
		t.Errorf("%d candidates", len(got))
	}
}

func TestHostCandidates(t *testing.T) {
	for host, want := range map[string]string{
		"robot.local": "http://robot.local:80", "192.168.1.5": "http://192.168.1.5:80", "fd00::8": "http://[fd00::8]:80", "[fd00::8]": "http://[fd00::8]:80",
		"robot:8000": "http://robot:8000", "[fd00::8]:8000": "http://[fd00::8]:8000",
	} {
		got, err := HostCandidates(host)
		if err != nil || got[0] != want || strings.Contains(want, ":8000") != (len(got) == 1) {
			t.Errorf("%s: %q, %v", host, got, err)
		}
	}
	for _, host := range []string{"", "http://x", "a b", "user@host", "host/path", "host?q", "x:y:z", "host:99999999"} {
		if got, err := HostCandidates(host); err == nil {
			t.Errorf("%q gives %q", host, got)
		}
	}
}
