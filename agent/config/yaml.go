package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Bounds on lists, far above any real gateway. Aliases make a short file long,
// so the file's size alone bounds nothing.
const (
	// MaxMachines is how many machines one configuration may have.
	MaxMachines  = 4096
	maxEndpoints = 64        // of one machine
	maxTotal     = 16 * 1024 // endpoints of all machines together
	maxItems     = 1024      // of a list of strings
)

// yamlReader walks one YAML document along the table of keys. It puts values,
// origins and problems into the loader, and continues after a problem.
type yamlReader struct {
	l    *loader
	file string // its path, for origins
	dir  string // where relative paths of the file start

	endpointCount int // of all machines so far
}

// read reads the text of the file.
func (y *yamlReader) read(text []byte) {
	if doc := y.parse(text); doc != nil {
		y.section(follow(doc), "", "", y.l.place(-1, -1))
	}
}

// parse returns the one document of a file, nil with a problem. A file without a key is
// one: it was meant to say something, and an editor or a full disk may have emptied it.
func (y *yamlReader) parse(text []byte) *yaml.Node {
	if len(bytes.TrimSpace(text)) == 0 {
		y.unreadable(0, "is empty; write the configuration, or remove the file to use the environment and the defaults")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	err := dec.Decode(&doc)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		y.syntax(text, err)
		return nil
	case err != nil || isNull(doc.Content[0]):
		y.unreadable(0, "has no keys, only comments; write the configuration, or remove the file to use the environment and the defaults")
		return nil
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case err == nil:
		y.l.faultAt(y.at(&second), "", "a second YAML document begins here; one file is one document, remove the --- line")
	case !errors.Is(err, io.EOF):
		y.syntax(text, err)
		return nil
	}
	if line, fault := cutOff(text); fault != "" {
		y.l.faultAt(origin{name: y.file, line: line}, "", fault)
	}
	return doc.Content[0]
}

// unreadable records a problem of the whole file, after which no rule is applied.
func (y *yamlReader) unreadable(line int, text string) {
	y.l.unread = true
	y.l.faultAt(origin{name: y.file, line: line}, "", text)
}

// syntax reports text that is not YAML; nothing after that place can be read.
func (y *yamlReader) syntax(text []byte, err error) {
	what, line := strings.TrimPrefix(err.Error(), "yaml: "), 0
	if rest, ok := strings.CutPrefix(what, "line "); ok {
		if number, after, ok := strings.Cut(rest, ": "); ok {
			line, _ = strconv.Atoi(number)
			what = after
		}
	}
	if n := breaksAt(text); n > 0 {
		line = n
	}
	if strings.Contains(what, "cannot start any token") {
		what += "; check for tabs used as indentation, and quote a value that begins with @ or `"
	}
	y.unreadable(line, "is not valid YAML: "+strings.ToValidUTF8(what, "?"))
}

// breaksAt is a line at which the text stops being YAML: the lines before it are
// YAML, with it they are not. The parser itself names the line where the broken
// block begins, which may be pages higher. It parses about ten times, so it
// leaves long files alone (0).
func breaksAt(text []byte) int {
	if len(text) > 64<<10 {
		return 0
	}
	ends := []int{0} // ends[n] is where line n ends
	for line := range bytes.Lines(text) {
		ends = append(ends, ends[len(ends)-1]+len(line))
	}
	good, broken := 0, len(ends)-1
	for broken-good > 1 {
		if middle := (good + broken) / 2; isYAML(text[:ends[middle]]) {
			good = middle
		} else {
			broken = middle
		}
	}
	return broken
}

