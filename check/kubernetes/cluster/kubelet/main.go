// Kubelet is the node agent of Kubernetes, unchanged, built beside the control plane
// so that both have one version. check/kubernetes.sh runs it with a containerd in a
// network and a mount namespace of their own, as the one real node of its cluster: the
// pods of the charts are real containers there.
package main

import (
	"context"
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	"k8s.io/kubernetes/cmd/kubelet/app"
)

func main() { os.Exit(cli.Run(app.NewKubeletCommand(context.Background()))) }
