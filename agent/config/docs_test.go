package config

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/internal/golden"
)

// TestAgentYAMLNamesEveryKeyOnce counts keys in the file's text, not in the
// configuration it loads to.
func TestAgentYAMLNamesEveryKeyOnce(t *testing.T) {
	text, err := os.ReadFile("../../configs/agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^[ -]*([a-z_]+):`).FindAllStringSubmatch(string(text), -1) {
		counted[m[1]]++
	}
	want := map[string]int{"register": 1, "endpoints": 1} // sections below machines
	for _, k := range Schema() {
		want[lastName(k.Path)]++
		section, _, _ := strings.Cut(k.Path, ".")
		want[strings.TrimSuffix(section, "[]")] = 1
	}
	if diff := cmp.Diff(want, counted); diff != "" {
		t.Errorf("keys and sections (-) and how often the file names them (+):\n%s", diff)
	}
}

// TestDocs checks that docs.go and configs/agent.yaml are up to date: both are
// generated from the comments in config.go.
func TestDocs(t *testing.T) {
	docs := readComments(t)
	for _, r := range newTable().rows {
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

// comments are the comments of config.go by key, those of sections included.
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
		if name == "Config" && (!ast.IsExported(field) || field == "Path" || field == "DropIns" || field == "Warnings") {
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

// words turns a Go comment into text for the file: field names become keys.
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
	b.WriteString("// configDocs are the comments of the keys' fields, by path.\n")
	b.WriteString("func configDocs() map[string]string {\n\treturn map[string]string{\n")
	for _, r := range newTable().rows {
		parts := strings.Split(strings.TrimSpace(strings.ReplaceAll(comment(c.of[r.Path], ""), "\n# ", " \n# ")), "\n")
		for i, part := range parts {
			parts[i] = strconv.Quote(strings.TrimPrefix(part, "# "))
		}
		fmt.Fprintf(&b, "%q: %s,\n", r.Path, strings.Join(parts, " +\n"))
	}
	b.WriteString("}\n}\n")
	out, err := format.Source(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

const yamlHead = `# peaqos-agent: every key, with its default. See minimal.yaml for a short example.
#
# /etc/peaqos-agent/config.yaml needs only the keys that differ from their default.
# Unknown keys are errors: peaqos-agent config check reports every problem, and
# peaqos-agent config show --origin shows the effective values and where they come
# from. A flag takes precedence over the environment, the environment over this file.
# In the environment heartbeat.interval is PEAQOS_AGENT_HEARTBEAT_INTERVAL; the
# command peaqos-agent config schema lists all the names. Relative paths start at the
# directory of this file. This file never holds a secret, only the names of the files
# that do.
`

// yamlFile writes configs/agent.yaml: each key under its comment.
func (c comments) yamlFile(t *testing.T) string {
	var b strings.Builder
	b.WriteString(yamlHead)
	values := map[string]row{}
	for _, r := range newTable().rows {
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
