package keystore

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
	"golang.org/x/crypto/pbkdf2"
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
			"sys/fs/cgroup/a/memory.stat": "anon 7\ninactive_file 1000\nactive_file 200\n",
		}, 5200, true},
		"a group (v1)": {map[string]string{
			"proc/self/cgroup": "5:cpu:/x\n4:hugetlb,memory:/x\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "9000\n", "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "5000\n",
			"sys/fs/cgroup/memory/x/memory.stat": "inactive_file 1\nactive_file 2\ntotal_inactive_file 30\ntotal_active_file 400\n",
		}, 4430, true},
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

// TestImportWeb3AsToolsWriteIt: files that other tools open.
func TestImportWeb3AsToolsWriteIt(t *testing.T) {
	file := func(passphrase string, key, iv []byte, address, more string) []byte {
		derived := pbkdf2.Key([]byte(passphrase), []byte("salt"), 10, 32, sha256.New)
		text := bytes.Clone(key)
		internalMust(t, ctr(derived[:16], leftPad(iv, 16), text))
		return fmt.Appendf(nil, `%s{"address":%q,"version":3,"Crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"%x"},"ciphertext":"%x",`+
			`"kdf":"pbkdf2","kdfparams":{"c":10,"dklen":32,"prf":"hmac-sha256","salt":"73616c74"},"mac":"%x"}}`,
			more, address, iv, text, crypto.Keccak256(derived[16:32], text))
	}
	key := bytes.Repeat([]byte{0x77}, 32)
	short := key[1:]
	iv := bytes.Repeat([]byte{0x42}, 16)
	for name, c := range map[string]struct {
		file       []byte
		passphrase string
		want       []byte // nil: refused
	}{
		"plain":                        {file("test", key, iv, "", ""), "test", key},
		"an IV without its first zero": {file("test", key, iv[1:], "", ""), "test", key},
		"a key of 31 bytes":            {file("test", short, iv, "", ""), "test", append([]byte{0}, short...)},
		"a key with zeros in front":    {file("test", append(make([]byte, 4), key...), iv, "", ""), "test", key},
		"a key with zeros behind":      {file("test", append(bytes.Clone(key), 0, 0), iv, "", ""), "test", key},
		"a key of 33 bytes":            {file("test", append([]byte{1}, key...), iv, "", ""), "test", nil},
		"an empty passphrase":          {file("", key, iv, "", ""), "", key},
		"an address in xdc form":       {file("test", key, iv, "xdc19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A", ""), "test", key},
		"another address":              {file("test", key, iv, "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A", ""), "test", nil},
		"a byte order mark":            {file("test", key, iv, "", "\ufeff"), "test", key},
	} {
		got, err := ImportWeb3(c.file, []byte(c.passphrase))
		if (err == nil) != (c.want != nil) || err == nil && !bytes.Equal(got.bytes(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPassphraseForms: each passphrase that a file may stand for, once and in order.
func TestPassphraseForms(t *testing.T) {
	for content, want := range map[string][]string{
		"test\n": {"test"}, "test\r\n": {"test"}, "": {""}, " test \n\n": {" test \n", "test"},
		"\ufefftest": {"\ufefftest", "test"},
	} {
		var got []string
		for _, f := range PassphraseForms([]byte(content)) {
			got = append(got, string(f.Passphrase))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", content, got, want)
		}
	}
}

// TestFormOf: what people put into a file of a key.
func TestFormOf(t *testing.T) {
	const digits = "1111111111111111111111111111111111111111111111111111111111111111"
	wide := func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			b.Write([]byte{c, 0})
		}
		return b.String()
	}
	for text, want := range map[string]Form{
		"0x" + digits: FormPlain, digits: FormPlain, "0X" + digits: FormPlain, " \t0x" + digits + "\r\n\n": FormPlain,
		"\ufeff0x" + digits + "\n": FormPlain,
		"":                         FormEmpty, " \n": FormEmpty, "\xff\xfe" + wide(digits): FormUTF16, wide("0x" + digits): FormUTF16,
		`"0x` + digits + `"`: FormQuoted, "\u201c0x" + digits + "\u201d": FormQuoted, "'" + digits: FormQuoted,
		"KEY=0x" + digits: FormNameValue, "export KEY=" + digits: FormNameValue, "key: 0x" + digits: FormNameValue,
		"abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about\n": FormMnemonic,
		`{"encoded":"x","encoding":{}}`: FormPolkadot, `{"crypto":{}}`: FormWeb3, `{"api_key":"x"}`: FormJSON, "{": FormJSON,
		"-----BEGIN EC PRIVATE KEY-----\nx": FormPEM, "0x" + digits + "\n0x" + digits: FormLines,
		"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A": FormAddress, "0x" + digits[1:]: FormShort, "\x00\x01\x02": FormNotText,
	} {
		if got := FormOf([]byte(text)); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
		key, err := ParseKey([]byte(text))
		if (err == nil) != (want == FormPlain) || err == nil && key.Hex() != "0x"+digits {
			t.Errorf("%q: %v", text, err)
		}
		var form *KeyFormError
		if err != nil && (!errors.Is(err, ErrBadKey) || !errors.As(err, &form) || form.Form != want || strings.Contains(err.Error(), "1111")) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
