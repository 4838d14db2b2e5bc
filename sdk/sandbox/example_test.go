package sandbox_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// The program under test gets the URL and talks to it as to the orchestrator. The test then checks
// on the sandbox what happened, and how the program handles a fault.
func Example() {
	s := sandbox.New(sandbox.WithController("", "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"))
	defer s.Close()
	web := httptest.NewServer(s)
	defer web.Close()

	online := func() bool { return programUnderTest(web.URL) }
	fmt.Println("healthy:", online())
	s.SetFault(func(r *http.Request) *sandbox.Fault {
		return &sandbox.Fault{Code: "PEAQOS_IDENTITY_UNAVAILABLE", RetryAfter: "30"}
	})
	fmt.Println("with a fault:", online())
	fmt.Println("requests served:", s.Requests())
	// Output:
	// healthy: true
	// with a fault: false
	// requests served: 1
}

// programUnderTest requests an identity challenge, as a new machine does first.
func programUnderTest(url string) bool {
	res, err := http.Post(url+"/api/v1/machine-identity/challenges", "application/json", strings.NewReader(`{"identityRef":"did:peaq:42"}`))
	return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusCreated
}

// A week of an agent's time takes a moment: see [Server.Transport].
func ExampleServer_Transport() {
	s := sandbox.New()
	defer s.Close()
	client := http.Client{Transport: s.Transport()}
	res, err := client.Get("http://any.name/health")
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	fmt.Println(res.StatusCode)
	// Output: 200
}

// A script is data; it can also be read from a file ([LoadScenario]).
func ExampleServer_Play() {
	s := sandbox.New()
	defer s.Close()
	client := http.Client{Transport: s.Transport()}
	_ = s.Play(sandbox.Script{Rules: []sandbox.Rule{{Path: "/health", Every: 2, Fault: sandbox.Fault{Status: 503}}}})
	for range 4 {
		res, err := client.Get("http://any.name/api/v1/health")
		if err != nil {
			panic(err)
		}
		_ = res.Body.Close()
		fmt.Print(res.StatusCode, " ")
	}
	// Output: 200 503 200 503
}
