package sdk

import (
	"context"
	"encoding/json"
	"net/http"
)

// GraphService is a machine's graph of nodes and edges (contract §3.2).
//
// Experimental: the paths are published; the fields of nodes and edges and the responses
// are not. So bodies are the caller's own JSON, and responses are returned raw. In a patch
// every field is optional, data is merged one level deep, and status is draft, active,
// blocked or degraded.
type GraphService struct{ c *Client }

// Get returns a machine's graph.
//
// Experimental: the fields of the response are not known.
//
// GET /machines/{machineId}/graph (contract §3.2)
func (s *GraphService) Get(ctx context.Context, machineID string) (*RawResponse, error) {
	return s.c.call(http.MethodGet, "/machines/{machineId}/graph", machineID).raw(ctx)
}

// CreateNode adds a node.
//
// Experimental: the fields of body and response are not known.
//
// POST /machines/{machineId}/graph/nodes (contract §3.2)
func (s *GraphService) CreateNode(ctx context.Context, machineID string, node json.RawMessage) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/machines/{machineId}/graph/nodes", machineID).json(node).raw(ctx)
}

// UpdateNode changes a node.
//
// Experimental: except for data and status, the fields of body and response are not
// known.
//
// PATCH /machines/{machineId}/graph/nodes/{nodeId} (contract §3.2)
func (s *GraphService) UpdateNode(ctx context.Context, machineID, nodeID string, patch json.RawMessage) (*RawResponse, error) {
	return s.c.call(http.MethodPatch, "/machines/{machineId}/graph/nodes/{nodeId}", machineID, nodeID).json(patch).raw(ctx)
}

// DeleteNode deletes a node.
//
// Experimental: the errors are not known.
//
// DELETE /machines/{machineId}/graph/nodes/{nodeId} (contract §3.2)
func (s *GraphService) DeleteNode(ctx context.Context, machineID, nodeID string) error {
	return s.c.call(http.MethodDelete, "/machines/{machineId}/graph/nodes/{nodeId}", machineID, nodeID).nothing(ctx)
}

// CreateEdge adds an edge.
//
// Experimental: the fields of body and response are not known.
//
// POST /machines/{machineId}/graph/edges (contract §3.2)
func (s *GraphService) CreateEdge(ctx context.Context, machineID string, edge json.RawMessage) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/machines/{machineId}/graph/edges", machineID).json(edge).raw(ctx)
}

// UpdateEdge changes an edge.
//
// Experimental: the fields of body and response are not known.
//
// PATCH /machines/{machineId}/graph/edges/{edgeId} (contract §3.2)
func (s *GraphService) UpdateEdge(ctx context.Context, machineID, edgeID string, patch json.RawMessage) (*RawResponse, error) {
	return s.c.call(http.MethodPatch, "/machines/{machineId}/graph/edges/{edgeId}", machineID, edgeID).json(patch).raw(ctx)
}

// DeleteEdge deletes an edge.
//
// Experimental: the errors are not known.
//
// DELETE /machines/{machineId}/graph/edges/{edgeId} (contract §3.2)
func (s *GraphService) DeleteEdge(ctx context.Context, machineID, edgeID string) error {
	return s.c.call(http.MethodDelete, "/machines/{machineId}/graph/edges/{edgeId}", machineID, edgeID).nothing(ctx)
}
