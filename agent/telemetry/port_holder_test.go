package telemetry

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// procTree writes the part of /proc that findHolder reads: one socket table, and the
// open files of processes by pid.
func procTree(t *testing.T, table string, processes map[string][]string) string {
	t.Helper()
	proc := t.TempDir()
	write := func(path, text string) {
		full := filepath.Join(proc, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	write("self/net/tcp", head+table)
	for pid, links := range processes {
		write(pid+"/comm", "python3\n")
		for i, target := range links {
			if err := os.MkdirAll(filepath.Join(proc, pid, "fd"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, filepath.Join(proc, pid, "fd", string(rune('0'+i)))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return proc
}

const (
	rowTail     = " 1 0000000000000000 100 0 0 10 0\n"
	rowLoopback = "   0: 0100007F:261D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 777" + rowTail
	rowWildcard = "   1: 00000000:261D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 778" + rowTail
	rowTalking  = "   2: 0100007F:261D 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 779" + rowTail
)

func TestFindHolder(t *testing.T) {
	ours := netip.MustParseAddrPort("127.0.0.1:9757")
	const hidden = "a process that is not visible to this user"
	tests := []struct {
		name, table string
		processes   map[string][]string
		want        string
	}{
		{
			"visible", rowLoopback,
			map[string][]string{"77": {"/dev/null", "socket:[777]"}, "78": {"socket:[1777]"}},
			"pid 77 (python3)",
		},
		{"wildcard", rowWildcard, map[string][]string{"80": {"socket:[778]"}}, "pid 80 (python3)"},
		{"hidden process", rowLoopback, nil, "a process of user id 1000 (pid not visible to this user)"},
		{"a connection only, no listener", rowTalking, map[string][]string{"77": {"socket:[779]"}}, hidden},
		{"another port", strings.Replace(rowLoopback, "261D", "261E", 1), map[string][]string{"77": {"socket:[777]"}}, hidden},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := findHolder(procTree(t, test.table, test.processes), ours).String(); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	if got := findHolder(t.TempDir(), ours).String(); got != hidden {
		t.Errorf("without proc: %q", got)
	}
}

func TestParseProcAddr(t *testing.T) {
	tests := map[string]string{
		"0100007F:261D": "127.0.0.1:9757", "00000000:0050": "0.0.0.0:80",
		"00000000000000000000000001000000:261D": "[::1]:9757", "0000000000000000FFFF00000100007F:261D": "[::ffff:127.0.0.1]:9757",
	}
	for in, want := range tests {
		got, ok := parseProcAddr(in)
		if !ok || got.String() != want {
			t.Errorf("%s: %v %v, want %s", in, got, ok, want)
		}
	}
	for _, in := range []string{"", ":", "0100007F", "0100007F:", "0100007F:1FFFF", "01:261D", "0100007G:261D", "0100007F:-1"} {
		if got, ok := parseProcAddr(in); ok {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func FuzzParseListening(f *testing.F) {
	f.Add(rowLoopback + rowWildcard + rowTalking)
	f.Add("garbage\n\n0A 0A 0A 0A 0A 0A 0A 0A 0A 0A\n")
	f.Fuzz(func(t *testing.T, table string) {
		sockets, _ := parseListening(strings.NewReader(table))
		again, _ := parseListening(strings.NewReader(table + "\n" + rowLoopback))
		if len(sockets) > strings.Count(table, "\n")+1 {
			t.Errorf("%d sockets in %q", len(sockets), table)
		}
		for _, s := range sockets {
			if !s.addr.IsValid() || s.inode == "" {
				t.Errorf("%+v", s)
			}
		}
		if len(sockets) > 0 && len(again) == len(sockets)+1 {
			sameAddr := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
			if diff := cmp.Diff(sockets, again[:len(sockets)], cmp.AllowUnexported(socket{}), sameAddr); diff != "" {
				t.Errorf("an added line changed the ones before it:\n%s", diff)
			}
		}
	})
}
