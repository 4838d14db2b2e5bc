package sdk_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// source holds the exported declarations of a package.
type source struct {
	functions []function
	names     map[string]bool // functions, types, values; Type.Method and Type.Field too
}

type function struct{ receiver, name, params, doc string }

// parsePackage reads the package in a directory, without its tests.
func parsePackage(t testing.TB, dir string) source {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := source{names: map[string]bool{}}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		between := func(from, to token.Pos) string {
			return string(text[fset.Position(from).Offset:fset.Position(to).Offset])
		}
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				out.addFunction(decl, between(decl.Type.Params.Opening+1, decl.Type.Params.Closing))
			case *ast.GenDecl:
				out.addNames(decl)
			}
		}
	}
	return out
}

func (s *source) addFunction(decl *ast.FuncDecl, params string) {
	f := function{name: decl.Name.Name, params: params, doc: decl.Doc.Text()}
	if decl.Recv != nil {
		of := decl.Recv.List[0].Type
		if star, ok := of.(*ast.StarExpr); ok {
			of = star.X
		}
		if generic, ok := of.(*ast.IndexExpr); ok {
			of = generic.X
		}
		f.receiver = of.(*ast.Ident).Name
	}
	if !decl.Name.IsExported() || (f.receiver != "" && !ast.IsExported(f.receiver)) {
		return
	}
	s.functions = append(s.functions, f)
	s.names[strings.TrimPrefix(f.receiver+"."+f.name, ".")] = true
}

func (s *source) addNames(decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				s.names[name.Name] = name.IsExported()
			}
		case *ast.TypeSpec:
			s.names[spec.Name.Name] = spec.Name.IsExported()
			if shape, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range shape.Fields.List {
					for _, name := range field.Names {
						s.names[spec.Name.Name+"."+name.Name] = name.IsExported()
					}
				}
			}
		}
	}
}

type testFile struct{ name, text string }

// testSource returns the text of this package's tests.
func testSource(t testing.TB) []testFile {
	t.Helper()
	paths, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []testFile
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, testFile{path, string(text)})
	}
	return all
}

// TestEveryExportedFunctionIsDocumented: comments begin with the name.
func TestEveryExportedFunctionIsDocumented(t *testing.T) {
	for _, dir := range []string{".", "internal/wire", "x402"} {
		for _, f := range parsePackage(t, dir).functions {
			if !strings.HasPrefix(f.doc, f.name+" ") && f.name != "Error" {
				t.Errorf("%s: %s.%s: the comment does not begin with the name: %q", dir, f.receiver, f.name, f.doc)
			}
		}
	}
}
