// Command sizes says what each part of the agent's binary costs.
//
//	sizes -limit BYTES [-version V] ROOT   cost of each dependency of ROOT/cmd/peaqos-agent
//	sizes -static BINARY…                  size of each; refuses one that is not static and stripped
//
// Nothing is written down: the program is built twice, as it is released and with
// its symbols, the symbols are summed by package, and go list says which packages
// would be gone without a module. What belongs to no package (line tables, type
// data, relocations) is shared out in proportion, so the figures are estimates
// that add up to the file.
package main

import (
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	limit := flag.Int64("limit", 0, "fail when the released binary is larger, in bytes")
	version := flag.String("version", "dev", "version to build in")
	static := flag.Bool("static", false, "look at given binaries instead")
	flag.Parse()
	err := errors.New("give one ROOT, or -static and binaries")
	switch {
	case *static && flag.NArg() > 0:
		err = checkStatic(flag.Args())
	case !*static && flag.NArg() == 1:
		err = costs(flag.Arg(0), *version, *limit)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sizes:", err)
		os.Exit(1)
	}
}

// checkStatic prints each binary's size, and what keeps it from being one file
// that runs everywhere.
func checkStatic(paths []string) error {
	var faults error
	for _, path := range paths {
		f, err := elf.Open(path)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		kind := "static, stripped"
		if libs, _ := f.ImportedLibraries(); len(libs) > 0 || interpreter(f) {
			kind = "NOT STATIC"
		} else if f.Section(".symtab") != nil {
			kind = "NOT STRIPPED"
		}
		if kind != "static, stripped" {
			faults = errors.Join(faults, fmt.Errorf("%s is %s", filepath.Base(path), kind))
		}
		fmt.Printf("  %-30s %-10s %6.1f MB  %s\n", filepath.Base(path), f.Machine, float64(info.Size())/1e6, kind)
		if err := f.Close(); err != nil {
			return err
		}
	}
	return faults
}

// interpreter reports whether a binary asks for a dynamic loader.
func interpreter(f *elf.File) bool {
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return true
		}
	}
	return false
}
