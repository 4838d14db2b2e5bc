package peaqosagent_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// wordList is testdata/words.txt: what is not written in this repository, and what
// to write instead.
type wordList struct {
	rules   []wordRule
	allowed []*regexp.Regexp
}

type wordRule struct {
	banned  *regexp.Regexp
	instead string
}

// wordHit is one banned word or phrase; line counts from 1, and 0 is the file's name.
type wordHit struct {
	path    string
	line    int
	words   string
	instead string
}

func (h wordHit) String() string {
	return fmt.Sprintf("%s:%d: %q: write %s", h.path, h.line, h.words, h.instead)
}

// parseWordList reads a list: "PATTERN = what to write", "allow: PATTERN", empty
// lines and comments. Patterns match whole words in any case.
func parseWordList(text string) (wordList, error) {
	var list wordList
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		allowed, isAllowed := strings.CutPrefix(line, "allow: ")
		banned, instead, isRule := strings.Cut(line, " = ")
		if !isAllowed && !isRule {
			return wordList{}, fmt.Errorf("the list has neither \"allow: \" nor \" = \" in %q", line)
		}
		pattern := banned
		if isAllowed {
			pattern = allowed
		}
		words, err := regexp.Compile(`(?i)\b(?:` + pattern + `)\b`)
		switch {
		case err != nil:
			return wordList{}, err
		case isAllowed:
			list.allowed = append(list.allowed, words)
		default:
			list.rules = append(list.rules, wordRule{words, instead})
		}
	}
	if len(list.rules) == 0 {
		return wordList{}, errors.New("the list has no rule")
	}
	return list, nil
}

// scan returns the hits in a text that starts at a line of a file.
func (l wordList) scan(path string, line int, text string) []wordHit {
	var hits []wordHit
	for _, a := range l.allowed {
		text = a.ReplaceAllString(text, "…")
	}
	for _, r := range l.rules {
		for _, at := range r.banned.FindAllStringIndex(text, -1) {
			hits = append(hits, wordHit{path, line + strings.Count(text[:at[0]], "\n"), text[at[0]:at[1]], r.instead})
		}
	}
	return hits
}

// scanGo scans the comments, strings and declared names of Go source. Other names
// belong to other packages.
func (l wordList) scanGo(path string, source []byte) ([]wordHit, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var hits []wordHit
	scan := func(at token.Pos, text string) { hits = append(hits, l.scan(path, fset.Position(at).Line, text)...) }
	for _, group := range file.Comments {
		scan(group.Pos(), group.Text())
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				scan(n.Pos(), n.Value)
			}
		case *ast.FuncDecl:
			scan(n.Pos(), spread(n.Name.Name))
		case *ast.TypeSpec:
			scan(n.Pos(), spread(n.Name.Name))
		case *ast.ValueSpec:
			for _, name := range n.Names {
				scan(name.Pos(), spread(name.Name))
			}
		case *ast.Field:
			for _, name := range n.Names {
				scan(name.Pos(), spread(name.Name))
			}
		}
		return true
	})
	return hits, nil
}

// spread separates the words of a name: nextBeat, next_beat and next/beat become
// "next beat".
func spread(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case strings.ContainsRune("_-./", r):
			b.WriteByte(' ')
		case unicode.IsUpper(r) && i > 0:
			b.WriteByte(' ')
			fallthrough
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// scanTree scans all texts below a directory. The recordings of another client's
// requests, what is built or downloaded, and the list itself are not ours to word.
func (l wordList) scanTree(root string) ([]wordHit, error) {
	endings := []string{
		".go", ".md", ".sh", ".yaml", ".yml", ".service", ".py", ".html", ".txt", ".txtar", ".tmpl", ".json", "Makefile", "run",
	}
	var hits []wordHit
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		name := d.Name()
		if d.IsDir() {
			hidden := strings.HasPrefix(name, ".") && path != "." && path != ".ci"
			if hidden || path == "sdk/testdata/wire" || name == "bin" || name == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if path == "testdata/words.txt" || !slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(name, e) }) {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		hits = append(hits, l.scan(path, 0, spread(path))...)
		if !strings.HasSuffix(name, ".go") {
			hits = append(hits, l.scan(path, 1, string(text))...)
			return nil
		}
		more, err := l.scanGo(path, text)
		hits = append(hits, more...)
		return err
	})
	return hits, err
}

