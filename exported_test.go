package peaqosagent_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxAgentNames is how many names package agent may export, methods included.
const maxAgentNames = 91

// keptExported are exported names that no other package uses, and the reason why
// they are exported nevertheless: "agent.Name" or "agent/config.Type.Method".
func keptExported() map[string]string {
	return map[string]string{
		"keystore.ErrUncertain": "one of the errors that a caller of Store can meet, listed with the others",
		"keystore.Secret.Equal": "the only safe way to compare two secrets",
	}
}

// enumerated reports whether an object is a constant of an exported type of its own
// package that is used: the values of such a type are listed as a whole.
func enumerated(object types.Object, need map[string]bool) bool {
	constant, ok := object.(*types.Const)
	if !ok {
		return false
	}
	named, ok := constant.Type().(*types.Named)
	return ok && named.Obj().Pkg() == object.Pkg() && need[named.Obj().Name()]
}

// checkedExports are the packages whose unused exported names are failures.
func checkedExports() []string {
	return []string{"agent", "agent/config", "agent/status", "agent/telemetry", "keystore"}
}

// calledThroughInterfaces are methods that the standard library and the modules we
// use call through an interface, so that no selector names them.
func calledThroughInterfaces() []string {
	return []string{
		"Error", "Unwrap", "Is", "As", "String", "GoString", "Format", "LogValue",
		"MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "MarshalYAML", "UnmarshalYAML", "MarshalLogObject",
		"Read", "Write", "Close", "ServeHTTP", "RoundTrip", "Collect", "Describe", "Len", "Less", "Swap",
	}
}

// source is one of our packages, as go list reports it. Export is the file of its
// export data.
type source struct {
	Dir, ImportPath, Name, Export      string
	GoFiles, TestGoFiles, XTestGoFiles []string
	TestImports, XTestImports          []string
}

func (s source) path() string {
	return strings.TrimPrefix(strings.TrimPrefix(s.ImportPath, module), "/")
}

// listSources lists our packages, and for each package that they need the file of
// its export data. The flags are those of the agent's build, so that the compiled
// packages are shared with it.
func listSources(t *testing.T) (ours []source, exports map[string]string) {
	t.Helper()
	list := func(args ...string) []source {
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		var all []source
		for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
			var s source
			switch err := decoder.Decode(&s); {
			case errors.Is(err, io.EOF):
				return all
			case err != nil:
				t.Fatal(err)
			}
			all = append(all, s)
		}
	}
	ours = list("-json=Dir,ImportPath,Name,GoFiles,TestGoFiles,XTestGoFiles,TestImports,XTestImports", "./...")
	needed := []string{"./..."}
	for _, s := range ours {
		needed = append(append(needed, s.TestImports...), s.XTestImports...)
	}
	slices.Sort(needed)
	needed = slices.Compact(needed)
	exports = map[string]string{}
	for _, s := range list(append([]string{"-trimpath", "-export", "-deps", "-json=ImportPath,Export"}, needed...)...) {
		exports[s.ImportPath] = s.Export
	}
	return ours, exports
}

// checker type-checks our packages.
type checker struct {
	fset     *token.FileSet
	importer types.Importer
}

func newChecker(exports map[string]string) checker {
	fset := token.NewFileSet()
	return checker{fset, importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	})}
}

// check type-checks some files of a package and returns what they use.
func (c checker) check(s source, files []string) (*types.Package, *types.Info, error) {
	return c.checkWith(types.Config{Importer: c.importer}, s, files)
}

// uses returns what the external tests of a package use. They may call what the
// tests in the package export, which is not in its export data: such errors are
// ignored.
func (c checker) uses(s source, files []string) (*types.Info, error) {
	_, info, err := c.checkWith(types.Config{Importer: c.importer, Error: func(error) {}}, s, files)
	if _, isTypeError := errors.AsType[types.Error](err); isTypeError {
		err = nil
	}
	return info, err
}

