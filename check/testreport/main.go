// Command testreport prints the progress of the tests for make test.
//
//	go test -json ./... | testreport
//
// It prints a line for each package as soon as its tests end, with their number and
// time. The log of a test is printed only when the test fails, except for figures:
// a test marks one on purpose with t.Attr("figure", "a week took 0.9 s"). The last
// line is the count, "N passed, M failed"; the exit status is 1 when a test failed
// or none passed. Tests, subtests and packages that do not build are counted.
package main

import (
	"fmt"
	"os"
)

func main() {
	r := newReport(os.Stdout)
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if !r.finish() {
		os.Exit(1)
	}
}
