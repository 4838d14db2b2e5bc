package agent

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// TestMissingMount: no store is made where the state is not mounted.
func TestMissingMount(t *testing.T) {
	root, dir := t.TempDir(), filepath.Join(t.TempDir(), "peaqos-agent")
	for path, text := range map[string]string{
		"etc/fstab":           "/data/peaqos-agent " + dir + " none bind,nofail 0 0\n",
		"proc/self/mountinfo": "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755), os.WriteFile(filepath.Join(root, path), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	a := &Agent{cfg: &config.Config{Keystore: config.Keystore{Dir: dir}}, opts: Options{HostRoot: root}}
	err := a.openStore(t.Context())
	if p := Explain(err); err == nil || p.Code != status.CodeStoreUnusable || p.Next != "mount it with sudo mount "+dir+", then run peaqos-agent service start" {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
}
