package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// EndpointText writes endpoints as the items of machines[].endpoints, without the keys
// that have their default.
func EndpointText(endpoints []Endpoint) string {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, e := range endpoints {
		list.Content = append(list.Content, endpointNode(e))
	}
	text, err := encode(list)
	if err != nil {
		return "# the endpoints cannot be written: " + err.Error() + "\n"
	}
	return text
}

// FileText writes the file of a new configuration: the given keys of the orchestrator,
// the keystore and one machine with its endpoints.
func FileText(c *Config) string {
	root := &yaml.Node{Kind: yaml.MappingNode}
	section := func(name string, pairs ...string) {
		if m := textMapNode(pairs); len(m.Content) > 0 {
			root.Content = append(root.Content, textNode(name), m)
		}
	}
	section("orchestrator", "url", c.Orchestrator.URL, "ca_file", c.Orchestrator.CAFile)
	m := textMapNode([]string{"id", c.Machines[0].ID, "identity_ref", c.Machines[0].IdentityRef})
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, e := range c.Machines[0].Endpoints {
		list.Content = append(list.Content, endpointNode(e))
	}
	if len(list.Content) > 0 {
		m.Content = append(m.Content, textNode("endpoints"), list)
	}
	if len(m.Content) > 0 {
		root.Content = append(root.Content, textNode("machines"), &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{m}})
	}
	section("keystore", "dir", c.Keystore.Dir)
	if c.Keystore.Volatile {
		if valueOf(root, "keystore") == nil {
			root.Content = append(root.Content, textNode("keystore"), &yaml.Node{Kind: yaml.MappingNode})
		}
		store := valueOf(root, "keystore")
		store.Content = append(store.Content, textNode("volatile"), &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"})
	}
	text, err := encode(root)
	if err != nil {
		return "# the configuration cannot be written: " + err.Error() + "\n"
	}
	return "# All keys: peaqos-agent config schema\n" + text
}

// EndpointsFault returns the first reason why these endpoints cannot be configured
// together, as a sentence that begins with the key; "" if they can.
func EndpointsFault(endpoints []Endpoint) string {
	m := Machine{Endpoints: slices.Clone(endpoints)}
	for i := range m.Endpoints {
		e := &m.Endpoints[i]
		e.AuthType, e.ProbeTimeout = "none", DefaultProbeTimeout
		if e.ProbePath == "" {
			e.ProbePath = "/health"
		}
	}
	for _, f := range checkEndpoints(&m, "", Heartbeat{LeaseTTL: time.Minute}) {
		return lastName(f.key) + " " + f.text
	}
	return ""
}

func endpointNode(e Endpoint) *yaml.Node {
	if e.ProviderKey == "qvac" && e.ProbePath == "/v1/models" {
		e.ProbePath = ""
	}
	if e.NetworkScope == "loopback" {
		e.NetworkScope = ""
	}
	return textMapNode([]string{
		"provider_key", e.ProviderKey, "base_url", e.BaseURL, "probe_path", e.ProbePath, "model_alias", e.ModelAlias, "network_scope", e.NetworkScope,
	})
}

// textMapNode is a mapping of names and texts that follow each other; empty texts are
// left out.
func textMapNode(pairs []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for p := range slices.Chunk(pairs, 2) {
		if p[1] != "" {
			n.Content = append(n.Content, textNode(p[0]), textNode(p[1]))
		}
	}
	return n
}

