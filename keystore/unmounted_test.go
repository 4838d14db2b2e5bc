package keystore

import (
	"os"
	"path/filepath"
	"testing"
)

func TestUnmounted(t *testing.T) {
	const (
		bind    = "/data/peaqos-agent\t/var/lib/private/peaqos-agent\tnone\tbind,nofail\t0 0\n"
		root    = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		mounted = root + "30 21 8:2 /peaqos-agent /var/lib/private/peaqos-agent rw - ext4 /dev/sda2 rw\n"
		private = "/var/lib/private/peaqos-agent"
	)
	for name, c := range map[string]struct{ fstab, mountinfo, dir, want string }{
		"not mounted":          {bind, root, "/var/lib/peaqos-agent", private},
		"the directory itself": {bind, root, private + "/", private},
		"mounted":              {bind, mounted, "/var/lib/peaqos-agent", ""},
		"another directory":    {bind, root, "/srv/peaqos-agent", ""},
		"a comment":            {"#" + bind, root, "/var/lib/peaqos-agent", ""},
		"a parent":             {"/dev/sda2 /var ext4 defaults 0 2\n", root, "/var/lib/peaqos-agent", ""}, // of a container's image
		"a space":              {`/dev/sda2 /srv/my\040state ext4 noauto` + "\n", root, "/srv/my state", "/srv/my state"},
		"swap":                 {"/dev/sda3 none swap sw 0 0\nshort\n", root, "/var/lib/peaqos-agent", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for path, text := range map[string]string{"etc/fstab": c.fstab, "proc/self/mountinfo": c.mountinfo} {
				full := filepath.Join(dir, path)
				if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := Unmounted(dir, c.dir); got != c.want {
				t.Errorf("Unmounted = %q, want %q", got, c.want)
			}
		})
	}
	if got := Unmounted(t.TempDir(), "/var/lib/peaqos-agent"); got != "" {
		t.Errorf("without an fstab: %q", got)
	}
}
