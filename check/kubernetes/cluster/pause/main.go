// Pause is the process that holds the namespaces of a pod, the whole content of the
// sandbox image: it waits for a signal and ends. The one that Kubernetes publishes is
// on a container registry only, which check/kubernetes.sh must not need. It does not
// reap the orphans of a pod that shares its process namespace; the charts have none.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
}
