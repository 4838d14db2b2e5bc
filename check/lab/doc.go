// Package lab is what the process tests share: it builds the agent as it is
// released, and makes what an agent needs around it. The testscripts of
// cmd/peaqos-agent, the tests against the real Python SDK (check/realclient) and
// the fault table (check/faults) all use it, so that they test the same binary
// with the same configuration.
//
//   - [Build] builds the agent with the flags of the Makefile (build.go).
//   - [New] makes a directory with throw-away keys and a runtime endpoint that
//     responds; [Config] is the agent's configuration (lab.go).
//   - [Lab.Command] prepares a command of the agent, [Run] runs it to its end and
//     [Start] runs it in the background (process.go).
//   - [Until] waits for a condition (wait.go).
//
// config.yaml is the one text of the configuration. The shell checks
// (check/steps.sh) fill in the same file.
package lab
