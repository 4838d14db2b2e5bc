package sdk

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

const canary = "CANARYcanary0123456789"

// harmless are fields whose names sound secret but whose values are not. Each was reviewed.
// A new field whose name sounds secret must be a Secret, or be reviewed and added here.
func harmless() map[string]string {
	return map[string]string{
		"key": "name of a skill", "skillKey": "name of a skill", "skillKeys": "names of skills",
		"allowedSkillKeys": "names of skills", "deniedSkillKeys": "names of skills",
		"providerKey": "name of a provider", "allowedProviderKeys": "names of providers", "ProviderKey": "name of a provider, in options",
		"authType": "a word such as bearer", "authState": "a word such as expired", "hasAuthToken": "yes or no",
		"hasCredentials": "yes or no",
		"sessionTokenId": "an id of a token; grants nothing", "tokenLastFour": "four characters, to distinguish tokens",
		"publicKey": "public", "PublicKey": "public", "publicKeyHex": "public", "buyerPublicKeyHex": "public",
		"keyId":         "an id of a public key",
		"wrappedKeyHex": "sealed for the buyer's own key",
		"token":         "a currency", "tokens": "currencies", "tokenAddress": "a currency's contract",
		"tokenMint": "a currency's mint", "tokenDecimals": "a currency's digits",
		"SubscriptionTokenProvisionPool": "a contract's address",
		"signature":                      "proves one challenge once, and is useless afterwards",
		"transactionSignature":           "a transaction's public id",
	}
}

// field is one field of a struct in the source.
type field struct{ where, owner, name, kind string }

// sourceFields returns the fields of all structs of the package, also those inside
// functions, by their wire names if they have one.
func sourceFields(t *testing.T) []field {
	t.Helper()
	var all []field
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, entry.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		owner := ""
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				owner = n.Name.Name
			case *ast.StructType:
				for _, f := range n.Fields.List {
					all = append(all, fieldsOf(fset.Position(f.Pos()).String(), owner, f)...)
				}
			}
			return true
		})
	}
	if len(all) < 500 {
		t.Fatalf("only %d fields were found", len(all))
	}
	return all
}

func fieldsOf(where, owner string, f *ast.Field) []field {
	wire := ""
	if f.Tag != nil {
		tag, _ := strconv.Unquote(f.Tag.Value)
		wire, _, _ = strings.Cut(reflect.StructTag(tag).Get("json"), ",")
	}
	var all []field
	for _, name := range f.Names {
		named := field{where, owner, name.Name, types.ExprString(f.Type)}
		if wire != "" && wire != "-" {
			named.name = wire
		}
		all = append(all, named)
	}
	return all
}

// TestSecretNamesHaveTheSecretType fails for a new field that sounds secret and can be
// printed.
func TestSecretNamesHaveTheSecretType(t *testing.T) {
	known := harmless()
	used := map[string]bool{}
	for _, f := range sourceFields(t) {
		secret := strings.Contains(f.kind, "Secret")
		switch {
		case f.owner == "call" || f.owner == "Secret":
		case strings.HasSuffix(f.owner, "Credentials") && f.owner != "ProviderCredentials" && !secret:
			t.Errorf("%s: %s of %s must be a Secret: all of the credentials are", f.where, f.name, f.owner)
		case !wire.SensitiveKey(f.name) || secret || strings.Contains(f.kind, "ProviderCredentials"):
		case known[f.name] == "":
			t.Errorf(
				"%s: %s %s of %s sounds secret and can be printed: make it a Secret, or say in this test why it is harmless",
				f.where, f.name, f.kind, f.owner,
			)
		default:
			used[f.name] = true
		}
	}
	for name := range known {
		if !used[name] {
			t.Errorf("no field has the harmless name %s any longer", name)
		}
	}
}

// TestListedSecretsHaveTheSecretType checks the secrets of contract §1.9 whose names do not
// sound secret.
func TestListedSecretsHaveTheSecretType(t *testing.T) {
	for owner, value := range map[string]any{
		"Connect.URL": Connect{}.URL, "PreparedDelivery.URL": PreparedDelivery{}.URL,
		"PreparedDelivery.AccessToken": PreparedDelivery{}.AccessToken,
		"X402Proof.PaymentHeader":      X402Proof{}.PaymentHeader, "OrderPayment.PaymentSignature": OrderPayment{}.PaymentSignature.Value(),
		"TransferProof.RPCURL": TransferProof{}.RPCURL.Value(), "Env.RPCURL": Env{}.RPCURL,
		"Env.PrivateKey": Env{}.PrivateKey, "Env.APIKey": Env{}.APIKey,
		"PairingSession.PairingToken": PairingSession{}.PairingToken, "EnrolledAgent.Token": EnrolledAgent{}.Token,
	} {
		if _, ok := value.(Secret); !ok {
			t.Errorf("%s is a %T", owner, value)
		}
	}
}

