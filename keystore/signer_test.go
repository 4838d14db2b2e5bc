package keystore_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

func testSigner(t testing.TB) *keystore.Signer {
	t.Helper()
	key, err := keystore.ParseKey([]byte(elevens))
	must(t, err)
	return key.Signer()
}

func TestSignerIdentity(t *testing.T) {
	s := testSigner(t)
	if got := s.Address(); got != "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A" {
		t.Errorf("address %s", got)
	}
}

// TestSignText: the vectors of the API contract (presence heartbeat §4, opt-in §8), and
// hashes computed with go-ethereum's accounts.TextHash.
func TestSignText(t *testing.T) {
	s := testSigner(t)
	for _, c := range []struct{ text, hash, signature string }{
		{
			"machineId: 42\nsentAt: 2026-11-23T12:00:00Z", "b11861e1e64ef5cc2e1ffe772a9d73f65bde10d108058a4c87c182500e4274e0",
			"0xd221dc2a33661bc0fd112be768bfb8db03f949c06564394a272676808ab18c165689eba5745bb22a80d84ef0f4d0dce5710b956a4fe431dfb2d69a9872525a951b",
		},
		{
			"machineId: 42\nsentAt: 2026-11-23T12:00:00.000000+00:00", "60f647079b846d7be0fb8be93a635c0b87ea794ef2d8189d319f408ed295465c",
			"0xa30727ec1825a67bc2f568d99b5e78e137490f1c2753a08daa9d51c3eb564ff15208b1f04f09a2fbbb0460c8aa90e50905aa4d8ea3475d62b64e822da9c147451b",
		},
		{
			"machineId: did:peaq:42\nsentAt: 2026-11-23T12:00:00.123Z", "7a222a3a0cd49a25615eaa7e3873472c7ac18af7cc4e495cf123f4021ff30ad8",
			"0xcfe7c95b1840abeb45e269263c5318d9ad5c8c6b55f0f099ac8fcc0ae3cfeebe4ecf3d20a6c94fe8e9538d734854c26c4602ee0a7aa77dae8acfd8414c4a98291b",
		},
		{
			"peaq-mcr monetization\nregistry: 0x64b93cc29b251fafa83bd110cdb1c24207f85536\nchain_id: 3338\nmachine_id: 42\n" +
				"opted_in: true\ntimestamp: 1783944000", "",
			"0x859a29921f9495887d241714465a8fb038b98c8592d29225576be5abf6a9f6b4590f105de4c0684df16d246cf9f46a4cf1692e331d521d7d043dfa2b1e7ec62d1b",
		},
		{"", "5f35dce98ba4fba25530a026ed80b2cecdaa31091ba4958b99b52ea1d068adad", ""},
		{"a", "34f291c0b5f0c13c8f43e9d37c04094c22234da43f4040adb36654c98235b4b3", ""},
		{"0123456789", "91e26c79ff38a9cd1035942268ee3d72eaccb7e19e833121d3714716f1402c0a", ""},
		{"grüße 🤖", "ffbf127531dba6b5b7fbae610253300e58491b279c53d8101b9026b05cf497f6", ""},
	} {
		if got := hex.EncodeToString(keystore.TextHash(c.text)); c.hash != "" && got != c.hash {
			t.Errorf("hash of %q: %s, want %s", c.text, got, c.hash)
		}
		got, err := s.SignText(c.text)
		if err != nil || c.signature != "" && got != c.signature {
			t.Errorf("signature of %q: %s, %v; want %s", c.text, got, err, c.signature)
		}
		if who, err := keystore.RecoverText(c.text, got); err != nil || who != s.Address() {
			t.Errorf("recovered %s, %v", who, err)
		}
		if who, err := keystore.RecoverText(c.text+" ", got); err == nil && who == s.Address() {
			t.Errorf("the signature of %q is valid for another text", c.text)
		}
	}
}

func TestRecoverTextRefuses(t *testing.T) {
	sig, err := testSigner(t).SignText("x")
	must(t, err)
	for name, bad := range map[string]string{
		"empty": "", "no prefix": sig[2:], "short": sig[:len(sig)-2], "long": sig + "00",
		"not hex": "0x" + strings.Repeat("zz", 65), "v is 0": sig[:130] + "00", "v is 29": sig[:130] + "1d",
		"r and s are 0":       "0x" + strings.Repeat("00", 64) + "1b",
		"r is past the order": "0x" + strings.Repeat("ff", 32) + sig[66:],
	} {
		if who, err := keystore.RecoverText("x", bad); err == nil {
			t.Errorf("%s: %s", name, who)
		}
	}
}

func TestSameAddress(t *testing.T) {
	const a = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
	for b, want := range map[string]bool{
		a: true, strings.ToLower(a): true, "0x" + strings.ToUpper(a[2:]): true,
		a[2:]: false, a[:40]: false, "": false, strings.Replace(a, "19", "29", 1): false,
	} {
		if got := keystore.SameAddress(a, b); got != want {
			t.Errorf("%q: %v", b, got)
		}
	}
	if keystore.SameAddress("", "") {
		t.Error("two empty strings are the same address")
	}
}

func FuzzRecoverText(f *testing.F) {
	f.Add("text", "0xd221dc2a33661bc0fd112be768bfb8db03f949c06564394a272676808ab18c16"+
		"5689eba5745bb22a80d84ef0f4d0dce5710b956a4fe431dfb2d69a9872525a951b")
	f.Fuzz(func(t *testing.T, text, sig string) {
		if who, err := keystore.RecoverText(text, sig); err == nil && !keystore.SameAddress(who, who) {
			t.Errorf("%q is not an address", who)
		}
	})
}

func BenchmarkSignText(b *testing.B) {
	s := testSigner(b)
	for b.Loop() {
		if _, err := s.SignText("machineId: 42\nsentAt: 2026-11-23T12:00:00Z"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRecoverText(b *testing.B) {
	const text = "machineId: 42\nsentAt: 2026-11-23T12:00:00Z"
	sig, err := testSigner(b).SignText(text)
	must(b, err)
	for b.Loop() {
		if _, err := keystore.RecoverText(text, sig); err != nil {
			b.Fatal(err)
		}
	}
}
