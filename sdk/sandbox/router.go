package sandbox

import (
	"net/http"
	"net/url"
	"strings"
)

// prefix is the root path of the API (contract §1.1).
const prefix = "/api/v1"

// route is one operation of the API.
type route struct {
	method, pattern string
	auth            auth
	handle          handler     // runs under the server's lock
	stream          func(*call) // runs without the lock and writes its own response
	maxBody         int64       // 0: defaultBody
	boundPages      bool        // cursors are bound to the page size
}

// handler serves a call. Its result is encoded as JSON; nil means 204.
type handler func(*call) (any, error)

// router finds the route of a path, segment by segment. http.ServeMux cannot replace it: it
// redirects paths such as //machines and /a/../b, which the API does not know and which must get
// the error envelope, and it rejects two patterns of the contract as conflicting,
// /skills/submissions/{submission} and /skills/{skill}/manifest.
type router struct {
	fixed  map[string]*router // children by segment
	value  *router            // child for any other segment
	name   string             // name of this node's value
	routes map[string]*route  // by method
}

func newRouter(routes []route) *router {
	root := &router{}
	for i := range routes {
		n := root
		for _, part := range strings.Split(routes[i].pattern, "/")[1:] {
			n = n.child(part)
		}
		if n.routes == nil {
			n.routes = map[string]*route{}
		}
		n.routes[routes[i].method] = &routes[i]
	}
	return root
}

// child returns the node of a pattern's segment and creates it if needed.
func (n *router) child(part string) *router {
	if name, ok := strings.CutPrefix(part, "{"); ok {
		if n.value == nil {
			n.value = &router{name: strings.TrimSuffix(name, "}")}
		}
		return n.value
	}
	if n.fixed == nil {
		n.fixed = map[string]*router{}
	}
	if n.fixed[part] == nil {
		n.fixed[part] = &router{}
	}
	return n.fixed[part]
}

// find returns the route of a request and the decoded values in its path, or nil if no route
// matches. A fixed segment takes precedence over a value.
func (n *router) find(r *http.Request) (*route, map[string]string) {
	var values map[string]string
	path := r.URL.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		return nil, nil
	}
	for _, part := range strings.Split(path, "/")[1:] {
		next := n.fixed[part]
		if next == nil && n.value != nil {
			v, err := url.PathUnescape(part)
			if err != nil || v == "" {
				return nil, nil
			}
			if values == nil {
				values = map[string]string{}
			}
			next = n.value
			values[next.name] = v
		}
		if next == nil {
			return nil, nil
		}
		n = next
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	return n.routes[method], values
}
