// Package measure is what the turns of the comparison have in common: a process
// that makes calls, and says at its end how many, how long they took, how much CPU
// they used and how much memory the process had at its peak.
//
// A turn is one process. It gets a [Turn] as its only argument, in JSON, and
// writes a [Result], in JSON, to its output.
package measure
