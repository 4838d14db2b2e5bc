package keystore

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// roomy is a made-up machine with that much free memory.
func roomy(t testing.TB, mib string) string {
	t.Helper()
	root := t.TempDir()
	must(t, os.Mkdir(filepath.Join(root, "proc"), 0o755))
	write(t, filepath.Join(root, "proc/meminfo"), []byte("MemTotal: 1 kB\nMemAvailable:  "+mib+"000 kB\n"))
	return root
}

// TestImportWeb3: files that geth and eth-account wrote for the test key.
func TestImportWeb3(t *testing.T) {
	found, err := filepath.Glob("testdata/web3/*.json")
	must(t, err)
	if len(found) != 4 {
		t.Fatalf("%d files", len(found))
	}
	for _, path := range found {
		key, err := importWeb3(read(t, path), []byte("test passphrase"), roomy(t, "512"))
		if err != nil || key.Hex() != elevens {
			t.Errorf("%s: %v", path, err)
		}
		if strings.Contains(path, "standard") {
			continue // a second of work for each
		}
		if _, err := ImportWeb3(read(t, path), []byte("another")); !errors.Is(err, ErrWrongPassphrase) {
			t.Errorf("%s with another passphrase: %v", path, err)
		}
	}
}

func TestExportWeb3(t *testing.T) {
	key, err := ParseKey([]byte(elevens))
	must(t, err)
	first, err := ExportWeb3(key, []byte("pass"), true)
	must(t, err)
	second, err := ExportWeb3(key, []byte("pass"), true)
	must(t, err)
	if string(first) == string(second) {
		t.Error("two exports are the same: nothing in them is random")
	}
	if strings.Contains(string(first), elevens[2:]) {
		t.Error("the key lies in the clear")
	}
	back, err := ImportWeb3(first, []byte("pass"))
	must(t, err)
	if back.Hex() != elevens || key.Hex() != elevens {
		t.Error("the key that came back is another one")
	}
	var f struct {
		Address, ID string
		Version     int
		Crypto      struct{ KDFParams struct{ N, P, R, DKLen int } }
	}
	must(t, json.Unmarshal(first, &f))
	if f.Address != "19e7e376e7c213b7e7e7e46cc70a5dd086daff2a" || f.Version != 3 || len(f.ID) != 36 || f.Crypto.KDFParams.N != 4096 || f.Crypto.KDFParams.P != 6 {
		t.Errorf("%+v", f)
	}
}

// TestWeb3Memory: what the system would answer with a kill is refused first.
func TestWeb3Memory(t *testing.T) {
	standard := read(t, "testdata/web3/geth-standard.json")
	_, err := importWeb3(standard, []byte("test passphrase"), roomy(t, "180"))
	if !errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), "272 MiB") || !strings.Contains(err.Error(), "175 MiB are free") {
		t.Errorf("180 MB free: %v", err)
	}
	key, err := NewKey()
	must(t, err)
	if _, err := exportWeb3(key, []byte("x"), false, roomy(t, "180")); !errors.Is(err, ErrMemory) {
		t.Errorf("export with 180 MB free: %v", err)
	}
	if _, err := exportWeb3(key, []byte("x"), true, roomy(t, "180")); err != nil {
		t.Errorf("a light export with 180 MB free: %v", err)
	}
}

