package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const (
	envConfig = "PEAQOS_AGENT_CONFIG"
	// envSharedURL is the name that peaq's own tools use for the orchestrator.
	envSharedURL = "PEAQOS_ORCHESTRATION_URL"
)

// environment indexes os.Environ's form, trimmed; of a name given twice the last
// counts. Empty values are kept apart from absent ones.
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
	for _, r := range l.rows {
		text := env[r.Env]
		if text == "" {
			continue
		}
		from := Origin{Kind: "environment", Name: r.Env}
		if fileMachines && isMachineKey(r.Path) {
			l.faultAt(from, r.Path, fmt.Sprintf("%s describes machines already; describe them there or in the environment, not in both", l.originOf("machines")))
			continue
		}
		at, path, _ := l.onlyPlace(r) // without machines in the file there is one place
		l.set(r, path, text, l.workingDir(), at, from)
	}
	l.readSharedURL(env)
	l.warnUnknown(env)
}

// readSharedURL takes the orchestrator's address from the name that peaq's other
// tools use, unless ours gives one: a variable exported for them must not move an
// agent away from its own file.
func (l *loader) readSharedURL(env map[string]string) {
	const path = "orchestrator.url"
	text := env[envSharedURL]
	if text == "" {
		return
	}
	if o, ours := l.origins[path]; ours {
		if text != l.config.Orchestrator.URL {
			l.warn("%s names another orchestrator than %s, which counts; remove one of them", envSharedURL, o)
		}
		return
	}
	r := l.byPath[path]
	l.set(r, path, text, "", l.place(-1, -1), Origin{Kind: "environment", Name: envSharedURL})
}

// serviceVariable matches what Kubernetes and Docker links put into the
// environment of every container for a service named peaqos-agent or
// peaqos-agent-something. No key of ours ends like that.
var serviceVariable = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// warnUnknown names variables that look like ours and are not: a warning only,
// because the environment is not ours alone.
func (l *loader) warnUnknown(env map[string]string) {
	known := []string{envConfig}
	for _, r := range l.rows {
		known = append(known, r.Env)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) || serviceVariable.MatchString(name) {
			continue
		}
		hint := "run peaqos-agent config schema for all of them"
		if n := nearest(strings.TrimPrefix(name, envPrefix), trimAll(known, envPrefix)); n != "" {
			hint = "did you mean " + envPrefix + n
		}
		if strings.HasSuffix(name, "API_KEY") || strings.HasSuffix(name, "API_KEY_FILE") {
			hint = "the API key is read by enroll from PEAQOS_API_KEY_FILE"
		}
		l.warn("%s is not a setting of this agent and is ignored; %s", safeKey(name), hint)
	}
	if text, set := env[envName("telemetry.listen")]; set && text == "" {
		l.warn("%s is empty, which counts as not set; the word off switches the listener off", envName("telemetry.listen"))
	}
}

func trimAll(words []string, prefix string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.TrimPrefix(w, prefix)
	}
	return out
}

// APIKeyFromEnv looks for the platform API key under the names that peaq's tools
// use: PEAQOS_API_KEY, PEAQOS_ORCH_API_KEY, and both with _FILE. It is for
// enrollment only and no part of a [Config]. A file wins over a raw key. It
// returns the variable's name and either a path or the key itself; all are empty
// when nothing is set. Two names that disagree are an error, which repeats
// neither value.
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
		return "", "", "", errors.New(name + " holds something else than one word of printable ASCII; give the key in a file with PEAQOS_API_KEY_FILE")
	}
	return name, "", raw, err
}
