// Command bench compares the Go SDK, the real Python SDK and a floor: what
// net/http and encoding/json cost when one writes the same calls by hand and
// checks nothing. All three talk to the same server on this machine, one after the
// other in one run, so that what disturbs one disturbs all.
//
//	make bench
//
// prints a table in Markdown: heartbeats per second and CPU per heartbeat, time
// and peak memory of listing 10,000 machines, how many pages had been requested
// when the first machine was returned, and the time of an EIP-191 signature.
//
// How it measures:
//
//   - Server and clients are processes of their own. The server responds with bytes
//     that were made in advance.
//   - Every job is a new process. A client reports its own CPU (user and system,
//     getrusage) between the first and the last measured call, and its own peak
//     memory (VmHWM), interpreter and runtime included.
//   - Each round runs every job once, and the table shows medians.
//
// Start-up is not included in the times: importing the Python SDK alone takes longer than
// the whole Go run.
package main
