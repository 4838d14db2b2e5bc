package peaqosagent_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// files lists the repository's own files with one of the endings, relative to its
// root, without what is built or downloaded.
func files(t *testing.T, endings ...string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != "." && (strings.HasPrefix(name, ".") || name == "bin" || name == "node_modules") {
			return filepath.SkipDir
		}
		if !d.IsDir() && slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(name, e) }) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// parsed is one Go file.
type parsed struct {
	path string
	test bool
	file *ast.File
	fset *token.FileSet
}

func goFiles(t *testing.T) []parsed {
	t.Helper()
	fset := token.NewFileSet()
	var all []parsed
	for _, path := range files(t, ".go") {
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parsed{path, strings.HasSuffix(path, "_test.go"), file, fset})
	}
	if len(all) < 20 {
		t.Fatalf("only %d Go files were found; is this the module's root?", len(all))
	}
	return all
}

func (p parsed) line(at token.Pos) int { return p.fset.Position(at).Line }

func (p parsed) imports(path string) bool {
	return slices.ContainsFunc(p.file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"`+path+`"` })
}

// calls visits each call of the form x.name(…) with a plain x.
func (p parsed) calls(visit func(x, name string, at token.Pos)) {
	ast.Inspect(p.file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok {
					visit(x.Name, sel.Sel.Name, call.Pos())
				}
			}
		}
		return true
	})
}

func TestNoInit(t *testing.T) {
	for _, p := range goFiles(t) {
		for _, decl := range p.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s:%d: func init: put the work into a function that can be called and tested", p.path, p.line(f.Pos()))
			}
		}
	}
}

func TestNoSleepOutsideFakeTime(t *testing.T) {
	for _, p := range goFiles(t) {
		if !p.test || p.imports("testing/synctest") {
			continue
		}
		p.calls(func(x, name string, at token.Pos) {
			if x == "time" && name == "Sleep" {
				t.Errorf("%s:%d: time.Sleep in a test: wait for what should happen, or use a synctest bubble", p.path, p.line(at))
			}
		})
	}
}

func TestNoSkip(t *testing.T) {
	for _, p := range goFiles(t) {
		if !p.test {
			continue
		}
		p.calls(func(x, name string, at token.Pos) {
			if slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, name) && slices.Contains([]string{"t", "b", "f", "tb"}, x) {
				t.Errorf("%s:%d: %s.%s: a skipped test tests nothing", p.path, p.line(at), x, name)
			}
		})
	}
}

func TestPackagesHaveAComment(t *testing.T) {
	longest := map[string]int{}
	for _, p := range goFiles(t) {
		if dir := filepath.Dir(p.path); !p.test {
			longest[dir] = max(longest[dir], len(p.file.Doc.Text()))
		}
	}
	for dir, n := range longest {
		if n < 200 {
			t.Errorf("%s: the package comment has %d characters; say what it is for and where to start", dir, n)
		}
	}
}

func TestPackagesAreNamedAfterTheirJob(t *testing.T) {
	for _, p := range goFiles(t) {
		for part := range strings.SplitSeq(filepath.ToSlash(filepath.Dir(p.path)), "/") {
			if slices.Contains([]string{"util", "utils", "common", "pkg", "helpers", "misc"}, part) {
				t.Errorf("%s: the name %s is empty; name the package after its job", p.path, part)
			}
		}
	}
}

// TestNoMachinePaths: a path of the author's computer does not exist on the reader's.
func TestNoMachinePaths(t *testing.T) {
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	homes := []string{root + "/", "/ho" + "me/", "/ro" + "ot/", "/Us" + "ers/"}
	for _, path := range files(t, ".go", ".md", ".sh", ".yaml", ".service", ".py", "Makefile", "go.mod") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		line := 0
		for content := range strings.Lines(string(text)) {
			line++
			for _, home := range homes {
				i := strings.Index(content, home)
				if i >= 0 && (i == 0 || !strings.ContainsAny(content[i-1:i], "abcdefghijklmnopqrstuvwxyz0123456789.}")) {
					t.Errorf("%s:%d: %s is a path of one machine only", path, line, home)
				}
			}
		}
	}
}

func TestNoticeNamesEveryModule(t *testing.T) {
	notice, err := os.ReadFile("NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/peaqos-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	modules := slices.DeleteFunc(strings.Fields(string(out)), func(m string) bool { return m == module })
	slices.Sort(modules)
	modules = slices.Compact(modules)
	var named []string
	for line := range strings.Lines(string(notice)) {
		path, _, _ := strings.Cut(strings.TrimPrefix(line, "  "), " ")
		if strings.HasPrefix(line, "  ") && strings.Contains(path, "/") {
			named = append(named, strings.TrimSuffix(path, ":"))
		}
	}
	for _, m := range modules {
		if !slices.Contains(named, m) {
			t.Errorf("NOTICE does not name %s, which is in the binary", m)
		}
	}
	for _, m := range named {
		if _, ok := slices.BinarySearch(modules, m); !ok && !slices.ContainsFunc(modules, func(full string) bool { return strings.HasPrefix(full, m+"/") }) {
			t.Errorf("NOTICE names %s, which is not in the binary", m)
		}
	}
}

// A binary that go build left in the tree was once committed.
func TestNoLargeFiles(t *testing.T) {
	const limit = 1 << 20
	for _, path := range files(t, "") {
		info, err := os.Stat(path)
		if err == nil && info.Size() > limit {
			t.Errorf("%s has %d bytes; nothing above %d belongs in the repository", path, info.Size(), limit)
		}
	}
}

// The version is sdk/version.go's; other files that name one must not stay behind.
func TestVersionIsTheSameEverywhere(t *testing.T) {
	named := regexp.MustCompile(`(?:peaqos-agent:|(?m:^(?:appV|v)ersion: ))"?(\d+\.\d+\.\d+)`)
	count := 0
	for _, path := range files(t, ".md", ".yaml", "Containerfile") {
		if !strings.HasPrefix(path, "docs/") && !strings.HasPrefix(path, "deploy/") || strings.HasPrefix(path, "deploy/helm/examples/") {
			continue // an example has a version of its own
		}
		for _, m := range named.FindAllStringSubmatch(read(t, path), -1) {
			count++
			if m[1] != sdk.Version {
				t.Errorf("%s has %q; the version is %s", path, m[0], sdk.Version)
			}
		}
	}
	if count < 8 { // two in the chart, three in its manifests, two for Compose, one in docs/install.md
		t.Errorf("only %d places name the version", count)
	}
}