// TestWords: this repository is written in plain technical English.
func TestWords(t *testing.T) {
	list, err := parseWordList(read(t, "testdata/words.txt"))
	if err != nil {
		t.Fatal(err)
	}
	hits, err := list.scanTree(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hits {
		t.Error(h)
	}
}

// testWords is a small list for the tests of the scanner. The phrases are joined
// here, so that this file passes its own test.
var testWords = strings.Join([]string{
	"# a comment", "", "fl" + "oop|fl" + "ooped = move", "(is|are) no [a-z]+ = is not a", "allow: there is no",
}, "\n")

func TestWordsAreFound(t *testing.T) {
	list, err := parseWordList(testWords)
	if err != nil {
		t.Fatal(err)
	}
	floop := "fl" + "oop"
	for _, c := range []struct {
		text string
		want []string
	}{
		{"a plain sentence", nil},
		{"they " + floop + " it", []string{floop}},
		{"They " + strings.ToUpper(floop) + " it", []string{strings.ToUpper(floop)}},
		{"a whole word: " + floop + "er", nil},
		{"it " + "is no " + "agent, they " + floop, []string{floop, "is no " + "agent"}},
		{"there is no agent", nil},
	} {
		var got []string
		for _, h := range list.scan("a.md", 1, c.text) {
			got = append(got, h.words)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: found %q, want %q", c.text, got, c.want)
		}
	}
	hits := list.scan("a.md", 3, "one\ntwo\nthey "+floop)
	if len(hits) != 1 || hits[0].String() != `a.md:5: "`+floop+`": write move` {
		t.Errorf("hits = %v, want one in line 5 with what to write instead", hits)
	}
	for _, bad := range []string{"no separator", "", "( = x"} {
		if _, err := parseWordList(bad); err == nil {
			t.Errorf("the list %q was accepted", bad)
		}
	}
}

// TestWordsInGo: comments, strings and declared names are scanned; the names of
// other packages are not.
func TestWordsInGo(t *testing.T) {
	list, err := parseWordList(testWords)
	if err != nil {
		t.Fatal(err)
	}
	floop, exported := "fl"+"oop", "Fl"+"oop"
	source := strings.Join([]string{
		"// Package p can " + floop + ".", "package p", "", "const message = \"they " + floop + "\"", "",
		"func can" + exported + "(x int) int { return other." + exported + "(x) }",
	}, "\n")
	hits, err := list.scanGo("p.go", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, h := range hits {
		lines = append(lines, h.line)
	}
	slices.Sort(lines)
	if !slices.Equal(lines, []int{1, 4, 6}) {
		t.Errorf("hits in lines %v, want the comment, the string and the name, in 1, 4 and 6", lines)
	}
	for name, want := range map[string]string{"goAgain": "go again", "a_b-c.d/e": "a b c d e", "GoAgain": "go again"} {
		if got := spread(name); got != want {
			t.Errorf("spread(%q) = %q, want %q", name, got, want)
		}
	}
}

// TestWordsInTree: files of every kind are found, by content and by name, and what
// is not ours is left out.
func TestWordsInTree(t *testing.T) {
	list, err := parseWordList(testWords)
	if err != nil {
		t.Fatal(err)
	}
	floop := "fl" + "oop"
	root := t.TempDir()
	for path, text := range map[string]string{
		"a.md": floop, "run": floop, ".ci/run": floop, floop + ".yaml": "", "b.go": "package b // " + floop + "\n",
		"sdk/testdata/wire/x.json": floop, ".cache/c.md": floop, "bin/d.md": floop, "e.png": floop, "testdata/words.txt": floop,
	} {
		full := filepath.Join(root, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hits, err := list.scanTree(root)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, h := range hits {
		paths = append(paths, h.path)
	}
	if want := []string{".ci/run", "a.md", "b.go", floop + ".yaml", "run"}; !slices.Equal(paths, want) {
		t.Errorf("hits in %q, want %q", paths, want)
	}
}
