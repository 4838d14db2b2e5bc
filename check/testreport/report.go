package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is one line of go test -json (go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build-output
	Test        string
	Output      string
	Key, Value  string // of attr
	Elapsed     float64
	FailedBuild string
}

// report collects the events of all packages.
type report struct {
	out      io.Writer
	packages map[string]*results
	builds   map[string]*strings.Builder // the compiler's output, by build

	passed, failed, skipped int
}

// results are those of one package.
type results struct {
	passed, failed, skipped int
	figures                 []string
	output                  map[string]*strings.Builder // by test; "" is the package's own
}

func newReport(out io.Writer) *report {
	return &report{out: out, packages: map[string]*results{}, builds: map[string]*strings.Builder{}}
}

// read handles events to the end of the input. A line that is not an event is
// printed as it is.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
				fmt.Fprint(r.out, line)
			} else {
				r.handle(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) handle(e event) {
	switch e.Action {
	case "build-output":
		add(r.builds, e.ImportPath, e.Output)
		return
	case "build-fail":
		return
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &results{output: map[string]*strings.Builder{}}
		r.packages[e.Package] = p
	}
	switch {
	case e.Action == "output" && !strings.HasPrefix(strings.TrimSpace(e.Output), "=== "): // not "=== RUN TestX"
		add(p.output, e.Test, e.Output)
	case e.Action == "attr" && e.Key == "figure":
		p.figures = append(p.figures, e.Test+": "+e.Value)
	case e.Action == "pass" && e.Test != "":
		p.passed++
		delete(p.output, e.Test)
	case e.Action == "skip" && e.Test != "":
		p.skipped++
	case e.Action == "fail" && e.Test != "":
		p.failed++
		r.print(p.output[e.Test])
	case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
		r.end(e, p)
	}
}

func add(to map[string]*strings.Builder, key, text string) {
	if to[key] == nil {
		to[key] = &strings.Builder{}
	}
	to[key].WriteString(text)
}

func (r *report) print(text *strings.Builder) {
	if text != nil {
		fmt.Fprint(r.out, text.String())
	}
}

// end prints the line of a package. A package without tests gets none.
func (r *report) end(e event, p *results) {
	if e.Action == "fail" && p.failed == 0 { // it does not build, or a panic outside of any test
		p.failed++
		r.print(r.builds[e.FailedBuild])
		for _, text := range p.output {
			r.print(text)
		}
	}
	r.passed, r.failed, r.skipped = r.passed+p.passed, r.failed+p.failed, r.skipped+p.skipped
	if p.passed+p.failed+p.skipped > 0 {
		result := "ok  "
		if p.failed > 0 {
			result = "FAIL"
		}
		fmt.Fprintf(r.out, "%s %7.1f s %6d passed  %s\n", result, e.Elapsed, p.passed, e.Package)
	}
	for _, f := range p.figures {
		fmt.Fprintf(r.out, "       %s\n", f)
	}
	delete(r.packages, e.Package)
}

// finish prints the count, and reports whether all is well.
func (r *report) finish() bool {
	for name := range r.packages { // the input broke off
		fmt.Fprintf(r.out, "FAIL %s did not end\n", name)
		r.failed++
	}
	if r.skipped > 0 {
		fmt.Fprintf(r.out, "%d skipped\n", r.skipped)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed\n", r.passed, r.failed)
	return r.failed == 0 && r.passed > 0
}
