// Package connect is how the agent connects to the orchestrator: names, addresses, the
// proxy, TLS, the files of trust, and which connections are used again. It knows
// nothing about heartbeats.
//
// A [Transport] is an [http.RoundTripper]. Its errors are:
//
//   - *[Error], a connection that failed: the stage, the host, the address, the proxy;
//   - *[FileError], a file that the configuration names and that cannot be used yet;
//   - *[ProxyError], a proxy variable of the environment that cannot be used.
//
// Each stage has a budget of its own. Resolving a name and connecting may take longer
// than the request that started them: what they find late serves the next request.
package connect