func (c checker) checkWith(config types.Config, s source, files []string) (*types.Package, *types.Info, error) {
	var parsed []*ast.File
	for _, name := range files {
		f, err := parser.ParseFile(c.fset, filepath.Join(s.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, err
		}
		parsed = append(parsed, f)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	p, err := config.Check(s.ImportPath, c.fset, parsed, info)
	return p, info, err
}

// nameOf is the name of a package-level object or of a method, as "Name" or
// "Type.Method"; "" for anything else, such as a field.
func nameOf(o types.Object) string {
	if f, ok := o.(*types.Func); ok {
		if recv := f.Signature().Recv(); recv != nil {
			if named := namedOf(recv.Type()); named != nil {
				return named.Obj().Name() + "." + f.Name()
			}
			return ""
		}
	}
	if o.Pkg() == nil || o.Parent() != o.Pkg().Scope() {
		return ""
	}
	return o.Name()
}

func namedOf(t types.Type) *types.Named {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	named, _ := types.Unalias(t).(*types.Named)
	if named != nil {
		named = named.Origin()
	}
	return named
}

// exportedNames are the exported package-level names of a package and the exported
// methods of its exported types, without those of its tests.
func (c checker) exportedNames(p *types.Package) map[string]types.Object {
	inTest := func(o types.Object) bool { return strings.HasSuffix(c.fset.Position(o.Pos()).Filename, "_test.go") }
	all := map[string]types.Object{}
	for _, name := range p.Scope().Names() {
		o := p.Scope().Lookup(name)
		if !o.Exported() || inTest(o) {
			continue
		}
		all[name] = o
		if t, ok := o.(*types.TypeName); ok && !t.IsAlias() {
			if named, ok := t.Type().(*types.Named); ok {
				for m := range named.Methods() {
					if m.Exported() && !inTest(m) {
						all[name+"."+m.Name()] = m
					}
				}
			}
		}
	}
	return all
}

// needed are the exported names that other packages use, or that must be exported
// because those mention them: the types in signatures and exported fields.
func needed(p *types.Package, exported map[string]types.Object, used map[string]bool) map[string]bool {
	found := map[string]bool{}
	visited := map[types.Type]bool{}
	var add func(name string)
	var mention func(t types.Type)
	mention = func(t types.Type) {
		if visited[t] {
			return
		}
		visited[t] = true
		switch t := t.(type) {
		case *types.Alias:
			if t.Obj().Pkg() == p {
				add(t.Obj().Name())
			}
			mention(types.Unalias(t))
		case *types.Named:
			for arg := range t.TypeArgs().Types() {
				mention(arg)
			}
			if t.Obj().Pkg() == p {
				add(t.Obj().Name())
			}
		case *types.Pointer:
			mention(t.Elem())
		case *types.Slice:
			mention(t.Elem())
		case *types.Array:
			mention(t.Elem())
		case *types.Chan:
			mention(t.Elem())
		case *types.Map:
			mention(t.Key())
			mention(t.Elem())
		case *types.Signature:
			for v := range t.Params().Variables() {
				mention(v.Type())
			}
			for v := range t.Results().Variables() {
				mention(v.Type())
			}
		case *types.Struct:
			for f := range t.Fields() {
				if f.Exported() {
					mention(f.Type())
				}
			}
		case *types.Interface:
			for m := range t.Methods() {
				mention(m.Type())
			}
		}
	}
	add = func(name string) {
		o := exported[name]
		if o == nil || found[name] {
			return
		}
		found[name] = true
		if t, ok := o.(*types.TypeName); ok && !t.IsAlias() {
			mention(t.Type().Underlying())
			return
		}
		mention(o.Type())
	}
	for name := range exported {
		if used[name] {
			add(name)
			typeName, _, isMethod := strings.Cut(name, ".")
			if isMethod {
				add(typeName)
			}
		}
	}
	for name := range exported { // in templates and through interfaces a value's type may go unnamed
		typeName, method, isMethod := strings.Cut(name, ".")
		if isMethod && found[typeName] && slices.Contains(calledThroughInterfaces(), method) {
			add(name)
		}
	}
	return found
}

// usedInTemplates are the names that the templates of a package call: {{.Name}}.
func usedInTemplates(t *testing.T, dir string) map[string]bool {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(dir, "*.html"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, path := range pages {
		for _, action := range regexp.MustCompile(`\{\{[^}]*\}\}`).FindAllString(read(t, path), -1) {
			for _, m := range regexp.MustCompile(`\.([A-Z]\w*)`).FindAllStringSubmatch(action, -1) {
				names[m[1]] = true
			}
		}
	}
	return names
}

// interfaceMethods are the method names of each interface that a package declares.
func interfaceMethods(p *types.Package) [][]string {
	var all [][]string
	for _, name := range p.Scope().Names() {
		o, isType := p.Scope().Lookup(name).(*types.TypeName)
		if !isType {
			continue
		}
		if i, ok := o.Type().Underlying().(*types.Interface); ok && i.NumMethods() > 0 {
			var names []string
			for m := range i.Methods() {
				names = append(names, m.Name())
			}
			all = append(all, names)
		}
	}
	return all
}

// inInterface reports whether a method belongs to an interface of another package
// that its type implements, as far as the names of the methods tell.
func inInterface(exported map[string]types.Object, typeName, method string, interfaces map[string][][]string, path string) bool {
	for other, all := range interfaces {
		for _, methods := range all {
			missing := slices.ContainsFunc(methods, func(m string) bool { return exported[typeName+"."+m] == nil })
			if other != path && !missing && slices.Contains(methods, method) {
				return true
			}
		}
	}
	return false
}

// TestExportedNamesAreUsed: an exported name is a promise to other packages. One
// that no other package uses is lower case, or has a reason in keptExported.
func TestExportedNamesAreUsed(t *testing.T) {
	ours, exports := listSources(t)
	c := newChecker(exports)
	used := map[string]map[string]bool{} // by package, by name
	exported := map[string]map[string]types.Object{}
	packages := map[string]*types.Package{}
	templates := map[string]bool{}
	interfaces := map[string][][]string{} // by package
	for _, s := range ours {
		p, info, err := c.check(s, slices.Concat(s.GoFiles, s.TestGoFiles))
		if err != nil {
			t.Fatalf("%s: %v", s.ImportPath, err)
		}
		external, err := c.uses(s, s.XTestGoFiles)
		if err != nil {
			t.Fatalf("tests of %s: %v", s.ImportPath, err)
		}
		for _, o := range slices.AppendSeq(slices.Collect(maps.Values(info.Uses)), maps.Values(external.Uses)) {
			if o.Pkg() == nil || o.Pkg().Path() == s.ImportPath || !within(o.Pkg().Path(), module) {
				continue
			}
			if used[o.Pkg().Path()] == nil {
				used[o.Pkg().Path()] = map[string]bool{}
			}
			used[o.Pkg().Path()][nameOf(o)] = true
		}
		maps.Copy(templates, usedInTemplates(t, s.Dir))
		interfaces[s.path()] = interfaceMethods(p)
		if s.Name == "main" || len(s.GoFiles) == 0 {
			continue
		}
		packages[s.path()], exported[s.path()] = p, c.exportedNames(p)
	}
	kept := keptExported()
	for _, path := range slices.Sorted(maps.Keys(exported)) {
		names := used[module+"/"+path]
		if names == nil {
			names = map[string]bool{}
		}
		for name := range exported[path] {
			typeName, method, isMethod := strings.Cut(name, ".")
			if isMethod && (templates[method] || inInterface(exported[path], typeName, method, interfaces, path)) {
				names[name] = true
			}
		}
		unused := 0
		need := needed(packages[path], exported[path], names)
		for _, name := range slices.Sorted(maps.Keys(exported[path])) {
			full := path + "." + name
			switch {
			case need[name] && kept[full] != "":
				t.Errorf("%s is used: remove it from keptExported", full)
			case need[name] || kept[full] != "" || enumerated(exported[path][name], need):
			case slices.Contains(checkedExports(), path):
				t.Errorf("%s is exported, and no other package uses it: make it lower case", full)
			default:
				unused++
			}
		}
		if unused > 0 {
			t.Logf("%s: %d exported names are used by no other package of ours", path, unused)
		}
	}
	for full := range kept {
		path, name, _ := strings.Cut(full, ".")
		if exported[path][name] == nil {
			t.Errorf("keptExported names %s, which does not exist", full)
		}
	}
	if n := len(exported["agent"]); n > maxAgentNames {
		t.Errorf("agent exports %d names, more than %d", n, maxAgentNames)
	}
}

// TestNeededNames: what other packages use is needed, and so is what that mentions.
func TestNeededNames(t *testing.T) {
	const text = `package p

type Used struct { Field Mentioned; hidden Hidden }
type Mentioned int
type Hidden int
type Unused struct{}

func Call(List) error { return nil }
func Unneeded() {}

type List []Item
type Item struct{}

func (Used) Method() {}
func (Used) Error() string { return "" }
func (Used) Idle() {}
`
	c := newChecker(nil)
	file, err := parser.ParseFile(c.fset, "p.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := (&types.Config{}).Check("p", c.fset, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := needed(p, c.exportedNames(p), map[string]bool{"Used.Method": true, "Call": true})
	want := []string{"Call", "Item", "List", "Mentioned", "Used", "Used.Error", "Used.Method"}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		t.Errorf("needed are %q, want %q", names, want)
	}
}
