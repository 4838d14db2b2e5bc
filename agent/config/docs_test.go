package config

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/internal/golden"
)

// TestDocs holds that the words about each key stand once: docs.go and
// configs/agent.yaml are made from the comments in config.go.
func TestDocs(t *testing.T) {
	docs := readComments(t)
	for _, r := range rows() {
		doc := docs.of[r.Path]
		switch {
		case doc == "":
			t.Errorf("%s: no field in config.go carries this key, or it has no comment", r.Path)
		case strings.Contains(doc, "Restart to change") != r.Restart:
			t.Errorf("%s: the comment and the table disagree about restart", r.Path)
		case !strings.HasPrefix(doc, lastName(r.Path)+" "):
			t.Errorf("%s: the comment must begin with the field's name", r.Path)
		case r.Default != "" && r.Type != "boolean" && !strings.Contains(doc, "Default "+r.Default):
			t.Errorf("%s: the comment does not name the default %s", r.Path, r.Default)
		}
		for _, word := range r.Values {
			if !strings.Contains(doc, word) {
				t.Errorf("%s: the comment does not name the value %s", r.Path, word)
			}
		}
	}
	golden.Check(t, "docs.go", docs.goFile(t))
	golden.Check(t, "../../configs/agent.yaml", docs.yamlFile(t))
}

func TestSchemaFollowsTheStruct(t *testing.T) {
	var keys []string
	for _, k := range Schema() {
		keys = append(keys, k.Path)
	}
	var fields []string
	for _, p := range readComments(t).order {
		if !strings.HasSuffix(p, "]") && p != registerPath && strings.Contains(p, ".") {
			fields = append(fields, p)
		}
	}
	if diff := cmp.Diff(fields, keys); diff != "" {
		t.Errorf("order of config.go (-) and of the table (+):\n%s", diff)
	}
}

func TestSchemaNames(t *testing.T) {
	seen := map[string]string{}
	for _, k := range Schema() {
		if other := seen[k.Env]; other != "" {
			t.Errorf("%s and %s share %s", k.Path, other, k.Env)
		}
		seen[k.Env] = k.Path
		if serviceVariable.MatchString(k.Env) {
			t.Errorf("%s: Kubernetes may set %s by itself", k.Path, k.Env)
		}
		if k.Type == "" {
			t.Errorf("%s has no type", k.Path)
		}
	}
	for env, path := range map[string]string{
		"PEAQOS_AGENT_HEARTBEAT_INTERVAL":    "heartbeat.interval",
		"PEAQOS_AGENT_ORCHESTRATOR_URL":      "orchestrator.url",
		"PEAQOS_AGENT_MACHINE_ID":            "machines[].id",
		"PEAQOS_AGENT_IDENTITY_REF":          "machines[].identity_ref",
		"PEAQOS_AGENT_IDENTITY_REF_FILE":     "machines[].identity_ref_file",
		"PEAQOS_AGENT_REGISTER_DISPLAY_NAME": "machines[].register.display_name",
		"PEAQOS_AGENT_ENDPOINT_BASE_URL":     "machines[].endpoints[].base_url",
		"PEAQOS_AGENT_ENDPOINT_PROVIDER_KEY": "machines[].endpoints[].provider_key",
	} {
		if seen[env] != path {
			t.Errorf("%s means %q, want %s", env, seen[env], path)
		}
	}
}

// comments are the words of config.go by key, section paths among them.
type comments struct {
	of    map[string]string
	order []string
}

func readComments(t *testing.T) comments {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	c := comments{of: map[string]string{}}
	c.walk(structs(file), "Config", "")
	return c
}

type typeDecl struct {
	doc    string
	fields *ast.FieldList
}

func structs(file *ast.File) map[string]typeDecl {
	out := map[string]typeDecl{}
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		spec := g.Specs[0].(*ast.TypeSpec)
		if s, ok := spec.Type.(*ast.StructType); ok {
			out[spec.Name.Name] = typeDecl{g.Doc.Text(), s.Fields}
		}
	}
	return out
}