func isYAML(text []byte) bool {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// cutOff recognizes a file that was cut off in the middle although what is left
// is YAML: its last line has no line break, or it is a key or a dash without a
// value. A closing bracket or quote shows that the last line is complete.
func cutOff(text []byte) (line int, fault string) {
	body := bytes.TrimRight(text, " \t\r\n")
	line = bytes.Count(body, []byte("\n")) + 1
	last := string(bytes.TrimSpace(body[bytes.LastIndexByte(body, '\n')+1:]))
	switch {
	case !strings.HasPrefix(last, "#") && (strings.HasSuffix(last, ":") || last == "-" || strings.HasSuffix(last, " -")):
		return line, "the file ends here, but this line has no value, so the file may have been cut off; complete the line or remove it"
	case bytes.HasSuffix(text, []byte("\n")) || bytes.HasSuffix(text, []byte("\r")):
		return 0, ""
	case last == "..." || strings.ContainsAny(last[len(last)-1:], `}]"'`):
		return 0, ""
	}
	return line, "the last line has no line break, so the file may have been cut off; check the end of the file and add a line break"
}

func (y *yamlReader) at(n *yaml.Node) origin {
	return origin{kind: "file", name: y.file, line: n.Line, column: n.Column}
}

// follow replaces an alias by the node it refers to.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// section reads a mapping. pattern is its path in the table, path the same with
// indexes.
func (y *yamlReader) section(n *yaml.Node, pattern, path string, at place) {
	if isNull(n) {
		return // a section whose keys are all commented out
	}
	if n.Kind != yaml.MappingNode {
		y.l.faultAt(y.at(n), path, "must hold keys below it, not "+describe(n))
		return
	}
	for _, e := range y.entries(n, path) {
		p, here := join(pattern, e.key), join(path, e.key)
		value := follow(e.node)
		r, isKey := y.l.table.byPath[p]
		switch {
		case isKey:
			y.l.origins[here] = y.at(value)
			y.value(r, value, here, at)
		case p+"[]" == machinesPath:
			y.l.origins[here] = y.at(e.name)
			y.machines(value)
		case p+"[]" == endpointsPath:
			y.l.origins[here] = y.at(e.name)
			y.endpoints(value, here, at)
		case slices.Contains(y.l.table.children(pattern), e.key):
			y.l.origins[here] = y.at(e.name)
			y.section(value, p, here, at)
		default:
			y.unknown(e, pattern, path)
		}
	}
}

// machines reads the list of machines.
func (y *yamlReader) machines(n *yaml.Node) {
	items, ok := y.list(n, "machines", MaxMachines)
	if !ok {
		return
	}
	y.l.addMachines(len(items))
	for i, item := range items {
		path := "machines[" + strconv.Itoa(i) + "]"
		y.l.origins[path] = y.at(item)
		y.section(item, machinesPath, path, y.l.place(i, -1))
	}
}

// endpoints reads the list of one machine's endpoints.
func (y *yamlReader) endpoints(n *yaml.Node, path string, at place) {
	items, ok := y.list(n, path, maxEndpoints-len(at.machine.Endpoints))
	if !ok {
		return
	}
	if y.endpointCount += len(items); y.endpointCount > maxTotal {
		y.l.fault("machines", fmt.Sprintf("have more than %d endpoints together", maxTotal))
		return
	}
	first := y.l.addEndpoints(at.index, len(items))
	for i, item := range items {
		here := path + "[" + strconv.Itoa(first+i) + "]"
		y.l.origins[here] = y.at(item)
		y.section(item, endpointsPath, here, y.l.place(at.index, first+i))
	}
}

// list gives the items of a sequence, aliases followed.
func (y *yamlReader) list(n *yaml.Node, path string, limit int) ([]*yaml.Node, bool) {
	switch {
	case isNull(n):
		return nil, false
	case n.Kind != yaml.SequenceNode:
		y.l.fault(path, "must be a list (lines that begin with -), not "+describe(n))
		return nil, false
	case len(n.Content) > limit:
		y.l.fault(path, fmt.Sprintf("holds more than %d entries", limit))
		return nil, false
	}
	items := make([]*yaml.Node, len(n.Content))
	for i, item := range n.Content {
		items[i] = follow(item)
	}
	return items, true
}

// entry is one key of a mapping with its value.
type entry struct {
	key        string
	name, node *yaml.Node
}

// entries lists a mapping's keys. Merged ones (<<) come last and only where the
// mapping does not have the key itself. A key given twice is a problem.
func (y *yamlReader) entries(n *yaml.Node, path string) []entry {
	var out []entry
	first := map[string]*yaml.Node{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		k := follow(name)
		switch {
		case k.Kind != yaml.ScalarNode:
			y.l.faultAt(y.at(name), path, "a key must be plain text")
		case k.ShortTag() == "!!merge":
			merges = append(merges, value)
		case first[k.Value] != nil:
			y.l.faultAt(y.at(name), join(path, safeKey(k.Value)), fmt.Sprintf("is given twice; the first is on line %d", first[k.Value].Line))
		default:
			first[k.Value] = name
			out = append(out, entry{k.Value, name, value})
		}
	}
	for _, m := range merges {
		out = y.merge(out, first, m, path, map[*yaml.Node]bool{n: true})
	}
	return out
}

// merge adds the keys that << refers to. Each source is used once, which also
// ends a mapping that merges itself and keeps sources that merge each other from
// multiplying.
func (y *yamlReader) merge(
	out []entry, have map[string]*yaml.Node, source *yaml.Node, path string, seen map[*yaml.Node]bool,
) []entry {
	n := follow(source)
	if seen[n] {
		return out
	}
	seen[n] = true
	var deeper []*yaml.Node
	switch n.Kind {
	case yaml.SequenceNode:
		deeper = n.Content
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, value := n.Content[i], n.Content[i+1]
			switch k := follow(name); {
			case k.ShortTag() == "!!merge":
				deeper = append(deeper, value)
			case k.Kind == yaml.ScalarNode && have[k.Value] == nil:
				have[k.Value] = name
				out = append(out, entry{k.Value, name, value})
			}
		}
	default:
		y.l.faultAt(y.at(source), path, "<< takes a mapping, or a list of them")
	}
	for _, d := range deeper {
		out = y.merge(out, have, d, path, seen)
	}
	return out
}

