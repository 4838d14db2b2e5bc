package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

const (
	envConfig = "PEAQOS_AGENT_CONFIG"
	// envSharedURL is the name that peaq's own tools use for the orchestrator.
	envSharedURL = "PEAQOS_ORCHESTRATION_URL"
)

// environment indexes os.Environ's form, values trimmed; if a name occurs twice
// the last one is used. Empty values stay distinct from absent ones.
func environment(env []string) map[string]string {
	m := map[string]string{}
	for _, kv := range env {
		if name, value, ok := strings.Cut(kv, "="); ok {
			m[name] = strings.Trim(value, " \t\r\n")
		}
	}
	return m
}

// readEnv takes the environment's values. The keys of a machine are for one that
// no file describes: the sidecar.
func (l *loader) readEnv(env map[string]string) {
	fileMachines := len(l.config.Machines) > 0
	for _, r := range l.table.rows {
		text := env[r.Env]
		if text == "" {
			continue
		}
		from := origin{kind: "environment", name: r.Env}
		if fileMachines && isMachineKey(r.Path) {
			l.faultAt(from, r.Path, fmt.Sprintf(
				"%s describes machines already; describe them there or in the environment, not in both", l.originOf("machines")))
			continue
		}
		at, path, _ := l.onlyPlace(r) // without machines in the file there is one place
		l.set(r, path, text, workingDir(), at, from)
	}
	l.readSharedURL(env)
	l.warnUnknown(env)
}

// readSharedURL takes the orchestrator's address from the variable of peaq's
// other tools, unless one of the agent's own settings gives it: a variable
// exported for them must not move an agent away from its own file.
func (l *loader) readSharedURL(env map[string]string) {
	const path = "orchestrator.url"
	text := env[envSharedURL]
	if text == "" {
		return
	}
	if o, own := l.origins[path]; own {
		if text != l.config.Orchestrator.URL {
			l.warn("%s differs from %s, which takes precedence; remove one of them", envSharedURL, o)
		}
		return
	}
	l.set(l.table.byPath[path], path, text, "", l.place(-1, -1), origin{kind: "environment", name: envSharedURL})
}

// warnUnknown warns of variables that look like settings of the agent and are
// not. They are not errors, because other programs also write the environment.
func (l *loader) warnUnknown(env map[string]string) {
	known := []string{envConfig}
	for _, r := range l.table.rows {
		known = append(known, r.Env)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) || isServiceVariable(name) {
			continue
		}
		hint := "run peaqos-agent config schema for all of them"
		if n := nearest(strings.TrimPrefix(name, envPrefix), trimAll(known, envPrefix)); n != "" {
			hint = "did you mean " + envPrefix + n
		}
		if strings.HasSuffix(name, "API_KEY") || strings.HasSuffix(name, "API_KEY_FILE") {
			hint = "enroll reads the API key from PEAQOS_API_KEY_FILE"
		}
		l.warn("%s is not a setting of this agent and is ignored; %s", safeKey(name), hint)
	}
	if text, set := env[envName("telemetry.listen")]; set && text == "" {
		l.warn("%s is empty, which is treated as unset; use off to disable the listener", envName("telemetry.listen"))
	}
}

// isServiceVariable reports whether a name looks like those that Kubernetes and
// Docker links put into the environment of every container, for a service named
// peaqos-agent or peaqos-agent-something: …_SERVICE_HOST, …_SERVICE_PORT_HTTP,
// …_PORT, …_PORT_9757_TCP, …_PORT_9757_TCP_ADDR. No key's name ends like that.
func isServiceVariable(name string) bool {
	if strings.HasSuffix(name, "_SERVICE_HOST") || strings.HasSuffix(name, "_PORT") {
		return true
	}
	if _, port, ok := strings.Cut(name, "_SERVICE_PORT_"); ok {
		return madeOf(port, len(port), upper+digits+"_")
	}
	for _, detail := range []string{"_PROTO", "_ADDR"} {
		if short, ok := strings.CutSuffix(name, detail); ok {
			name = short
			break
		}
	}
	for _, protocol := range []string{"_TCP", "_UDP", "_SCTP"} {
		if short, ok := strings.CutSuffix(name, protocol); ok {
			number := short[strings.LastIndexByte(short, '_')+1:]
			return madeOf(number, len(number), digits) && strings.HasSuffix(short, "_PORT_"+number)
		}
	}
	return false
}

func trimAll(names []string, prefix string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.TrimPrefix(n, prefix)
	}
	return out
}

// readFlags takes the command line's values.
func (l *loader) readFlags(flags map[string]string) {
	for _, path := range slices.Sorted(maps.Keys(flags)) {
		from := origin{kind: "flag", name: flagName(path)}
		r, ok := l.table.byPath[path]
		if !ok {
			l.faultAt(from, path, "there is no such key")
			continue
		}
		at, concretePath, fault := l.onlyPlace(r)
		if fault != "" {
			l.faultAt(from, path, fault)
			continue
		}
		l.set(r, concretePath, flags[path], workingDir(), at, from)
	}
}

// onlyPlace is the place of a key that is not given in the file. For a key of
// machines[] that is the only machine and its only endpoint, created if there is
// none yet.
func (l *loader) onlyPlace(r row) (at place, path, fault string) {
	if !isMachineKey(r.Path) {
		return l.place(-1, -1), r.Path, ""
	}
	switch len(l.config.Machines) {
	case 0:
		l.addMachines(1)
	case 1:
	default:
		return place{}, "", "there are several machines; give it in the file"
	}
	if !isEndpointKey(r.Path) {
		return l.place(0, -1), concrete(r.Path, "0", ""), ""
	}
	switch len(l.config.Machines[0].Endpoints) {
	case 0:
		l.addEndpoints(0, 1)
	case 1:
	default:
		return place{}, "", "there are several endpoints; give it in the file"
	}
	return l.place(0, 0), concrete(r.Path, "0", "0"), ""
}

func workingDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return "/"
	}
	return dir
}

// APIKeyFromEnv looks for the platform API key under the names that peaq's tools
// use: PEAQOS_API_KEY, PEAQOS_ORCH_API_KEY, and both with _FILE. The key is for
// enrollment only and never part of a [Config]. A file takes precedence over a raw
// key. The result is the variable's name and either a path or the key itself; all
// are empty when nothing is set. Two names with different values are an error, and
// so is a raw key that is not one word of printable ASCII; neither repeats a value.
func APIKeyFromEnv(env []string) (name, path, raw string, err error) {
	m := environment(env)
	pick := func(a, b string) (string, string, error) {
		switch {
		case m[a] != "" && m[b] != "" && m[a] != m[b]:
			return "", "", fmt.Errorf("%s and %s are both set and differ; unset one of them", a, b)
		case m[a] != "":
			return a, m[a], nil
		case m[b] != "":
			return b, m[b], nil
		}
		return "", "", nil
	}
	fileName, path, fileErr := pick("PEAQOS_API_KEY_FILE", "PEAQOS_ORCH_API_KEY_FILE")
	if fileName != "" || fileErr != nil {
		return fileName, path, "", fileErr
	}
	name, raw, err = pick("PEAQOS_API_KEY", "PEAQOS_ORCH_API_KEY")
	if err == nil && strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", "", "", errors.New(name + " is not one word of printable ASCII; put the key into a file and name it in PEAQOS_API_KEY_FILE")
	}
	return name, "", raw, err
}