func textNode(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

func encode(n *yaml.Node) (string, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	err := enc.Encode(n)
	return out.String(), errors.Join(err, enc.Close())
}

// AddEndpoints returns the text of a configuration file with these endpoints added to a
// machine; name may be empty if there is only one. Comments are kept, and if possible
// every other character. The error is a sentence: there is no such machine, or it has
// an endpoint with the same provider key.
func AddEndpoints(text []byte, name string, endpoints []Endpoint) ([]byte, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte("{}\n")
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil, errors.New("it has no keys, only comments")
	}
	list, err := endpointList(doc.Content[0], name)
	if err != nil {
		return nil, err
	}
	for _, e := range endpoints {
		if hasEndpoint(list, e.ProviderKey) {
			return nil, fmt.Errorf("it has an endpoint with provider_key %s, and the orchestrator keeps one for each", e.ProviderKey)
		}
	}
	inserted := insertText(text, list, endpoints)
	for _, e := range endpoints {
		list.Content = append(list.Content, endpointNode(e))
	}
	list.Style &^= yaml.FlowStyle
	out, err := encode(&doc)
	if err != nil {
		return nil, err
	}
	if inserted != nil && sameValues(inserted, []byte(out)) {
		return inserted, nil
	}
	return []byte(out), nil
}

// endpointList returns the list of a machine's endpoints, which is created if there is
// none.
func endpointList(root *yaml.Node, name string) (*yaml.Node, error) {
	machines, err := listIn(root, "machines")
	if err != nil {
		return nil, err
	}
	if len(machines.Content) == 0 {
		machines.Content = append(machines.Content, &yaml.Node{Kind: yaml.MappingNode})
		machines.Style &^= yaml.FlowStyle
	}
	var chosen *yaml.Node
	for _, m := range machines.Content {
		if m.Kind != yaml.MappingNode {
			return nil, errByHand
		}
		if n := valueOf(m, "name"); name == "" || n != nil && n.Value == name || n == nil && name == "main" {
			if chosen != nil {
				return nil, errors.New("it has several machines: name one of them with --machine")
			}
			chosen = m
		}
	}
	if chosen == nil {
		return nil, fmt.Errorf("it has no machine %q", name)
	}
	return listIn(chosen, "endpoints")
}

var errByHand = errors.New("its machines are not written out (anchors, or another form): add the endpoint by hand")

// listIn returns the list under a key of a mapping, which is created if there is none.
func listIn(n *yaml.Node, key string) (*yaml.Node, error) {
	if n.Kind != yaml.MappingNode || valueOf(n, "<<") != nil {
		return nil, errByHand
	}
	v := valueOf(n, key)
	switch {
	case v == nil:
		v = &yaml.Node{Kind: yaml.SequenceNode}
		n.Content = append(n.Content, textNode(key), v)
		n.Style &^= yaml.FlowStyle
	case isNull(v):
		v.Kind, v.Tag, v.Value = yaml.SequenceNode, "", ""
	case v.Kind != yaml.SequenceNode || v.Anchor != "":
		return nil, errByHand
	}
	return v, nil
}

func valueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func hasEndpoint(list *yaml.Node, providerKey string) bool {
	return slices.ContainsFunc(list.Content, func(item *yaml.Node) bool {
		v := valueOf(follow(item), "provider_key")
		return v != nil && v.Value == providerKey
	})
}

// insertText puts the endpoints after the last item of a block list, in its indentation.
// It returns nil if the list is of another form. Whether the result means the same as
// the edited document is for the caller to compare.
func insertText(text []byte, list *yaml.Node, endpoints []Endpoint) []byte {
	if list.Style&yaml.FlowStyle != 0 || len(list.Content) == 0 || list.Line == 0 {
		return nil
	}
	last := lastLine(list)
	indent := strings.Repeat(" ", list.Column-1)
	var out bytes.Buffer
	n := 0
	for line := range bytes.Lines(text) {
		out.Write(line)
		if n++; n != last {
			continue
		}
		if !bytes.HasSuffix(line, []byte("\n")) {
			out.WriteByte('\n')
		}
		for added := range strings.Lines(EndpointText(endpoints)) {
			out.WriteString(indent + added)
		}
	}
	return out.Bytes()
}

func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

func sameValues(a, b []byte) bool {
	var x, y any
	return yaml.Unmarshal(a, &x) == nil && yaml.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
