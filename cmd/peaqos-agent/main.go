// Command peaqos-agent turns this machine into a live peaqOS machine and keeps
// it one.
//
//	peaqos-agent demo                 see it work, nothing to install
//	peaqos-agent enroll …             once: register, get the token, keep it
//	peaqos-agent run                  the daemon: beat, publish, be scraped
//	peaqos-agent status               how it is, in one sentence
//
// The result of a verb goes to standard output, everything else to standard
// error. Exit codes: 0 done, 1 usage, 2 network or API, 3 configuration, 4 the
// agent is rejected or revoked, 5 keystore, 6 another process holds the store.
// Secrets are read from files or standard input, never from flag values.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(execute(ctx, streams{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:], os.Environ()))
}