// unknown reports a key that is not in the table, with what was probably meant:
// a similar name in this section, the same name elsewhere, or the way a secret is
// given.
func (y *yamlReader) unknown(e entry, pattern, path string) {
	siblings, elsewhere := y.l.table.children(pattern), y.l.table.named(e.key)
	text := "unknown key"
	switch hint, similar := misplaced(e.key), nearest(e.key, siblings); {
	case hint != "":
		text += "; " + hint
	case similar != "":
		text += "; did you mean " + similar
	case len(elsewhere) > 0:
		text += "; did you mean " + alternatives(elsewhere)
	default:
		text += "; valid keys: " + strings.Join(siblings, ", ")
	}
	y.l.faultAt(y.at(e.name), join(path, safeKey(e.key)), text)
}

// misplaced is the advice for those who write a secret into the file.
func misplaced(key string) string {
	switch strings.ReplaceAll(strings.ToLower(key), "-", "_") {
	case "api_key", "apikey", "api_key_file":
		return "the API key does not belong in this file; use --api-key-file, or PEAQOS_API_KEY_FILE in the environment"
	case "auth_token", "authtoken":
		return "a secret does not belong in this file; put it into a file of its own and name that in auth_token_file"
	case "passphrase", "password":
		return "a secret does not belong in this file"
	case "controller_key", "private_key", "controller_key_file":
		return "the controller key does not belong in this file; use --controller-key-file"
	case "agent_token", "token", "provisioning_token":
		return "enroll obtains the agent token and stores it in the keystore, never here"
	}
	return ""
}

// value reads one key's value, in the type the field has.
func (y *yamlReader) value(r row, n *yaml.Node, path string, at place) {
	fault := ""
	switch t := r.at(at).(type) {
	case *[]string:
		fault = textList(n, t)
	case *map[string]string:
		fault = y.textMap(n, path, t)
	default:
		var text string
		text, fault = scalar(n, r.Type)
		if n.ShortTag() == "!!bool" && slices.Contains(r.Values, strings.ToLower(n.Value)) {
			text, fault = strings.ToLower(n.Value), "" // bind_host: true is one of several words, not a boolean
		}
		if fault == "" {
			fault = r.parse(text, y.dir, t)
		}
	}
	if fault != "" {
		y.l.fault(path, fault)
	}
}

// scalar takes a YAML scalar of the wanted type. YAML guesses types, so that a
// name written 007 would arrive as 7: such a guess is refused, not corrected.
func scalar(n *yaml.Node, want string) (text, fault string) {
	if n.Kind != yaml.ScalarNode {
		return "", "must be " + article(want) + ", not " + describe(n)
	}
	tag := n.ShortTag()
	switch {
	case tag == "!!null":
		return "", `has no value; write one, "" for an empty string, or remove the key`
	case want == "boolean" && tag == "!!bool":
		return strings.ToLower(n.Value), ""
	case want == "boolean":
		return "", "must be true or false, without quotes, not " + quoteBrief(n.Value)
	case want == "duration" && (tag == "!!str" || tag == "!!int" || tag == "!!float"):
		return n.Value, ""
	case tag == "!!str":
		return n.Value, ""
	}
	return "", "must be " + article(want) + ", but YAML reads it as " + describe(n) + "; put it in quotes"
}

func article(kind string) string {
	if kind == "boolean" {
		return "true or false"
	}
	return "a " + kind
}

// describe names the kind of a node without repeating its value.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!bool":
			return "true or false"
		case "!!int", "!!float":
			return "a number"
		case "!!timestamp":
			return "a date"
		case "!!null":
			return "nothing"
		}
	}
	return "a single value"
}

func textList(n *yaml.Node, t *[]string) (fault string) {
	switch {
	case isNull(n):
		return ""
	case n.Kind != yaml.SequenceNode:
		return "must be a list such as [a, b], not " + describe(n)
	case len(n.Content) > maxItems:
		return fmt.Sprintf("holds more than %d items", maxItems)
	}
	var list []string
	for i, item := range n.Content {
		v := follow(item)
		if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!str" {
			return fmt.Sprintf("item %d must be a string; put it in quotes", i+1)
		}
		list = append(list, v.Value)
	}
	if fault := listFault(list); fault != "" {
		return fault
	}
	*t = list
	return ""
}

func (y *yamlReader) textMap(n *yaml.Node, path string, t *map[string]string) (fault string) {
	switch {
	case isNull(n):
		return ""
	case n.Kind != yaml.MappingNode:
		return "must be pairs of strings such as {floor: \"2\"}, not " + describe(n)
	}
	m := map[string]string{}
	for _, e := range y.entries(n, path) {
		v := follow(e.node)
		if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!str" {
			return "the value of " + safeKey(e.key) + " must be a string; put it in quotes"
		}
		m[e.key] = v.Value
	}
	if fault := mapFault(m); fault != "" {
		return fault
	}
	if len(m) > 0 {
		*t = m
	}
	return ""
}
