package sandbox_test

import (
	"strings"
	"testing"
)

func TestGraph(t *testing.T) {
	r := newHarness(t)
	id := r.machine()
	path := "/machines/" + id + "/graph"
	same(t, "empty graph", r.get(path).ok(200).at("item"), object{"machineId": id, "nodes": []any{}, "edges": []any{}})
	a := r.post(path+"/nodes", object{"kind": "sensor", "status": "draft", "data": object{"a_A": 1, "b": object{"c": 1, "d": 2}}}).ok(201)
	node := a.str("item.id")
	edge := r.post(path+"/edges", object{"from": node, "to": node}).ok(201).str("item.id")
	a = r.call("PATCH", path+"/nodes/"+node, object{"status": "active", "data": object{"b": object{"c": 3}, "e": 4}}).ok(200)
	same(t, "data is merged one level deep", a.at("item.data"), object{"a_A": 1, "b": object{"c": 3}, "e": 4})
	if a.str("item.status") != "active" || a.str("item.kind") != "sensor" || a.str("item.machineId") != id {
		t.Errorf("node %s", a.text)
	}
	r.call("PATCH", path+"/edges/"+edge, object{"weight": 2}).ok(200)
	graph := r.get(path).ok(200)
	if graph.str("item.nodes.0.id") != node || graph.at("item.edges.0.weight") != 2.0 {
		t.Errorf("graph %s", graph.text)
	}
	r.call("PATCH", path+"/nodes/"+node, object{"status": "gone"}).fails("VALIDATION_ERROR")
	r.call("PATCH", path+"/nodes/"+node, object{"data": []int{1}}).fails("VALIDATION_ERROR")
	for i := range 3 { // each patch keeps what the previous ones added
		a := r.call("PATCH", path+"/nodes/"+node, object{strings.Repeat("n", i+1): strings.Repeat("x", 30_000)})
		if i == 2 {
			a.fails("VALIDATION_ERROR")
		} else {
			a.ok(200)
		}
	}
	r.call("PATCH", "/machines/"+r.machine()+"/graph/nodes/"+node, object{}).fails("NOT_FOUND")
	r.call("DELETE", path+"/edges/"+edge, nil).ok(204)
	r.call("DELETE", path+"/nodes/"+node, nil).ok(204)
	r.call("DELETE", path+"/nodes/"+node, nil).fails("NOT_FOUND")
}