// TestRawResponsesPrintNoSensitiveMember: raw JSON may contain anything.
func TestRawResponsesPrintNoSensitiveMember(t *testing.T) {
	raw := json.RawMessage(`{"a":1,"accessToken":"` + canary + `","delivery":{"connect":{"url":"` + canary + `"}},` +
		`"note":"peaqos-p2p://` + canary + `"}`)
	for _, v := range []any{
		RawResponse{Body: raw},
		&RawResponse{Body: raw},
		ControlNotification{Type: "t", Payload: raw},
		&ControlUnknown{Raw: raw},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if printed := fmt.Sprintf(verb, v); shows(printed) || !strings.Contains(printed, "REDACTED") {
				t.Errorf("%T: %s", v, printed)
			}
		}
		var text, lines bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&lines, nil)).Info("m", "v", v)
		if shows(text.String() + lines.String()) {
			t.Errorf("%T: %s%s", v, &text, &lines)
		}
	}
	if b, err := json.Marshal(&RawResponse{Body: raw}); err != nil || shows(string(b)) {
		t.Errorf("%s, %v", b, err)
	}
	if b, err := json.Marshal(RawResponse{}); err != nil || string(b) != "null" {
		t.Errorf("%s, %v", b, err)
	}
}

// reachable collects the struct types of the arguments and results of the package's calls.
func reachable(t *testing.T) map[reflect.Type]bool {
	t.Helper()
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(at reflect.Type) {
		switch at.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			visit(at.Elem())
		case reflect.Struct:
			if seen[at] || !(strings.HasSuffix(at.PkgPath(), "/sdk") || strings.HasSuffix(at.PkgPath(), "/sdk/internal/wire")) {
				return
			}
			seen[at] = true
			if value, _, ok := wire.Slot(reflect.New(at).Interface()); ok {
				visit(reflect.TypeOf(value).Elem())
			}
			for i := range at.NumField() {
				visit(at.Field(i).Type)
			}
		case reflect.Func: // a sequence passes its items to a function
			for i := range at.NumIn() {
				visit(at.In(i))
			}
			for i := range at.NumOut() {
				visit(at.Out(i))
			}
		}
	}
	roots := []any{
		&Client{}, &MCR{}, &Chain{}, &Presence{},
		Env{},
		ControlSocketOptions{},
		ControlConnected{},
		ControlAck{},
		ControlNotification{},
		ControlUnknown{},
		PaymentRecorded{},
		X402Rail{},
		TransferRail{},
		X402Proof{},
		TransferProof{},
		X402RailInfo{},
		UnknownEntry{},
		IoTData{},
		IoTStreamError{},
		Request{},
		Response{},
	}
	for _, root := range roots {
		at := reflect.TypeOf(root)
		visit(at)
		if at.Kind() != reflect.Pointer {
			continue
		}
		services := []reflect.Type{at}
		for i := range at.Elem().NumField() {
			services = append(services, at.Elem().Field(i).Type)
		}
		for _, service := range services {
			for i := range service.NumMethod() {
				visit(service.Method(i).Type)
			}
		}
	}
	return seen
}

// fill puts the canary into every secret in a value, and something into all other fields.
func fill(v reflect.Value, depth int) {
	if depth > 8 || !v.CanSet() {
		return
	}
	at := v.Addr().Interface()
	switch at := at.(type) {
	case *Secret:
		*at = NewSecret(canary)
		return
	case *ExtraFields:
		*at = ExtraFields{
			"apiKey": NewSecret(`"` + canary + `"`), "deep": NewSecret(`[{"pairing_token":{"a":["` + canary + `"]}}]`),
			"connect": NewSecret(`{"url":"` + canary + `"}`), "note": NewSecret(`"see peaqos-p2p://h/` + canary + ` now"`),
		}
		return
	case *json.RawMessage:
		*at = json.RawMessage(`{"a":1}`)
		return
	case *json.Number:
		*at = "1"
		return
	}
	if value, set, ok := wire.Slot(at); ok {
		*set = true
		fill(reflect.ValueOf(value).Elem(), depth+1)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("x").Convert(v.Type().Key()), value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), depth+1)
		}
	}
}

// shows reports whether a text contains the canary, as it is or in a common encoding.
func shows(text string) bool {
	bytes := strings.Trim(fmt.Sprint([]byte(canary)), "[]")
	for _, form := range []string{
		canary, hex.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte(canary))[:24], bytes,
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
			return true
		}
	}
	return false
}

func TestNoTypePrintsItsSecrets(t *testing.T) {
	seen := reachable(t)
	filled := 0
	for at := range seen {
		if at == reflect.TypeFor[Client]() || strings.HasSuffix(at.Name(), "Service") {
			continue
		}
		v := reflect.New(at)
		fill(v.Elem(), 0)
		if len(wire.SecretsIn(v.Interface())) > 0 {
			filled++
		}
		value := v.Elem().Interface()
		hidden := struct{ inner any }{value}
		for _, form := range []any{
			value, v.Interface(),
			[]any{value},
			map[string]any{"k": value},
			struct{ Inner any }{value},
			hidden,
			&hidden,
		} {
			for _, printed := range allPrints(form) {
				if shows(printed) {
					t.Errorf("%v shows its secret: %.300s", at, printed)
					break
				}
			}
		}
	}
	if filled < 20 {
		t.Errorf("only %d types with a secret were printed", filled)
	}
	t.Logf("%d types printed, %d of them with secrets", len(seen), filled)
	// Every type with a secret in the source must have been printed.
	names := map[string]bool{}
	for at := range seen {
		names[at.Name()] = true
	}
	for _, f := range sourceFields(t) {
		if strings.Contains(f.kind, "Secret") && ast.IsExported(f.owner) && !names[f.owner] &&
			!slices.Contains([]string{"Client", "Secret"}, f.owner) {
			t.Errorf("%s: %s has a secret but is not reached by this test", f.where, f.owner)
		}
	}
}