func TestImportWeb3Refuses(t *testing.T) {
	light := string(read(t, "testdata/web3/geth-light.json"))
	pbkdf := string(read(t, "testdata/web3/eth-account-pbkdf2.json"))
	for name, file := range map[string]string{
		"empty": "", "the key itself": elevens, "a list": "[]", "version 1": strings.Replace(light, `"version":3`, `"version":1`, 1),
		"another cipher":       strings.Replace(light, "aes-128-ctr", "aes-128-cbc", 1),
		"another derivation":   strings.Replace(light, `"kdf":"scrypt"`, `"kdf":"argon2id"`, 1),
		"N is no power of two": strings.Replace(light, `"n":4096`, `"n":4095`, 1),
		"N is huge":            strings.Replace(light, `"n":4096`, `"n":1099511627776`, 1),
		"r is huge":            strings.Replace(light, `"r":8`, `"r":1073741824`, 1),
		"p is negative":        strings.Replace(light, `"p":6`, `"p":-6`, 1),
		"dklen is short":       strings.Replace(light, `"dklen":32`, `"dklen":16`, 1),
		"another prf":          strings.Replace(pbkdf, "hmac-sha256", "hmac-sha512", 1),
		"too many rounds":      strings.Replace(pbkdf, `"c": 5000`, `"c": 2000000000`, 1),
		"no rounds":            strings.Replace(pbkdf, `"c": 5000`, `"c": 0`, 1),
		"another address":      strings.Replace(light, "19e7e376", "29e7e376", 1),
		"a short mac":          strings.Replace(light, `"mac":"`, `"mac":"", "x":"`, 1),
	} {
		if file == light || file == pbkdf {
			t.Fatalf("%s: nothing was replaced", name)
		}
		_, err := ImportWeb3([]byte(file), []byte("test passphrase"))
		if !errors.Is(err, ErrBadWeb3) {
			t.Errorf("%s: %v, want ErrBadWeb3", name, err)
		} else if strings.Contains(err.Error(), "11111111") {
			t.Errorf("%s: the error repeats the key", name)
		}
	}
}

func TestFreeMemory(t *testing.T) {
	for name, c := range map[string]struct {
		b    board
		want uint64
		ok   bool
	}{
		"nothing is known":  {board{}, 0, false},
		"the machine":       {board{"proc/meminfo": "MemAvailable: 100 kB\n"}, 100 << 10, true},
		"a group (v2)":      {board{"proc/meminfo": "MemAvailable: 100 kB\n", "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "1\n", "sys/fs/cgroup/a/memory.max": "9000\n", "sys/fs/cgroup/a/memory.current": "5000\n", "sys/fs/cgroup/a/memory.stat": "anon 7\ninactive_file 1000\n"}, 5000, true},
		"a group (v1)":      {board{"proc/self/cgroup": "5:cpu:/x\n4:hugetlb,memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "9000\n", "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "5000\n"}, 4000, true},
		"over its limit":    {board{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "10\n", "sys/fs/cgroup/memory.current": "50\n"}, 0, true},
		"a mangled listing": {board{"proc/meminfo": "MemAvailable:\nMemAvailable: x kB\n", "proc/self/cgroup": "::\n0\n\n"}, 0, false},
	} {
		free, ok := freeMemory(c.b.build(t))
		if ok != c.ok || ok && free != c.want {
			t.Errorf("%s: %d, %v; want %d, %v", name, free, ok, c.want, c.ok)
		}
	}
}

func FuzzImportWeb3(f *testing.F) {
	for _, name := range []string{"geth-light", "eth-account-pbkdf2", "eth-account-scrypt-light"} {
		f.Add(read(f, "testdata/web3/"+name+".json"))
	}
	small := roomy(f, "24") // so that nothing costs more than 8 MiB
	f.Fuzz(func(t *testing.T, file []byte) {
		var g web3File
		var cost pbkdf2Params
		if json.Unmarshal(file, &g) == nil && json.Unmarshal(g.Crypto.KDFParams, &cost) == nil && cost.C > 10000 {
			return // allowed, but slow
		}
		key, err := importWeb3(file, []byte("test passphrase"), small)
		if err == nil && key.Hex() != elevens {
			t.Errorf("another key came out: %s", key.Signer().Address())
		}
	})
}

func BenchmarkImportWeb3(b *testing.B) {
	for _, name := range []string{"light", "standard"} {
		file := read(b, "testdata/web3/geth-"+name+".json")
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := ImportWeb3(file, []byte("test passphrase")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
