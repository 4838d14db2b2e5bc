// Command bench compares the Go SDK, the real Python SDK and a floor: what
// net/http and encoding/json cost when one writes the same calls by hand and
// checks nothing. All three talk to the same server on this machine, in turns, in
// one run, so that what disturbs one disturbs all.
//
//	make bench
//
// prints a table in Markdown: heartbeats per second and CPU per heartbeat, time
// and peak memory of walking over 10,000 machines, how many pages were asked for
// when the first machine was handed over, and the time of an EIP-191 signature.
//
// How it measures:
//
//   - Server and clients are processes of their own. The server answers with bytes
//     that were made beforehand.
//   - Every turn is a new process. A client reports its own CPU (user and system,
//     getrusage) between the first and the last call that count, and its own peak
//     (VmHWM), interpreter and runtime included.
//   - Rounds go over all clients, and the table shows medians.
//
// Start-up is not in the times: importing the Python SDK alone takes longer than
// the whole Go run.
package main
