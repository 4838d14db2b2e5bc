package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const good = `{"Action":"start","Package":"x/good"}
{"Action":"run","Package":"x/good","Test":"TestA"}
{"Action":"output","Package":"x/good","Test":"TestA","Output":"    a_test.go:1: a log line\n"}
{"Action":"attr","Package":"x/good","Test":"TestA","Key":"figure","Value":"a week took 0.9 s"}
{"Action":"pass","Package":"x/good","Test":"TestA/sub","Elapsed":0.1}
{"Action":"pass","Package":"x/good","Test":"TestA","Elapsed":0.1}
{"Action":"output","Package":"x/good","Output":"ok  \tx/good\t1.26s\n"}
{"Action":"pass","Package":"x/good","Elapsed":1.26}
{"Action":"output","Package":"x/none","Output":"?   \tx/none\t[no test files]\n"}
{"Action":"skip","Package":"x/none","Elapsed":0}
`
	for _, c := range []struct {
		name, in, want string
		ok             bool
	}{
		{"good", good, "ok       1.3 s      2 passed  x/good\n       TestA: a week took 0.9 s\n2 passed, 0 failed\n", true},
		{"nothing", "", "0 passed, 0 failed\n", false},
		{"not an event", "go: warning\n" + good, "go: warning\nok       1.3 s      2 passed  x/good\n" +
			"       TestA: a week took 0.9 s\n2 passed, 0 failed\n", true},
		{"failed", `{"Action":"output","Package":"x/bad","Test":"TestB","Output":"    b_test.go:2: 1, want 2\n"}
{"Action":"output","Package":"x/bad","Test":"TestC","Output":"    b_test.go:3: fine\n"}
{"Action":"pass","Package":"x/bad","Test":"TestC","Elapsed":0}
{"Action":"fail","Package":"x/bad","Test":"TestB","Elapsed":0}
{"Action":"fail","Package":"x/bad","Elapsed":0.5}
`, "    b_test.go:2: 1, want 2\nFAIL     0.5 s      1 passed  x/bad\n1 passed, 1 failed\n", false},
		{"does not build", `{"ImportPath":"x/no [x/no.test]","Action":"build-output","Output":"no.go:1:1: undefined: y\n"}
{"ImportPath":"x/no [x/no.test]","Action":"build-fail"}
{"Action":"fail","Package":"x/no","Elapsed":0,"FailedBuild":"x/no [x/no.test]"}
`, "no.go:1:1: undefined: y\nFAIL     0.0 s      0 passed  x/no\n0 passed, 1 failed\n", false},
		{"skipped", `{"Action":"skip","Package":"x/s","Test":"TestS","Elapsed":0}
{"Action":"pass","Package":"x/s","Elapsed":0}
`, "ok       0.0 s      0 passed  x/s\n1 skipped\n0 passed, 0 failed\n", false},
		{"broke off", `{"Action":"run","Package":"x/cut","Test":"TestA"}
`, "FAIL x/cut did not end\n0 passed, 1 failed\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			r := newReport(&out)
			if err := r.read(strings.NewReader(c.in)); err != nil {
				t.Fatal(err)
			}
			if ok := r.finish(); ok != c.ok || out.String() != c.want {
				t.Errorf("ok = %t, want %t; printed\n%s\nwant\n%s", ok, c.ok, out.String(), c.want)
			}
		})
	}
}
