package sandbox_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func TestSkillsListAndFilters(t *testing.T) {
	r := newHarness(t)
	all := r.get("/skills").ok(200).items()
	if len(all) < 5 {
		t.Fatalf("there are %d skills", len(all))
	}
	for _, filter := range []string{"scope", "direction", "source"} {
		first := all[0].(object)[filter].(string)
		got := r.get("/skills?" + filter + "=" + first).ok(200).items()
		if len(got) == 0 || len(got) == len(all) {
			t.Errorf("%s=%s keeps %d of %d", filter, first, len(got), len(all))
		}
		for _, v := range got {
			if v.(object)[filter] != first {
				t.Errorf("%s=%s lets %v through", filter, first, v.(object)["key"])
			}
		}
	}
	if got := r.get("/skills?scope=none").ok(200).items(); len(got) != 0 {
		t.Errorf("an unknown scope keeps %d", len(got))
	}
	a := r.get("/skills?limit=3").ok(200)
	b := r.get("/skills?limit=3&cursor=" + a.str("nextCursor")).ok(200)
	if diff := cmp.Diff(all[3:6], b.items()); diff != "" {
		t.Errorf("the second page (-want +got):\n%s", diff)
	}
}

func TestSkillManifest(t *testing.T) {
	r := newHarness(t)
	a := r.get("/skills/walrus.storage/manifest").ok(200)
	if a.str("item.key") != "walrus.storage" || a.str("item.summary") == "" || len(a.at("item.inputs").([]any)) == 0 ||
		len(a.at("item.outputs").([]any)) == 0 {
		t.Errorf("the manifest is %s", a.text)
	}
	if _, ok := a.at("item.inputs.0.required").(bool); !ok {
		t.Error("an input does not say whether it is required")
	}
	for _, path := range []string{"/skills/no.such", "/skills/no.such/manifest"} {
		r.get(path).fails("NOT_FOUND")
	}
	r.call("PATCH", "/skills/no.such/config", object{}).fails("NOT_FOUND")
}

func TestSkillConfigNeverShowsCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	r := newHarness(t, sandbox.WithStateFile(file))
	path := "/skills/akash.compute/config"
	a := r.call(
		"PATCH", path,
		object{"enabled": true, "credentials": object{"API_KEY": "cred-zzz"}, "settings": object{"Region_x": "eu", "retries": 3, "fast": true}},
	).ok(200)
	want := map[string]any{"Region_x": "eu", "retries": 3.0, "fast": true}
	if diff := cmp.Diff(any(want), a.at("item.settings")); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if a.at("item.hasCredentials") != true || a.str("item.skillKey") != "akash.compute" || a.str("item.providerKey") != "akash" {
		t.Errorf("returned %s", a.text)
	}
	if got := r.get("/skills/akash.compute").ok(200).str("item.authState"); got != "configured" {
		t.Errorf("authState is %s", got)
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	trail, _ := json.Marshal(r.s.Events(""))
	for name, text := range map[string]string{"answer": a.text, "state file": string(kept), "audit trail": string(trail)} {
		if strings.Contains(text, "cred-zzz") {
			t.Errorf("the %s holds a credential", name)
		}
	}

	b := r.call("PATCH", path, object{"enabled": false}).ok(200)
	if b.at("item.enabled") != false || b.at("item.hasCredentials") != true || b.at("item.settings.retries") != 3.0 {
		t.Errorf("what was not sent has changed: %s", b.text)
	}
	if c := r.call("PATCH", path, object{"credentials": object{}, "settings": object{}}).ok(200); c.at("item.hasCredentials") != false ||
		len(c.at("item.settings").(object)) != 0 {
		t.Errorf("cleared to %s", c.text)
	}
	for _, body := range []object{
		{"enabled": "yes"},
		{"credentials": object{"a": 1}},
		{"credentials": "x"},
		{"settings": object{"a": nil}},
		{"settings": object{"a": []any{}}},
		{"settings": object{"a": object{}}},
		{"settings": object{"a": strings.Repeat("x", 5000)}},
	} {
		r.call("PATCH", path, body).fails("VALIDATION_ERROR")
	}
}

func TestSkillSubmissions(t *testing.T) {
	r := newHarness(t)
	body := object{
		"providerName": "P", "skillName": "S", "description": "d", "serviceTypes": []string{"data.location"},
		"operations": []string{"o"}, "metadata": object{"a": 1},
	}
	a := r.post("/skills/submissions", body).ok(201)
	b := r.get("/skills/submissions/" + a.str("item.id")).ok(200)
	if a.str("item.status") != "submitted" || b.str("item.status") != "submitted" || b.str("item.updatedAt") == "" {
		t.Errorf("submitted as %s, read as %s", a.text, b.text)
	}
	for _, name := range []string{"providerName", "skillName", "description", "serviceTypes", "operations"} {
		r.post("/skills/submissions", with(body, name, nil)).fails("VALIDATION_ERROR")
	}
	r.get("/skills/submissions/none").fails("NOT_FOUND")
}
