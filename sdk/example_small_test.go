package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Read the configuration of peaqOS clients: all errors are reported together, each with the
// name of its variable, and no secret is printed.
func ExampleFromEnv() {
	os.Setenv("PEAQOS_ORCHESTRATION_URL", "https://orchestration.peaq.xyz")
	os.Setenv("PEAQOS_API_KEY", "pk_live_1")
	defer os.Unsetenv("PEAQOS_ORCHESTRATION_URL")
	defer os.Unsetenv("PEAQOS_API_KEY")

	env, err := sdk.FromEnv(sdk.RequireOrchestration)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(env.OrchestrationURL, env.APIKey, env.Deployment.ID)

	_, err = sdk.FromEnv(sdk.RequireChain, sdk.RequireSigner)
	fmt.Println(err)
	// Output:
	// https://orchestration.peaq.xyz [REDACTED] peaq-mainnet
	// PEAQOS_RPC_URL is required for chain and is not set
	// PEAQOS_PRIVATE_KEY is required for signer and is not set
}

// Check the class of an error, and read the server's response.
func ExampleAPIError() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"error":{"code":"SLOW_DOWN","message":"too many requests"}}`)
	}))
	defer server.Close()
	c, err := sdk.New(server.URL)
	if err != nil {
		log.Fatal(err)
	}

	_, err = c.Machines.Get(context.Background(), "mach_1")
	fmt.Println(err)
	fmt.Println("later:", errors.Is(err, sdk.ErrRetryable), "never again:", errors.Is(err, sdk.ErrRejected))
	var api *sdk.APIError
	if errors.As(err, &api) {
		wait, asked := api.RetryAfter()
		fmt.Println(api.StatusCode, api.Code, "in", wait, asked)
	}
	// Output:
	// GET /machines/{machineId}: HTTP 429: SLOW_DOWN: too many requests
	// later: true never again: false
	// 429 SLOW_DOWN in 30s true
}

// Log every call. A middleware sees no credentials, query or body.
func ExampleWithMiddleware() {
	logging := func(next sdk.RoundTrip) sdk.RoundTrip {
		return func(ctx context.Context, x *sdk.Request) (*sdk.Response, error) {
			began := time.Now()
			response, err := next(ctx, x)
			if err != nil {
				fmt.Println(x.Operation, "failed:", err)
				return nil, err
			}
			fmt.Println(x.Operation, response.Status, time.Since(began) < time.Minute)
			return response, nil
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"ok":true}`) }))
	defer server.Close()
	c, err := sdk.New(server.URL, sdk.WithMiddleware(logging))
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Observability.Health(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: GET /health 200 true
}

// Report that a machine is online, and check it.
func ExamplePresence_Push() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"accepted":true,"online":true,"lastHeartbeatAt":"2026-11-23T12:00:00.000Z"}`)
	}))
	defer server.Close()
	p, err := sdk.NewPresence(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	_, sign, err := exampleSigner(exampleKey)
	if err != nil {
		log.Fatal(err)
	}

	result, err := p.Push(context.Background(), sdk.PresencePush{
		MachineID: "42", PublicKey: vectorPublicKey, // 0x04…
		Sign: func(_ context.Context, message []byte) (string, error) { return sign(string(message)) },
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("online:", result.Online, "for", sdk.PresenceTTL)
	// Output: online: true for 3m0s
}
