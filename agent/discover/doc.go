// Package discover finds the runtimes on this machine, and tells which they are by
// their own responses.
//
// [Identify] is the decision: a pure function from recorded responses to a [Runtime].
// [Mismatch] compares a runtime with the provider key under which it is configured.
// [Look] asks one address, with a few GET requests that carry no credentials, follow no
// redirect and have a bound on time and size. [Candidates] lists the addresses that are
// worth asking; [Find] asks them all.
//
// A port proves nothing here: QVAC and Ollama have the same default port, and so have
// llama.cpp, LocalAI and many web servers. Ports only say where to look. What a runtime
// sends is foreign text: it is compared, and only names and versions of a plain form are
// kept.
package discover
