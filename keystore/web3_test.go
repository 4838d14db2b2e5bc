package keystore_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

func TestExportWeb3(t *testing.T) {
	key, err := keystore.ParseKey([]byte(elevens))
	must(t, err)
	first, err := keystore.ExportWeb3(key, []byte("pass"), true)
	must(t, err)
	second, err := keystore.ExportWeb3(key, []byte("pass"), true)
	must(t, err)
	if string(first) == string(second) {
		t.Error("two exports are equal, so they contain no random bytes")
	}
	if strings.Contains(string(first), elevens[2:]) {
		t.Error("the key is in plain text")
	}
	back, err := keystore.ImportWeb3(first, []byte("pass"))
	must(t, err)
	if back.Hex() != elevens || key.Hex() != elevens {
		t.Error("the decrypted key is another one")
	}
	var f struct {
		Address, ID string
		Version     int
		Crypto      struct{ KDFParams struct{ N, P, R, DKLen int } }
	}
	must(t, json.Unmarshal(first, &f))
	if f.Address != "19e7e376e7c213b7e7e7e46cc70a5dd086daff2a" || f.Version != 3 || len(f.ID) != 36 ||
		f.Crypto.KDFParams.N != 4096 || f.Crypto.KDFParams.P != 6 {
		t.Errorf("%+v", f)
	}
}

func TestImportWeb3Refuses(t *testing.T) {
	light := string(read(t, "testdata/web3/geth-light.json"))
	pbkdf := string(read(t, "testdata/web3/eth-account-pbkdf2.json"))
	for name, file := range map[string]string{
		"empty": "", "the key itself": elevens, "a list": "[]", "version 1": strings.Replace(light, `"version":3`, `"version":1`, 1),
		"another cipher":          strings.Replace(light, "aes-128-ctr", "aes-128-cbc", 1),
		"another derivation":      strings.Replace(light, `"kdf":"scrypt"`, `"kdf":"argon2id"`, 1),
		"N is not a power of two": strings.Replace(light, `"n":4096`, `"n":4095`, 1),
		"N is huge":               strings.Replace(light, `"n":4096`, `"n":1099511627776`, 1),
		"r is huge":               strings.Replace(light, `"r":8`, `"r":1073741824`, 1),
		"p is negative":           strings.Replace(light, `"p":6`, `"p":-6`, 1),
		"dklen is short":          strings.Replace(light, `"dklen":32`, `"dklen":16`, 1),
		"another prf":             strings.Replace(pbkdf, "hmac-sha256", "hmac-sha512", 1),
		"too many rounds":         strings.Replace(pbkdf, `"c": 5000`, `"c": 2000000000`, 1),
		"no rounds":               strings.Replace(pbkdf, `"c": 5000`, `"c": 0`, 1),
		"another address":         strings.Replace(light, "19e7e376", "29e7e376", 1),
		"a short mac":             strings.Replace(light, `"mac":"`, `"mac":"", "x":"`, 1),
	} {
		if file == light || file == pbkdf {
			t.Fatalf("%s: nothing was replaced", name)
		}
		_, err := keystore.ImportWeb3([]byte(file), []byte("test passphrase"))
		if !errors.Is(err, keystore.ErrBadWeb3) {
			t.Errorf("%s: %v, want ErrBadWeb3", name, err)
		} else if strings.Contains(err.Error(), "11111111") {
			t.Errorf("%s: the error repeats the key", name)
		}
	}
}

func BenchmarkImportWeb3(b *testing.B) {
	for _, name := range []string{"light", "standard"} {
		file := read(b, "testdata/web3/geth-"+name+".json")
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := keystore.ImportWeb3(file, []byte("test passphrase")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
