// Command peaqos-agent enrolls this machine with a peaqOS orchestrator and keeps it
// online.
//
//	peaqos-agent demo                 offline demonstration, installs nothing
//	peaqos-agent enroll …             once: register the machine and store its token
//	peaqos-agent run                  the daemon: probe, send heartbeats, serve telemetry
//	peaqos-agent status               the agent's state, its cause and the next command
//
// The result of a command goes to standard output, everything else to standard
// error. With --json both are JSON, and an error is one object:
//
//	{"error": {"code", "message", "detail", "next", "exit"}}
//
// An error of the configuration also lists its "problems", each with "file", "line",
// "column", "key" and "text". Every "code" is explained in docs/codes.md. Secrets
// are read from files or standard input, never from flag values.
//
// Exit codes:
//
//	  0  done
//	  1  the command line or an input is not valid
//	  2  network or orchestrator error, or a check says no
//	  3  the configuration is not valid
//	  4  the orchestrator rejected the API key or the agent, or revoked it
//	  5  the store cannot be used, or does not hold what is needed
//	  6  another process is using the store
//	  7  this user may not do this
//	  8  no agent is running
//	  9  not finished: run the command again later
//	 10  the store, grant or agent belongs to another machine or orchestrator
//	 11  a required secret is missing, or its file cannot be used
//	 12  the command failed for another reason
//	130  interrupted
//
// Environment:
//
//	PEAQOS_AGENT_CONFIG       path of the configuration file, like --config
//	PEAQOS_AGENT_…            any configuration key, over the file: see config schema
//	PEAQOS_ORCHESTRATION_URL  orchestrator.url, if nothing else sets it
//	PEAQOS_API_KEY_FILE       file with the platform API key (also PEAQOS_ORCH_API_KEY_FILE)
//	PEAQOS_API_KEY            the key itself; other processes of this user can read it
//	HTTPS_PROXY, HTTP_PROXY   proxy for requests to the orchestrator
//	NO_PROXY                  hosts to reach without the proxy
//
// The root command's --help prints the same two lists.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// version is the version of this program. A release build sets it with
// -ldflags "-X main.version=…".
var version = sdk.Version

func main() {
	// Libraries print bytes from the wire here: net/http, for one, whatever follows a response.
	// Nothing of ours does. The daemon logs an event instead.
	log.SetOutput(io.Discard)
	if os.Getenv("GOMAXPROCS") == "" {
		// The daemon and the commands do one small thing at a time. With a second
		// processor the runtime wakes another thread for each, and keeps memory per
		// processor. The sandbox, which serves many agents, uses all of them.
		runtime.GOMAXPROCS(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	a := &app{streams: streams{os.Stdin, os.Stdout, os.Stderr}, env: os.Environ(), program: programName(os.Args[0])}
	os.Exit(a.execute(ctx, os.Args[1:]))
}
