package keystore

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Unmounted is the mount point in the fstab below root that a directory should be, and
// is not, "" if there is none. What the directory has then is not what it will have.
// For /var/lib/x it is also /var/lib/private/x, where systemd keeps the state of a
// service whose user is a dynamic one.
func Unmounted(root, dir string) string {
	fstab, err := os.ReadFile(filepath.Join(root, "etc/fstab"))
	mountinfo, merr := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil || merr != nil {
		return ""
	}
	places := []string{filepath.Clean(dir), filepath.Join(filepath.Dir(dir), "private", filepath.Base(dir))}
	mounts := parseMounts(string(mountinfo))
	for line := range strings.Lines(string(fstab)) {
		f := strings.Fields(line)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") {
			continue
		}
		point := filepath.Clean(unescapeMount(f[1]))
		if slices.Contains(places, point) && !slices.ContainsFunc(mounts, func(m mount) bool { return m.point == point }) {
			return point
		}
	}
	return ""
}
