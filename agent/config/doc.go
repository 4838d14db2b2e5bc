// Package config loads, checks and documents the agent's configuration.
//
// [Load] is the entry point. It reads flags, environment, file and defaults, in
// this order of precedence, and returns either a [Config] or an [*Error] with
// every problem it found, each with its file, line, column and key. A Config is
// never changed afterwards: a reload loads a new one, and [Diff] names the keys
// that differ and those of them that need a restart.
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
//   - load.go: [Load], the order of the sources, defaults, and where each value came from
//   - yaml.go: the walk over the YAML file: sections, values, unknown and duplicate keys, syntax errors
//   - dropins.go: the files in conf.d, which add endpoints
//   - edit.go: YAML for a person or a file: new files, added endpoints
//   - env.go: PEAQOS_AGENT_… variables and command-line values
//   - parse.go: text to values of the field's type, and back
//   - check.go, check_endpoint.go: the rules, pure functions of a finished Config
//   - address.go: what a URL may look like, and which addresses an endpoint or a probe may have
//   - identity.go: the forms of an identity reference
//   - schema.go, keys.go, jsonschema.go: the table of keys; docs.go is generated from the comments in config.go
//   - problem.go: [Error] and [Problem], and the search for the name that was meant
//
// # Guarantees
//
// A problem never repeats a value that could be a secret. Secret files named in
// the configuration are not opened here, so that checking needs no privileges.
// The package imports nothing else of this module.
package config
