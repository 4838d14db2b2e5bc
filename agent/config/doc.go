// Package config loads, checks and documents the agent's configuration.
//
// [Load] is the way in. It reads flags, environment, file and defaults, in this
// order of precedence, and returns either a frozen [Config] or an [*Error] with
// every problem it found, each with its file, line, column and key. Nothing
// changes a Config afterwards; a reload makes a new one, and [Diff] says which
// keys differ and which of those need a restart.
//
// # One table of keys
//
// The struct in config.go has one documented field per key. The table in keys.go
// has one row per field: path, default, accepted values, and whether a running
// agent can change it. The YAML reader, the environment, the flags, [Schema],
// [Config.Show], [Diff] and configs/agent.yaml are all driven by that table, so a
// new key is one field, one row and, where needed, one rule.
//
// # Where to look
//
//   - load.go: the order in which the sources are read, and where a value came from
//   - yaml.go: the walk over the YAML file, unknown and duplicate keys
//   - env.go, flags.go: PEAQOS_AGENT_… variables and command-line values
//   - parse.go: text to values of the field's type
//   - check.go, check_endpoint.go, check_url.go: rules about values and combinations
//   - address.go: which network addresses an endpoint or a probe may have
//   - docs.go: generated from the comments in config.go
//
// # Promises
//
// A problem never repeats a value that could be a secret. Secret files named in
// the configuration are not opened here, so that checking needs no privileges.
// The package imports nothing else of this module.
package config