func (c *comments) walk(types map[string]typeDecl, name, path string) {
	for _, f := range types[name].fields.List {
		field := f.Names[0].Name
		if name == "Config" && (!ast.IsExported(field) || field == "Path" || field == "Warnings") {
			continue
		}
		here, inner := join(path, snake(field)), ""
		switch typ := f.Type.(type) {
		case *ast.Ident:
			inner = typ.Name
		case *ast.ArrayType:
			inner = typ.Elt.(*ast.Ident).Name
		}
		if sub, ok := types[inner]; ok {
			doc := words(sub.doc, inner, field)
			if _, list := f.Type.(*ast.ArrayType); list {
				here, doc = here+"[]", words(f.Doc.Text(), field, field)
			}
			c.add(here, doc)
			c.walk(types, inner, here)
			continue
		}
		c.add(here, words(f.Doc.Text(), field, field))
	}
}

func (c *comments) add(path, doc string) {
	c.of[path], c.order = doc, append(c.order, path)
}

var camel = regexp.MustCompile(`\b[A-Z][A-Za-z]*[a-z][A-Z]+[A-Za-z]*\b`)

// words turns a Go comment into the file's prose: field names become keys.
func words(doc, first, field string) string {
	text := strings.Join(strings.Fields(doc), " ")
	if rest, ok := strings.CutPrefix(text, first+" "); ok {
		text = snake(field) + " " + rest
	}
	return camel.ReplaceAllStringFunc(text, snake)
}

// snake writes BaseURL as base_url and CAFile as ca_file.
func snake(name string) string {
	var b strings.Builder
	rs := []rune(name)
	for i, r := range rs {
		if unicode.IsUpper(r) && i > 0 && (unicode.IsLower(rs[i-1]) || (i+1 < len(rs) && unicode.IsLower(rs[i+1]))) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func (c comments) goFile(t *testing.T) string {
	var b bytes.Buffer
	b.WriteString("// Code generated from the comments in config.go by go test -run TestDocs -update; DO NOT EDIT.\n\npackage config\n\n")
	b.WriteString("// configDocs are the words about each key.\nfunc configDocs() map[string]string {\n\treturn map[string]string{\n")
	for _, r := range rows() {
		fmt.Fprintf(&b, "%q: %q,\n", r.Path, c.of[r.Path])
	}
	b.WriteString("}\n}\n")
	out, err := format.Source(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

const yamlHead = `# peaqos-agent: every key, with its default. A short start is minimal.yaml.
#
# Only what differs from the default needs to be in /etc/peaqos-agent/config.yaml.
# Unknown keys are errors; peaqos-agent config check says what is wrong, and
# peaqos-agent config show --origin what counts and why. A flag wins over the
# environment, the environment over this file. In the environment heartbeat.interval
# is called PEAQOS_AGENT_HEARTBEAT_INTERVAL; config schema lists all the names.
# Relative paths start at the directory of this file. Secrets never stand here,
# only the names of the files that hold them.
`

// yamlFile writes configs/agent.yaml: each key under its words.
func (c comments) yamlFile(t *testing.T) string {
	var b strings.Builder
	b.WriteString(yamlHead)
	values := map[string]row{}
	for _, r := range rows() {
		values[r.Path] = r
	}
	for _, path := range c.order {
		depth := strings.Count(path, ".") + strings.Count(strings.TrimSuffix(path, "[]"), "[]")
		indent := strings.Repeat("  ", depth)
		if first := lastName(path); path == "machines[].name" || path == endpointsPath+".provider_key" {
			b.WriteString(comment(c.of[path], indent[2:]) + indent[2:] + "- " + first + ": " + shown(values[path]) + "\n")
			continue
		}
		if strings.Count(path, ".") == 0 || path == registerPath || path == endpointsPath {
			b.WriteString("\n")
		}
		b.WriteString(comment(c.of[path], indent) + indent + strings.TrimSuffix(lastName(path), "[]") + ":")
		if r, ok := values[path]; ok {
			b.WriteString(" " + shown(r))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func shown(r row) string {
	switch {
	case r.example != "":
		return r.example
	case r.Default != "":
		return r.Default
	case r.Type == "list":
		return "[]"
	case r.Type == "map":
		return "{}"
	}
	return `""`
}

func comment(text, indent string) string {
	var b strings.Builder
	line := indent + "#"
	for _, w := range strings.Fields(text) {
		if len([]rune(line))+1+len([]rune(w)) > 90 {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + w
	}
	return b.String() + line + "\n"
}
