// Package sdk is the peaqOS orchestration (Machine Markets) API in Go: machines,
// their agents and heartbeats, the AI agents paired with them, and the market in
// which they order services, pay, and sell streams.
//
// # Where to start
//
// Make a [Client] with [New]; its fields are the API's resources. This program
// lists what an account has:
//
//	package main
//
//	import (
//		"context"
//		"errors"
//		"fmt"
//		"log"
//		"os"
//
//		"github.com/peaqnetwork/peaqos-agent/sdk"
//	)
//
//	func main() {
//		c, err := sdk.New("https://orchestration.peaq.xyz", sdk.WithAPIKey(sdk.NewSecret(os.Getenv("PEAQOS_API_KEY"))))
//		if err != nil {
//			log.Fatal(err)
//		}
//		for machine, err := range c.Machines.All(context.Background(), sdk.ListOptions{}) {
//			if errors.Is(err, sdk.ErrAuth) {
//				log.Fatal("PEAQOS_API_KEY is missing or wrong: ", err)
//			}
//			if err != nil {
//				log.Fatal(err)
//			}
//			fmt.Println(machine.ID, machine.DisplayName, machine.Status)
//		}
//	}
//
// From there, by what you want to do (the package has examples of most):
//
//   - bring a machine in: [Client.MachineIdentity] proves who controls it,
//     [Client.Machines] registers it;
//   - keep it alive: [Client.MachineAgents] enrolls the process that speaks for it,
//     and beats; [Client.RuntimeEndpoints] shows where it can be reached;
//   - let an AI agent act for it: [Client.AgentPairings];
//   - buy work: [Client.MarketSearches], [Client.MarketOrders],
//     [Client.MarketPayments]; package x402 beside this one signs payments;
//   - read and drive devices: [Client.OneM2M], [Client.IoT];
//   - sell and buy streams: [Client.Delivery], [Client.StreamListings],
//     [Client.Purchases], and the control socket of [ConnectControlSocket].
//
// Beside the orchestrator stand small clients of their own: [Presence] (is this
// machine online?), [MCR] (does it exist, is it bonded?) and [Chain] (who owns and
// controls it?). [FromEnv] reads the configuration of all of them.
//
// # Ideas
//
// Names are the API's own: machineId on the wire is MachineID here. Nothing is
// converted: JSON of yours, and JSON whose shape the API leaves open, stays as it
// is. Times stay the strings that the server sent (RFC 3339). Amounts are
// [json.Number] where the API has numbers and strings where it has strings, never
// floats.
//
// A member that may be left out of a request is an [Optional]: unset is not sent,
// Some("") is sent as "". In answers an absent string is "", an absent list is
// empty, and [Optional] stands only where a zero would say something else. Where a
// result has an [ExtraFields], it holds the members that this package does not model, each
// hidden until Reveal is called: it could be anything.
//
// The tags of a result tell what the API promises: a wire tag with req is always
// there, null may be null, anything else may be absent; enum lists the values that
// are known.
//
// One thing that comes in several forms is an interface with a fixed set of types
// ([Execution], [StreamRail], [PurchaseProof], [IoTEvent], …): switch on the type.
// A form that is newer than this package comes as one that says so.
//
// List gives one [Page], All a sequence of item and error over all pages. It asks
// for a page when its first item is wanted, so that leaving the loop early leaves
// the rest unasked, and it ends with its first error.
//
// Every single result and every page embeds [Meta]: the HTTP status and the
// server's clock.
//
// # Errors
//
// Any call can fail in three ways, and every method's comment names the codes that
// are known for it besides:
//
//   - [ValidationError] (and [ConfigError], from what makes a client): an argument
//     was refused, nothing was sent;
//   - [NetworkError]: no usable answer came, and whether the server acted is not
//     known. It wraps the cause, [context.DeadlineExceeded] included;
//   - [APIError]: an answer came that is no success. Its Code is the API's own word
//     (the constants Code…), its RetryAfter what the server asks to wait.
//     [RedirectError], [DeliveryNotReadyError] and [SocketError] say more, and
//     errors.As finds the APIError in them.
//
// Most programs ask by meaning, which holds for codes that no one knows yet:
//
//	switch {
//	case errors.Is(err, sdk.ErrRetryable): // later, with the same request
//	case errors.Is(err, sdk.ErrAuth): // another key or token
//	case errors.Is(err, sdk.ErrRejected): // never with the same request
//	}
//
// # Promises
//
//   - One call is one request: nothing is retried and no redirect is followed.
//     (The reads of MCR and Chain, which change nothing, are repeated after a
//     failure that passes; their comments say how often.)
//   - Every call takes a context, and has a limit of its own (30 s for GET, 60 s for
//     the rest); every body is bounded (16 MiB, see [WithMaxBody]).
//   - A [Secret] is never printed, by any verb or encoder, and neither are the
//     details of an error. No secret is ever part of a URL. [Middleware] sees none.
//   - A member, an error code or (where the contract is lax) an enum value that this
//     package does not know breaks nothing. A success of another shape than the
//     contract's is an APIError with the code INVALID_RESPONSE_SHAPE.
//   - Nothing else is sent: no telemetry. No client holds a private key: you sign,
//     and hand over the signature.
//
// # Where this comes from
//
// Every comment ends with the request and a section, such as "(contract §2.4)":
// the contract is the description of the API that this package was written from
// and is tested against, beside recordings of the Python SDK; the mcr contract and
// the presence contract are those of the services beside it. ENDPOINTS.md lists
// every operation, FROM_PYTHON.md every name of the Python SDK and ours for it.
//
// A method marked Experimental is bound because its path is published; no SDK of
// peaq's own makes the call, and its comment says what is not known.
package sdk
