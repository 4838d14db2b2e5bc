// Package status holds what the daemon knows about itself, and turns it into the
// sentences and numbers that people and programs read.
//
// A [Tracker] is the one place where facts are kept. Each task of the daemon
// writes its own part through [Tracker.Update] and [Tracker.UpdateProcess];
// everything else reads a [Snapshot], which is a copy. Nothing is counted
// anywhere else, so the metrics, /readyz, the status command and the page can
// never disagree.
//
// A machine is in exactly one [State]. The [Cause] says why, with a stable code
// for programs and a sentence for people. From a snapshot, pure functions derive
//
//   - [Ready]: whether the machine can be used through the orchestrator right
//     now, with every reason against it;
//   - [Effect] and [NextCommand]: what the state means for the machine and what
//     to do about it;
//   - [NewView]: the document behind /status, the page and the status command,
//     chosen field by field so that nothing private can slip in;
//   - [View.Text]: the same for a terminal.
//
// [Sanitize] is the only way for text from another machine to get into any of
// these: it bounds and escapes it.
//
// The package has no clock, disk, network or logger. Callers pass the time in.
// Package statustest has an example of every state for tests.
package status
