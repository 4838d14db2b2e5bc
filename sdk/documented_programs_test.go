package sdk_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// commentCode returns the code blocks in a Go file's comments.
func commentCode(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile(`(?m)(^//(\t.*)?\n)+`).FindAllString(string(text), -1) {
		code := strings.Trim(regexp.MustCompile(`(?m)^//\t?`).ReplaceAllString(m, ""), "\n")
		if code != "" {
			blocks = append(blocks, code)
		}
	}
	return blocks
}

// fencedCode returns the Go blocks of a document.
func fencedCode(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// TestDocumentedProgramsBuild: the code in package comments and in docs/sdk.md compiles. A
// whole program is built unchanged, a function with its imports, and statements inside a
// function.
func TestDocumentedProgramsBuild(t *testing.T) {
	const imports = "import (\n\"context\"\n\"errors\"\n\"fmt\"\n\"os\"\n" +
		"\"github.com/peaqnetwork/peaqos-agent/sdk\"\n\"github.com/peaqnetwork/peaqos-agent/sdk/x402\"\n)\n" +
		"var _, _, _, _ = errors.Is, fmt.Errorf, os.Getenv, x402.Parse\n"
	blocks := map[string][]string{
		"doc.go": commentCode(t, "doc.go"), "x402/doc.go": commentCode(t, filepath.Join("x402", "doc.go")),
		"docs/sdk.md": fencedCode(t, filepath.Join("..", "docs", "sdk.md")),
	}
	for path, codes := range blocks {
		if len(codes) == 0 {
			t.Errorf("%s shows no code", path)
		}
		for i, code := range codes {
			switch {
			case strings.HasPrefix(code, "package "):
			case strings.HasPrefix(code, "func "):
				code = "package main\n" + imports + code + "\nfunc main() {}\n"
			default:
				code = "package main\n" + imports + "func shown(ctx context.Context, err error) error {\n" + code +
					"\nreturn nil\n}\nfunc main() { _ = shown }\n"
			}
			file := filepath.Join(t.TempDir(), fmt.Sprintf("shown%d.go", i))
			if err := os.WriteFile(file, []byte(code), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s\n%s", path, err, out, code)
			}
		}
	}
}
