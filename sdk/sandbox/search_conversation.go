package sandbox

import (
	"encoding/json"
	"strings"
)

// converse turns a sentence into a search by keywords (contract §3.1). The envelope and the
// required credentials are not published: an item, with or without a token.
func (s *Server) converse(c *call) (any, error) {
	in := c.in
	w := searchRequest{machineID: in.required("machineId"), pairingID: in.text("agentPairingId")}
	message := in.required("message")
	in.raw("context")
	if in.err != nil {
		return nil, in.err
	}
	v, err := s.quoteViewer(c, w)
	if err != nil {
		return nil, err
	}
	kind := kindOfNeed(message)
	if kind == "" {
		return item(map[string]any{
			"message":           "What do you need: prices, computing, storage, positions, proof of a person, devices, or work by another machine?",
			"requiresMoreInput": true,
		}), nil
	}
	suggested := map[string]any{"machineId": v.machine.ID, "serviceType": kind}
	if v.pairing != nil {
		suggested["agentPairingId"] = v.pairing.ID
	}
	b, err := marshal(suggested)
	return item(map[string]any{"message": "Search for " + kind + ".", "requiresMoreInput": false, "suggestedSearch": json.RawMessage(b)}), err
}

// kindOfNeed returns the service type that a text is about; "" if there is none or more than one.
func kindOfNeed(text string) string {
	text = strings.ToLower(text)
	found := ""
	for _, k := range []struct {
		kind  string
		words []string
	}{
		{"storage.object", []string{"stor", "blob", "file", "upload"}},
		{"oracle.price-feed", []string{"price", "quote", "oracle", "market depth"}},
		{"data.location", []string{"location", "position", "gps", "gnss", "rtk", "where"}},
		{"compute.marketplace", []string{"comput", "container", "model", "inference", "llm", "gpu"}},
		{"identity.proof-of-person", []string{"person", "human", "identity"}},
		{"network.partner-console", []string{"network", "coverage", "sim card"}},
		{"device.control", []string{"device", "sensor", "door"}},
		{"machine.commerce", []string{"inspect", "robot", "deliver", "hire"}},
	} {
		for _, word := range k.words {
			if !strings.Contains(text, word) {
				continue
			}
			if found != "" && found != k.kind {
				return ""
			}
			found = k.kind
		}
	}
	return found
}
