package config

import (
	"slices"
	"strings"
)

// unknown reports a key that is not in the table, with what was probably meant:
// a neighbour spelt alike, the same name elsewhere, or the way a secret is given.
func (l *loader) unknown(e entry, pattern, path string) {
	text := "unknown key"
	switch hint := misplaced(e.key); {
	case hint != "":
		text += "; " + hint
	case nearest(e.key, l.childrenOf(pattern)) != "":
		text += "; did you mean " + nearest(e.key, l.childrenOf(pattern))
	case len(l.elsewhere(e.key)) > 0:
		text += "; did you mean " + alternativesOrOne(l.elsewhere(e.key))
	default:
		text += "; known here: " + strings.Join(l.childrenOf(pattern), ", ")
	}
	l.faultAt(l.at(e.name), join(path, safeKey(e.key)), text)
}

// misplaced answers the usual wish to write a secret into the file.
func misplaced(key string) string {
	switch strings.ReplaceAll(strings.ToLower(key), "-", "_") {
	case "api_key", "apikey", "api_key_file":
		return "the API key is for enroll alone: --api-key-file, or PEAQOS_API_KEY_FILE in the environment"
	case "auth_token", "authtoken":
		return "a secret does not belong in this file; put it into one of its own and name that in auth_token_file"
	case "passphrase", "password":
		return "a secret does not belong in this file"
	case "controller_key", "private_key", "controller_key_file":
		return "the controller's key is for enroll alone: --controller-key-file"
	case "agent_token", "token", "provisioning_token":
		return "the agent token is obtained by enroll and kept in the keystore, never here"
	}
	return ""
}

// childrenOf lists the keys of a section in the table's order.
func (l *loader) childrenOf(pattern string) []string {
	var names []string
	for _, r := range l.rows {
		rest, ok := strings.CutPrefix(r.Path, pattern)
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(rest, "."), ".")
		name = strings.TrimSuffix(name, "[]")
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// elsewhere lists the table's keys with this very name in other sections.
func (l *loader) elsewhere(name string) []string {
	var paths []string
	for _, r := range l.rows {
		if lastName(r.Path) == name {
			paths = append(paths, r.Path)
		}
	}
	return paths
}

func alternativesOrOne(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return alternatives(words)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// safeKey shows a key of the file: as it is when it is an ordinary word.
func safeKey(key string) string {
	if len(key) > 40 || TextFault(key) != "" || key == "" {
		return quoteBrief(key)
	}
	return key
}
