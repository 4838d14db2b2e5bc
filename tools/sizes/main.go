// Command sizes reports what each part of the agent's binary costs.
//
//	sizes [-limit BYTES] [-version V] -buildflags F -ldflags F ROOT   cost of each dependency of ROOT/cmd/peaqos-agent
//	sizes -static [-limit BYTES] BINARY…                              size of each; rejects one that is not static and stripped
//
// No figure is stored: the program is built twice, as it is released and with its
// symbols, the symbols are summed by package, and go list reports which packages
// would be gone without a module. What belongs to no package (line tables, type
// data, relocations) is distributed in proportion, so the figures are estimates
// that add up to the file.
package main

import (
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	limit := flag.Int64("limit", 0, "fail when a released binary is larger, in bytes")
	static := flag.Bool("static", false, "check the given binaries instead")
	var b build
	flag.StringVar(&b.version, "version", "dev", "version to build in")
	flags := flag.String("buildflags", "", "flags of go build for the release")
	flag.StringVar(&b.ldflags, "ldflags", "", "flags of the linker for the release, without the version")
	flag.Parse()
	b.flags = strings.Fields(*flags)
	err := errors.New("give one ROOT, or -static and binaries")
	switch {
	case *static && flag.NArg() > 0:
		err = checkStatic(flag.Args(), *limit)
	case !*static && flag.NArg() == 1:
		b.root = flag.Arg(0)
		err = costs(b, *limit)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sizes:", err)
		os.Exit(1)
	}
}

// checkStatic prints each binary's size, and reports those that are larger than
// the limit (0 for none) or not one file that runs everywhere.
func checkStatic(paths []string, limit int64) error {
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
		faults = errors.Join(faults, within(limit, path, info.Size()))
		fmt.Printf("  %-30s %-10s %10d bytes  %s\n", filepath.Base(path), strings.TrimPrefix(f.Machine.String(), "EM_"), info.Size(), kind)
		if err := f.Close(); err != nil {
			return err
		}
	}
	return faults
}

// within returns an error when a binary is larger than the limit; 0 means none.
func within(limit int64, path string, size int64) error {
	if limit > 0 && size > limit {
		return fmt.Errorf("%s has %d bytes, the limit is %d", filepath.Base(path), size, limit)
	}
	return nil
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
