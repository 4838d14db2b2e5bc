// Package sdk is the peaqOS orchestration (Machine Markets) API in Go.
//
// # Where to start
//
// Make a [Client] with [New]; its fields are the API's resources. [Client.Machines]
// registers machines, [Client.MachineAgents] enrolls the process that speaks for
// one and beats for it, [Client.RuntimeEndpoints] shows where it can be reached.
//
//	c, err := sdk.New("https://orchestration.peaq.xyz", sdk.WithAPIKey(sdk.NewSecret(key)))
//	if err != nil {
//		return err
//	}
//	for machine, err := range c.Machines.All(ctx, sdk.ListOptions{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(machine.ID, machine.Status)
//	}
//
// # Ideas
//
// Names are the API's own: machineId on the wire is MachineID here. Times stay the
// strings that the server sent. A member that may be left out of a request is an
// [Optional]: unset is not sent, Some("") is sent as "". In answers an absent
// string is "", an absent list is empty, and [Optional] stands only where a zero
// would say something else.
//
// List gives one [Page], All a sequence of item and error over all pages, which
// asks for a page when its first item is wanted.
//
// Every single result and every page embeds [Meta]: the HTTP status and the
// server's clock.
//
// # Errors
//
// [ValidationError] and [ConfigError] come before anything is sent, [NetworkError]
// when no usable answer came, [APIError] when one did. errors.Is tells an APIError
// by meaning ([ErrNotFound], [ErrAuth], [ErrRetryable], …), its Code by the API's
// own word. [RedirectError] is an APIError that says where the answer pointed.
//
// # Promises
//
//   - Nothing is retried and no redirect is followed; one call is one request.
//   - Every call takes a context, and has a limit of its own (30 s for GET, 60 s for
//     the rest); every body is bounded.
//   - A [Secret] is never printed, by any verb or encoder, and neither are the
//     details of an error. No secret is ever part of a URL.
//   - A member, an error code or (where the contract is lax) an enum value that this
//     package does not know breaks nothing. A success of another shape than the
//     contract's is an APIError with the code INVALID_RESPONSE_SHAPE.
package sdk
