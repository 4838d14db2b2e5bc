package main

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const program = "./cmd/peaqos-agent"

// pkg is what go list reports about one package.
type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     *struct {
		Path string
		Main bool
	}
}

func (p pkg) module() string {
	if p.Module == nil {
		return ""
	}
	return p.Module.Path
}

// part is one row of the table.
type part struct {
	name     string
	packages int
	bytes    float64 // of its own packages
	without  float64 // of all packages that only it brings
}

// build is how the release is built.
type build struct {
	root    string
	flags   []string // of go build
	ldflags string   // of the linker, without the version
	version string
}

func costs(b build, limit int64) error {
	dir, err := os.MkdirTemp("", "sizes-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	released, symbols := filepath.Join(dir, filepath.Base(program)), filepath.Join(dir, "symbols")
	args := append([]string{"build"}, b.flags...)
	if _, err := run(b.root, "go", append(args, "-ldflags", b.ldflags+" -X main.version="+b.version, "-o", released, program)...); err != nil {
		return err
	}
	if _, err := run(b.root, "go", append(args, "-o", symbols, program)...); err != nil {
		return err
	}
	info, err := os.Stat(released)
	if err != nil {
		return err
	}
	graph, err := list(b.root)
	if err != nil {
		return err
	}
	sums, err := sumSymbols(symbols)
	if err != nil {
		return err
	}
	total := 0.0
	for _, n := range sums {
		total += n
	}
	scale := float64(info.Size()) / total
	print(parts(graph, sums, scale), info.Size())
	return within(limit, released, info.Size())
}

func run(dir, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", name, args[0], err)
	}
	return out, nil
}

// list returns every package of the program by its import path.
func list(root string) (map[string]pkg, error) {
	out, err := run(root, "go", "list", "-deps", "-json=ImportPath,Standard,Imports,Module", program)
	if err != nil {
		return nil, err
	}
	graph := map[string]pkg{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return graph, nil
		case err != nil:
			return nil, err
		}
		graph[p.ImportPath] = p
	}
}

// sumSymbols adds up the bytes of each package in the file. Memory that is only
// reserved at start (bss) is not in the file.
func sumSymbols(binary string) (map[string]float64, error) {
	f, err := elf.Open(binary)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return nil, err
	}
	sums := map[string]float64{}
	for _, s := range symbols {
		if int(s.Section) >= len(f.Sections) || f.Sections[s.Section].Type == elf.SHT_NOBITS {
			continue
		}
		if name := packageOf(s.Name); name != "" {
			sums[name] += float64(s.Size)
		}
	}
	return sums, nil
}

// packageOf returns the package in a symbol's name: the text before the first dot
// that follows the last slash, brackets and what follows them left out. Symbols of
// the linker have no package.
func packageOf(symbol string) string {
	if strings.HasPrefix(symbol, "type:") || strings.HasPrefix(symbol, "go:") {
		return ""
	}
	head, _, _ := strings.Cut(symbol, "[")
	head, _, _ = strings.Cut(head, "(")
	slash := strings.LastIndex(head, "/") + 1
	name, _, found := strings.Cut(head[slash:], ".")
	if !found {
		return ""
	}
	path, err := url.PathUnescape(head[:slash] + name) // the linker writes a dot in the last element as %2e
	if err != nil {
		return ""
	}
	return path
}

// parts makes the rows: our own packages, the standard library, and each module,
// with what would be gone without it.
func parts(graph map[string]pkg, sums map[string]float64, scale float64) []part {
	main := ""
	modules := map[string]*part{}
	for path, p := range graph {
		name := p.module()
		switch {
		case p.Standard:
			name = "Go's standard library and runtime"
		case p.Module != nil && p.Module.Main:
			main, name = p.Module.Path, "peaqos-agent itself"
		}
		if modules[name] == nil {
			modules[name] = &part{name: name}
		}
		row := modules[name]
		row.packages++
		row.bytes += sums[path] * scale
		if strings.HasSuffix(path, program[1:]) {
			row.bytes += sums["main"] * scale
		}
	}
	start := main + program[1:]
	all := reach(graph, start, "")
	for name, row := range modules {
		left := reach(graph, start, name)
		for path := range all {
			if !left[path] {
				row.without += sums[path] * scale
			}
		}
	}
	rows := make([]part, 0, len(modules))
	for _, row := range modules {
		rows = append(rows, *row)
	}
	slices.SortFunc(rows, func(a, b part) int {
		return cmp.Or(cmp.Compare(max(b.bytes, b.without), max(a.bytes, a.without)), strings.Compare(a.name, b.name))
	})
	return rows
}

// reach returns every package that start needs when one module is missing.
func reach(graph map[string]pkg, start, without string) map[string]bool {
	seen := map[string]bool{}
	for todo := []string{start}; len(todo) > 0; {
		path := todo[0]
		todo = todo[1:]
		p, known := graph[path]
		if seen[path] || !known || (without != "" && p.module() == without) {
			continue
		}
		seen[path] = true
		todo = append(todo, p.Imports...)
	}
	return seen
}

func print(rows []part, size int64) {
	fmt.Printf("%-52s %8s %10s %14s\n", "part", "packages", "its own", "with what only")
	fmt.Printf("%-52s %8s %10s %14s\n", "", "", "MB", "it brings, MB")
	for _, r := range rows {
		without := fmt.Sprintf("%.2f", r.without/1e6)
		if r.without == 0 {
			without = "-"
		}
		fmt.Printf("%-52s %8d %10.2f %14s\n", r.name, r.packages, r.bytes/1e6, without)
	}
	fmt.Printf("%-52s %8s %10.2f  (%d bytes, static, stripped)\n", "the released binary", "", float64(size)/1e6, size)
}
