// Package sdk is the peaqOS orchestration (Machine Markets) API in Go.
//
// Make a client with [New] and call the service you need; each is a field of
// [Client], named after its resource:
//
//	c, err := sdk.New("https://orchestration.peaq.xyz", sdk.WithAPIKey(sdk.NewSecret(key)))
//	if err != nil {
//		return err
//	}
//	for m, err := range c.Machines.All(ctx, sdk.ListOptions{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(m.ID, m.DisplayName, m.Status)
//	}
//
// # Requests
//
// Every call takes a context and has a deadline of its own besides: 30 s for a
// GET, 60 s for the others. Nothing is retried and no redirect is followed; the
// caller owns its retries, and a body that holds a token must not travel on.
// Optional members of a request are [Optional]: an unset one is left out, a set
// one is sent even when it is empty.
//
// # Answers
//
// Unknown members and unknown enum values never break decoding. A missing
// required member or a wrong JSON type is an [APIError] with the code
// INVALID_RESPONSE_SHAPE. Lists come as a page from List and as a sequence of
// item and error from All, which asks for the next page only when the caller
// wants more.
//
// # Errors
//
// [APIError] is an answer, [NetworkError] the lack of one, [ValidationError] an
// argument that was refused before anything was sent, [ConfigError] a client that
// cannot work. [RedirectError] is an APIError that says where an answer wanted to
// send us. What an error prints never includes details, because a server may
// echo secrets there.
//
// # Secrets
//
// API keys and tokens are [Secret], which prints as [REDACTED] everywhere. They
// are written in headers and bodies by this package alone, never in a URL.
//
// # What is missing
//
// This package binds the machine's side of the API: identity challenges,
// machines, machine agents with their heartbeat, runtime endpoints, health,
// readiness and audit events. testdata/operations.yaml lists them.
package sdk
