package telemetry

import (
	"text/template"
	"text/template/parse"
)

// escaped makes every value that a template writes pass through the function html,
// so that no text from outside becomes markup. That is enough for text and for
// quoted attributes, and the page has no other place for a value; html/template,
// which knows of scripts, styles and addresses too, would be a fifth of a megabyte
// on every device.
func escaped(t *template.Template) *template.Template {
	escapeList(t.Root)
	return t
}

func escapeList(list *parse.ListNode) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			if len(n.Pipe.Decl) == 0 {
				n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Args: []parse.Node{parse.NewIdentifier("html")}})
			}
		case *parse.IfNode:
			escapeBranch(&n.BranchNode)
		case *parse.RangeNode:
			escapeBranch(&n.BranchNode)
		case *parse.WithNode:
			escapeBranch(&n.BranchNode)
		}
	}
}

func escapeBranch(b *parse.BranchNode) {
	escapeList(b.List)
	escapeList(b.ElseList)
}
