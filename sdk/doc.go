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
// From there, by task (the package has examples of most):
//
//   - register a machine: [Client.MachineIdentity] proves who controls it,
//     [Client.Machines] creates it;
//   - keep it online: [Client.MachineAgents] enrolls the process that reports for it, and
//     sends heartbeats; [Client.RuntimeEndpoints] lists where it can be reached;
//   - sign the challenges of both: package eip191, or any EIP-191 signer;
//   - let an AI agent act for it: [Client.AgentPairings];
//   - buy services: [Client.MarketSearches], [Client.MarketOrders],
//     [Client.MarketPayments]; package x402 signs payments;
//   - read and control devices: [Client.OneM2M], [Client.IoT];
//   - sell and buy streams: [Client.Delivery], [Client.StreamListings],
//     [Client.Purchases], and the control socket of [ConnectControlSocket].
//
// Three other services have small clients of their own: [Presence] (is this machine
// online?), [MCR] (does it exist, is it bonded?) and [Chain] (who owns and controls it?).
// [FromEnv] reads the configuration of all of them.
//
// # Concepts
//
// Names are the API's own: machineId on the wire is MachineID here. Nothing is converted:
// your own JSON, and JSON whose shape the API does not define, is passed through unchanged.
// Times are the strings that the server sent (RFC 3339). Amounts are [json.Number] where
// the API has numbers and strings where it has strings, never floats.
//
// A request member that can be omitted is an [Optional]: unset is not sent, Some("") is
// sent as "". In responses an absent string is "" and an absent list is empty; [Optional]
// is used only where the zero value would mean something else. Some Optional members of
// requests have to be set all the same, because the API requires them; their types say so,
// such as [CreateMachine]. A type that is both sent and received, such as [DelegationPolicy],
// also has Optional members in responses. If a result has an Extra
// field ([ExtraFields]), it holds the members that this package does not model. Each is
// hidden until Reveal is called, because it could be a secret.
//
// The struct tags of a result document what the API guarantees: a member tagged req is
// always present, null may be null, any other may be absent; enum lists the known values.
//
// Something that has several forms is an interface with a fixed set of types ([Execution],
// [StreamRail], [PurchaseProof], [IoTEvent], …): use a type switch. A transport, a payment
// rail or a control message of an unknown kind is an [UnknownEntry] or a [ControlUnknown].
//
// List returns one [Page]; All returns a sequence of item and error over all pages. All
// requests a page when its first item is needed, so leaving the loop early requests no
// more, and it ends after the first error. A sequence can be ranged any number of times, also
// by several goroutines: every range begins where the options say. A list that does not end is
// a [ListError].
//
// Real lists are cut into pages by offset: an item that is created or removed during a walk
// can make the walk repeat or skip another one. Compare by ID, and believe that something is
// not listed only after a second walk.
//
// An item of a page may have a status that this package does not know (see
// [WithStrictStatus]). The Python SDK fails the whole page then.
//
// Every single result that is a struct, and every page, embeds [Meta]: the HTTP status and
// the server's clock. Slices and items inside a page do not have it.
//
// # Secrets
//
// A one-time token is a [Secret]. Store what its Reveal returns, in a file that only the
// program can read, and make a Secret of it again with [NewSecret]. JSON of a result has
// "[REDACTED]" in its place, and reading that is [ErrRedacted].
//
// A signature that the API takes is an EIP-191 one of 65 bytes, as 0x and 130 hex digits,
// whose last byte, v, is 27 or 28.
//
// # Errors
//
// A call can fail in these ways. Each method's comment also lists the error codes that are
// known for it.
//
//   - [ValidationError], or [ConfigError] from functions that make a client: an argument
//     was rejected, nothing was sent;
//   - [NetworkError]: there was no usable response. It wraps the cause, such as
//     [context.DeadlineExceeded]. Unless nothing was sent, it is [ErrOutcomeUnknown];
//   - [APIError]: the response was not a success. Its Code is the API's own code (the
//     constants Code…), its RetryAfter how long the server asks to wait. [RedirectError],
//     [DeliveryNotReadyError], [ListError] and [SocketError] have more details; errors.As
//     finds the APIError in them.
//
// The other services have errors of their own: [MCRError], [RPCError] of the chain, and
// [PresenceRefusedError]. [MissingTokenError] is an enrollment without a token.
// [ControlFrameError] and [IoTGapError] concern one message: the loop may continue. What a
// caller's context ended is [context.Canceled] or [context.DeadlineExceeded], by itself or in
// one of these; what the caller canceled is never [ErrRetryable].
//
// Most programs check the class of an error, which also works for codes that this package
// does not know:
//
//	switch {
//	case errors.Is(err, sdk.ErrOutcomeUnknown): // find out whether it happened, unless the call is idempotent
//	case errors.Is(err, sdk.ErrRetryable): // try the same request later
//	case errors.Is(err, sdk.ErrAuth): // use another key or token
//	case errors.Is(err, sdk.ErrRejected): // do not retry the same request
//	}
//
// ENDPOINTS.md says of every call whether it is idempotent. Reads and heartbeats are; an
// enrollment, a new order or purchase, and a delivery are not: a second one exists next to the
// first.
//
// # Guarantees
//
//   - One call is one request: this package retries nothing, and follows no redirect.
//     (Exceptions: the queries of MCR and Chain, which change nothing, are retried after a
//     temporary error, and a walk over a list sends one request per page; their comments say
//     so.) The transport of net/http sends a plain GET again if a kept connection turns out
//     to be closed. Reads with side effects use a connection of their own, so that they reach
//     the server once.
//   - A response that holds a secret is the only one on its connection, so that no library
//     prints what follows it.
//   - Every call takes a context, and has a timeout of its own (30 s for GET, 60 s for all
//     other methods). Every body has a size limit (16 MiB, see [WithMaxBody]).
//   - A [Secret] is never printed, by any format or encoder, and neither are the details of
//     an error. No secret is ever part of a URL. [Middleware] sees no secrets.
//   - An unknown member, error code or (where the contract allows it) enum value is not an
//     error. A successful response that does not have the documented shape is an APIError
//     with the code INVALID_RESPONSE_SHAPE.
//   - Nothing else is sent: no telemetry. No client holds a private key: the caller signs,
//     and passes the signature.
//
// # Sources
//
// The comment of every method ends with its request and a section, such as "(contract
// §2.4)". The contract is the description of the API from which this package was written
// and against which it is tested, together with recordings of the Python SDK. The mcr
// contract and the presence contract describe the other services. ENDPOINTS.md lists every
// operation; FROM_PYTHON.md lists every name of the Python SDK and its Go equivalent.
//
// A method marked Experimental exists because its path is published. None of peaq's own
// SDKs makes the call, and the comment says what is not known about it.
package sdk
