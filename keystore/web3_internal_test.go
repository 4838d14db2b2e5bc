package keystore

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// web3TestKey is the key in testdata/web3.
const web3TestKey = "0x1111111111111111111111111111111111111111111111111111111111111111"

// fakeRoot is a directory with the files of a made-up machine.
func fakeRoot(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// machineWith is a made-up machine with this much free memory, in MB.
func machineWith(t testing.TB, free string) string {
	t.Helper()
	return fakeRoot(t, map[string]string{"proc/meminfo": "MemTotal: 1 kB\nMemAvailable:  " + free + "000 kB\n"})
}

func web3TestFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/web3", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestImportWeb3 decrypts files that geth and eth-account wrote for the test key.
func TestImportWeb3(t *testing.T) {
	found, err := os.ReadDir("testdata/web3")
	if err != nil || len(found) != 4 {
		t.Fatalf("%d files, %v", len(found), err)
	}
	for _, f := range found {
		file := web3TestFile(t, f.Name())
		key, err := importWeb3(file, []byte("test passphrase"), machineWith(t, "512"))
		if err != nil || key.Hex() != web3TestKey {
			t.Errorf("%s: %v", f.Name(), err)
		}
		if strings.Contains(f.Name(), "standard") {
			continue // needs a second each
		}
		if _, err := ImportWeb3(file, []byte("another")); !errors.Is(err, ErrWrongPassphrase) {
			t.Errorf("%s with another passphrase: %v", f.Name(), err)
		}
	}
}

// TestWeb3Memory: a derivation for which the system would kill the process is refused
// before it starts.
func TestWeb3Memory(t *testing.T) {
	standard := web3TestFile(t, "geth-standard.json")
	_, err := importWeb3(standard, []byte("test passphrase"), machineWith(t, "180"))
	if !errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), "272 MiB") || !strings.Contains(err.Error(), "175 MiB are free") {
		t.Errorf("180 MB free: %v", err)
	}
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exportWeb3(key, []byte("x"), false, machineWith(t, "180")); !errors.Is(err, ErrMemory) {
		t.Errorf("export with 180 MB free: %v", err)
	}
	if _, err := exportWeb3(key, []byte("x"), true, machineWith(t, "180")); err != nil {
		t.Errorf("a light export with 180 MB free: %v", err)
	}
}

func TestFreeMemory(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  uint64
		known bool
	}{
		"nothing is known": {nil, 0, false},
		"the machine":      {map[string]string{"proc/meminfo": "MemAvailable: 100 kB\n"}, 100 << 10, true},
		"a group (v2)": {map[string]string{
			"proc/meminfo": "MemAvailable: 100 kB\n", "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "1\n",
			"sys/fs/cgroup/a/memory.max": "9000\n", "sys/fs/cgroup/a/memory.current": "5000\n",
			"sys/fs/cgroup/a/memory.stat": "anon 7\ninactive_file 1000\n",
		}, 5000, true},
		"a group (v1)": {map[string]string{
			"proc/self/cgroup": "5:cpu:/x\n4:hugetlb,memory:/x\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "9000\n", "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "5000\n",
		}, 4000, true},
		"over its limit": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "10\n", "sys/fs/cgroup/memory.current": "50\n",
		}, 0, true},
		"a mangled listing": {map[string]string{
			"proc/meminfo": "MemAvailable:\nMemAvailable: x kB\n", "proc/self/cgroup": "::\n0\n\n",
		}, 0, false},
	} {
		free, known := freeMemory(fakeRoot(t, c.files))
		if known != c.known || known && free != c.want {
			t.Errorf("%s: %d, %v; want %d, %v", name, free, known, c.want, c.known)
		}
	}
}

func FuzzImportWeb3(f *testing.F) {
	for _, name := range []string{"geth-light.json", "eth-account-pbkdf2.json", "eth-account-scrypt-light.json"} {
		f.Add(web3TestFile(f, name))
	}
	small := machineWith(f, "24") // so that no derivation needs more than 8 MiB
	f.Fuzz(func(t *testing.T, file []byte) {
		var g web3File
		var cost pbkdf2Params
		if json.Unmarshal(file, &g) == nil && json.Unmarshal(g.Crypto.KDFParams, &cost) == nil && cost.C > 10000 {
			return // allowed, but slow
		}
		key, err := importWeb3(file, []byte("test passphrase"), small)
		if err == nil && key.Hex() != web3TestKey {
			t.Errorf("another key was decrypted: %s", key.Signer().Address())
		}
	})
}
