// Package measure is what the programs of the comparison share: each makes calls,
// and reports at its end how many, how long they took, how much CPU they used and
// how much memory the process had at its peak.
//
// A job is one process. It gets a [Job] as its only argument, in JSON, and writes
// a [Result], in JSON, to its output.
package measure
