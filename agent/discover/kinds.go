package discover

import "strings"

// kind is a program that is recognized.
type kind struct {
	key   string // its provider key
	name  string // for people
	probe string // the path that the agent's probe requests; "": the agent cannot publish it
	list  string // the path of its model list; "": it has none
	about string // the path that tells its version; "": there is none
	note  string // what to know about it; a sentence
	ports []uint16
	is    func(Responses) bool
}

// kinds is every program that is recognized, the more specific ones first. The source of
// each shape is beside it; QVAC, Node-RED, nginx and a server like rosbridge's are also
// run by check/discover.sh.
var kinds = []kind{
	{
		// @qvac/cli, "qvac serve --openai": owned_by, and its errors.
		key: "qvac", name: "QVAC", probe: modelsPath, list: modelsPath, ports: []uint16{11434, 11435},
		is: func(r Responses) bool {
			return r.owner("qvac") || r.says(404, `"Unknown endpoint: GET /`, `"invalid_request_error"`) ||
				r.says(401, `"Invalid or missing API key."`, `"invalid_api_key"`)
		},
	},
	{
		// Ollama, docs/api.md and server/routes.go: GET / is the text, /api/tags is {"models": […]}.
		key: "ollama", name: "Ollama", probe: "/api/tags", list: "/api/tags", about: "/api/version", ports: []uint16{11434},
		is: func(r Responses) bool {
			return strings.TrimSpace(string(r["/"].Body)) == "Ollama is running" || r.owner("library") ||
				r.json("/api/tags", "models") && r["/api/tags"].has(`"digest"`)
		},
	},
	{
		// LM Studio, "REST API endpoints": /api/v0/models has the type and state of each model.
		key: "lmstudio", name: "LM Studio", probe: modelsPath, list: modelsPath, ports: []uint16{1234},
		is: func(r Responses) bool {
			return r.owner("organization_owner") || r["/"].has(`"Unexpected endpoint or method. (GET /)`) ||
				r.json("/api/v0/models", "data") && r["/api/v0/models"].has(`"compatibility_type"`)
		},
	},
	{
		// llama.cpp, tools/server/README.md: the Server header, owned_by, /props.
		key: "llamacpp", name: "llama.cpp server", probe: "/health", list: modelsPath, ports: []uint16{8080},
		is: func(r Responses) bool {
			return r.server("llama.cpp") || r.owner("llamacpp") || r.json("/props", "default_generation_settings")
		},
	},
	{
		// vLLM, "OpenAI-Compatible Server": owned_by; with --api-key only /v1 is protected, and /version is not.
		key: "vllm", name: "vLLM", probe: "/health", list: modelsPath, about: "/version", ports: []uint16{8000},
		is: func(r Responses) bool {
			m := r[modelsPath]
			return r.owner("vllm") || r.json("/version", "version") && r.server("uvicorn") && m.Status == 401 && m.has(`"error":"Unauthorized"`)
		},
	},
	{
		// Text Generation Inference, its OpenAPI document: the Info object.
		key: "tgi", name: "Text Generation Inference", probe: "/health", list: modelsPath, about: "/info", ports: []uint16{3000, 8080},
		is: func(r Responses) bool {
			return r.json("/info", "model_id") && (r["/info"].has(`"max_input_tokens"`) || r["/info"].has(`"router":"text-generation-router"`))
		},
	},
	{
		// Triton, the server metadata of the KServe protocol, version 2.
		key: "triton", name: "Triton Inference Server", probe: "/v2/health/ready", about: "/v2", ports: []uint16{8000},
		is: func(r Responses) bool { return r.json("/v2", "extensions") && r["/v2"].has(`"name":"triton"`) },
	},
	{
		// LocalAI, its web interface and docs: the title, /readyz.
		key: "localai", name: "LocalAI", probe: "/readyz", list: modelsPath, ports: []uint16{8080},
		is: func(r Responses) bool {
			return strings.HasPrefix(r["/"].title(), "LocalAI")
		},
	},
	{
		// ComfyUI, server.py: /system_stats.
		key: "comfyui", name: "ComfyUI", probe: "/system_stats", about: "/system_stats", ports: []uint16{8188},
		is: func(r Responses) bool {
			return r["/"].title() == "ComfyUI" || r.json("/system_stats", "devices") && r["/system_stats"].has(`"comfyui_version"`)
		},
	},
	{
		// Home Assistant, the manifest of its frontend.
		key: "home-assistant", name: "Home Assistant", probe: "/manifest.json", ports: []uint16{8123},
		is: func(r Responses) bool {
			return r["/"].title() == "Home Assistant" || r.json("/manifest.json", "name") && r["/manifest.json"].has(`"name":"Home Assistant"`)
		},
	},
	{
		// Node-RED: the page, or with another page the settings of its editor.
		key: "node-red", name: "Node-RED", probe: "/", about: "/settings", ports: []uint16{1880},
		is: func(r Responses) bool {
			return r["/"].title() == "Node-RED" || r.json("/settings", "httpNodeRoot")
		},
	},
	{
		// rosbridge_server: a WebSocketHandler of Tornado at /, which answers a plain GET like this.
		key: "rosbridge", name: "ROS bridge", ports: []uint16{9090},
		note: "it speaks WebSocket only and answers no GET with 2xx, so the agent's probe cannot see that it is up: " +
			"publish an HTTP service in front of it",
		is: func(r Responses) bool {
			return r["/"].Status == 400 && r.server("TornadoServer") && r["/"].has(`Can "Upgrade" only to "WebSocket".`) && r[upgradeProbe].Status == 101
		},
	},
	{
		key: "", name: "peaqos-agent", note: "it is one of our own pages, not a runtime", ports: nil,
		is: func(r Responses) bool {
			return strings.HasSuffix(r["/"].title(), "– peaqos-agent") || r["/"].title() == "peaqOS sandbox"
		},
	},
	{
		key: "", name: "nginx", note: "it is the default page of a web server, not a runtime", ports: []uint16{80},
		is: func(r Responses) bool { return r["/"].title() == "Welcome to nginx!" },
	},
	{
		key: "", name: "https server", note: "it accepts https only, which discovery does not look into", ports: nil,
		is: func(r Responses) bool { return r["/"].Status == 400 && r["/"].has("HTTPS") },
	},
}

// modelsPath is where OpenAI-compatible servers list their models.
const modelsPath = "/v1/models"

// upgradeProbe is the name of the response to a WebSocket handshake at /.
const upgradeProbe = "upgrade /"

// find returns the kind with this provider key; nil if there is none.
func find(key string) *kind {
	for i := range kinds {
		if kinds[i].key == key && key != "" {
			return &kinds[i]
		}
	}
	return nil
}

// Known reports whether runtimes of this provider key are recognized.
func Known(providerKey string) bool { return find(providerKey) != nil }

// ProbePath is the path that the agent's probe requests from runtimes of this provider
// key; empty if they are not recognized.
func ProbePath(providerKey string) string {
	if k := find(providerKey); k != nil {
		return k.probe
	}
	return ""
}
