package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
)

// echo is a server that echoes the request in every possible place.
func echo(w http.ResponseWriter, r *http.Request, how string) {
	body, _ := io.ReadAll(r.Body)
	all := string(body)
	for name, values := range r.Header {
		all += " " + name + ": " + strings.Join(values, " ")
	}
	text, _ := json.Marshal(all)
	w.Header().Set("Content-Type", "application/json")
	switch how {
	case "error":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":{"code":%s,"message":%s,"details":{"sent":%s,"headers":[%s]}}}`, text, text, text, text)
	case "page":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, all)
	case "shape":
		fmt.Fprintf(w, `{"item":%s,"items":%s}`, text, text)
	case "redirect":
		secret := canary
		w.Header().Set("Location", "https://"+secret+"@portal.example/"+secret+"?k="+secret+"#"+secret)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case "cut":
		w.Header().Set("Content-Length", "100000")
		io.WriteString(w, `{"item":{"sent":`+string(text))
	case "silence":
		panic(http.ErrAbortHandler)
	}
}

// arguments returns the arguments of a call: the canary in every secret, and valid values
// elsewhere.
func arguments(ctx context.Context, method reflect.Type) []reflect.Value {
	in := []reflect.Value{reflect.ValueOf(ctx)}
	for i := 2; i < method.NumIn(); i++ { // past the service and the context
		v := reflect.New(method.In(i)).Elem()
		fill(v, 0)
		switch at := v.Addr().Interface().(type) {
		case *PurchaseProof:
			*at = X402Proof{PaymentHeader: NewSecret(canary)}
		case *ListOptions:
			at.Limit = Optional[int]{}
		case *CreatePurchaseIntent:
			at.Rail = X402Rail{}
		case *CreateMachine:
			at.IdentityRef = Some("did:peaq:1")
		}
		in = append(in, v)
	}
	return in
}

// outcome returns the error of a call, or of the sequence that it returns.
func outcome(results []reflect.Value) (err error) {
	last := results[len(results)-1]
	if last.Kind() == reflect.Func {
		last.Call([]reflect.Value{reflect.MakeFunc(last.Type().In(0), func(in []reflect.Value) []reflect.Value {
			err, _ = in[1].Interface().(error)
			return []reflect.Value{reflect.ValueOf(false)}
		})})
		return err
	}
	err, _ = last.Interface().(error)
	return err
}

// eachCall calls every method of every service once, and reports the outcome.
func eachCall(t *testing.T, c *Client, tell func(name string, err error)) {
	t.Helper()
	services := reflect.ValueOf(c).Elem()
	for i := range services.NumField() {
		service := services.Field(i)
		if !services.Type().Field(i).IsExported() {
			continue
		}
		for j := range service.NumMethod() {
			method := service.Type().Method(j)
			if method.Type.NumIn() < 2 || method.Type.In(1) != reflect.TypeFor[context.Context]() {
				continue
			}
			args := arguments(t.Context(), method.Type)
			call := service.Method(j).Call
			if method.Type.IsVariadic() {
				call = service.Method(j).CallSlice
			}
			tell(services.Type().Field(i).Name+"."+method.Name, outcome(call(args)))
		}
	}
}

// TestNoErrorShowsASecret calls every method with a canary in every secret, against a server
// that echoes the request.
func TestNoErrorShowsASecret(t *testing.T) {
	for _, how := range []string{"error", "page", "shape", "redirect", "cut", "silence"} {
		t.Run(how, func(t *testing.T) {
			var sent atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sent.Add(1)
				if r.URL.RawQuery != "" && strings.Contains(r.URL.RawQuery, canary) || strings.Contains(r.URL.Path, canary) {
					t.Errorf("a secret is in the URL %s", r.URL)
				}
				echo(w, r, how)
			}))
			defer server.Close()
			var seen []string
			spy := func(next RoundTrip) RoundTrip {
				return func(ctx context.Context, x *Request) (*Response, error) {
					a, err := next(ctx, x)
					seen = append(seen, fmt.Sprintf("%+v %+v", x, a))
					return a, err
				}
			}
			c, err := New(server.URL, WithAPIKey(NewSecret(canary)), WithMiddleware(spy))
			if err != nil {
				t.Fatal(err)
			}
			failed := 0
			eachCall(t, c, func(name string, err error) {
				if err == nil {
					return
				}
				failed++
				for e := err; e != nil; e = errors.Unwrap(e) {
					holdsNoCanary(t, name, e)
				}
				holdsNoCanary(t, name, fmt.Errorf("while calling: %w", err))
				var api *APIError
				if errors.As(err, &api) && name == "IoT.Events" && shows(string(api.Details)) {
					t.Errorf("%s: details hold the canary: %s", name, api.Details)
				}
			})
			for _, line := range seen {
				if shows(line) {
					t.Errorf("middleware saw the canary: %s", line)
				}
			}
			t.Logf("%d requests, %d errors", sent.Load(), failed)
			if sent.Load() < 70 || failed < 60 {
				t.Errorf("only %d requests were sent, %d failed", sent.Load(), failed)
			}
		})
	}
}

func holdsNoCanary(t *testing.T, name string, err error) {
	t.Helper()
	for _, printed := range append(allPrints(err), allPrints([]error{err})...) {
		if shows(printed) {
			t.Errorf("%s: the canary is in %.300s", name, printed)
			return
		}
	}
}

// TestChainErrorsShowNoKey: an RPC endpoint's URL often contains a key. No error shows it.
func TestChainErrorsShowNoKey(t *testing.T) {
	for _, how := range []string{"error", "garbage", "silence"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			said, _ := json.Marshal("no such project: " + r.URL.String() + " of " + user + ":" + password)
			switch how {
			case "error":
				fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":%s}}`, said)
			case "garbage":
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write(said)
			default:
				panic(http.ErrAbortHandler)
			}
		}))
		defer server.Close()
		d, err := LookupDeployment(DefaultDeployment)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := NewChain(strings.Replace(server.URL, "http://", "http://user:"+canary+"@", 1)+"/v2/"+canary+"?key="+canary, d)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if how == "silence" {
			cancel() // it would ask again in a second
		}
		_, err = chain.ID(ctx)
		cancel()
		if err == nil {
			t.Fatal("no error")
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			holdsNoCanary(t, how, e)
		}
		holdsNoCanary(t, how, fmt.Errorf("%v: %w", chain, err))
	}
}
