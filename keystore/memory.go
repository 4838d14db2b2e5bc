package keystore

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// spare is the memory that this process needs in addition to a key derivation.
const spare = 16 << 20

// enoughMemory refuses a derivation that would make the system kill this process.
// Its error is ErrMemory.
func enoughMemory(root string, need uint64) error {
	free, known := freeMemory(root)
	if !known || need+spare <= free {
		return nil
	}
	return fmt.Errorf("%w: it takes %d MiB and %d MiB are free", ErrMemory, (need+spare)>>20, free>>20)
}

// freeMemory is the bytes available without swapping, on the machine and within the
// limit of each control group that this process is in. It is not known in a sandbox
// that hides both.
func freeMemory(root string) (free uint64, known bool) {
	free = math.MaxUint64
	if kib, ok := field(filepath.Join(root, "proc/meminfo"), "MemAvailable:"); ok {
		free, known = kib<<10, true
	}
	groups, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return free, known
	}
	for line := range strings.Lines(string(groups)) {
		p := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(p) != 3 {
			continue
		}
		var g groupFiles
		switch {
		case p[1] == "": // version 2
			g = groupFiles{"sys/fs/cgroup", "memory.max", "memory.current", ""}
		case strings.Contains(","+p[1]+",", ",memory,"):
			g = groupFiles{"sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"}
		default:
			continue
		}
		for dir := filepath.Clean("/" + p[2]); ; dir = filepath.Dir(dir) {
			if left, ok := g.available(filepath.Join(root, g.mount, dir)); ok {
				free, known = min(free, left), true
			}
			if dir == "/" {
				break
			}
		}
	}
	return free, known
}

// groupFiles are the file names of one version of control groups, and what the names of
// the fields in memory.stat that include the groups below begin with.
type groupFiles struct{ mount, limit, usage, fields string }

// available is what is left of one group's limit. Its page cache counts as free, also
// the active part (with the program's own file in it): the kernel drops both before it
// kills a process.
func (g groupFiles) available(dir string) (uint64, bool) {
	limit, ok := number(filepath.Join(dir, g.limit))
	usage, ok2 := number(filepath.Join(dir, g.usage))
	if !ok || !ok2 {
		return 0, false // "max": no limit
	}
	for _, list := range []string{"inactive_file", "active_file"} {
		cache, _ := field(filepath.Join(dir, "memory.stat"), g.fields+list)
		usage -= min(usage, cache)
	}
	return limit - min(limit, usage), true
}

func number(path string) (uint64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// field reads the number after a name at the start of a line.
func field(path, name string) (uint64, bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		p := strings.Fields(lines.Text())
		if len(p) >= 2 && p[0] == name {
			n, err := strconv.ParseUint(p[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
