package keystore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompare(t *testing.T) {
	const mac1, mac2, mac3 = "00:00:5e:00:53:01", "00:00:5e:00:53:02", "00:00:5e:00:53:03"
	whole := Host{MachineID: "id1", Serial: "s1", MACs: []string{mac1, mac2}}
	for name, c := range map[string]struct {
		old, now Host
		differs  []string
		learn    *Host
	}{
		"the same":              {whole, whole, nil, nil},
		"nothing can be read":   {whole, Host{}, nil, nil},
		"nothing was known":     {Host{}, whole, nil, &whole},
		"another machine id":    {whole, Host{"id2", "s1", []string{mac1, mac2}}, []string{"machine id"}, &Host{"id2", "s1", []string{mac1, mac2}}},
		"another board":         {whole, Host{"id1", "s2", []string{mac1, mac2}}, []string{"serial number"}, &Host{"id1", "s2", []string{mac1, mac2}}},
		"all cards replaced":    {whole, Host{"id1", "s1", []string{mac3}}, []string{"network interfaces"}, &Host{"id1", "s1", []string{mac3}}},
		"one card replaced":     {whole, Host{"id1", "s1", []string{mac1, mac3}}, nil, &Host{"id1", "s1", []string{mac1, mac2, mac3}}},
		"one card away":         {whole, Host{"id1", "s1", []string{mac2}}, nil, nil},
		"one more card":         {Host{"id1", "s1", []string{mac1}}, whole, nil, &whole},
		"all cards away":        {whole, Host{"id1", "s1", nil}, nil, nil},
		"serial number appears": {Host{"id1", "", []string{mac1}}, Host{"id1", "s1", []string{mac1}}, nil, &Host{"id1", "s1", []string{mac1}}},
		"id and board":          {whole, Host{"id2", "s2", []string{mac1}}, []string{"machine id", "serial number"}, nil},
		"id and cards":          {whole, Host{"id2", "s1", []string{mac3}}, []string{"machine id", "network interfaces"}, nil},
		"board and cards":       {whole, Host{"id1", "s2", []string{mac3}}, []string{"serial number", "network interfaces"}, nil},
		"everything":            {whole, Host{"id2", "s2", []string{mac3}}, []string{"machine id", "serial number", "network interfaces"}, nil},
	} {
		want := hostChange{Differs: c.differs, Quarantine: len(c.differs) > 1, Learn: c.learn}
		if d := cmp.Diff(want, compareHosts(c.old, c.now)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	// Cards that come and go do not pile up without end.
	old := whole
	for i := range 40 {
		if v := compareHosts(old, Host{"id1", "s1", []string{mac1, "00:00:5e:00:54:" + string("0123456789abcdef"[i%16]) + string("0123456789abcdef"[i/16])}}); v.Learn != nil {
			old = *v.Learn
		}
	}
	if len(old.MACs) > maxMACs || !slices.Contains(old.MACs, mac1) {
		t.Errorf("%d interfaces remembered", len(old.MACs))
	}
}

// board is a made-up /sys, /etc and /proc.
type board map[string]string

func (b board) build(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for path, content := range b {
		full := filepath.Join(root, path)
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			must(t, os.MkdirAll(filepath.Join(filepath.Dir(full), target), 0o755))
			must(t, os.Symlink(target, full))
			continue
		}
		must(t, os.WriteFile(full, []byte(content), 0o644))
	}
	return root
}

// nic adds an interface to the board.
func (b board) nic(name, device, address, assigned, kind string) board {
	dir := "sys/class/net/" + name + "/"
	b[dir+"address"], b[dir+"addr_assign_type"], b[dir+"type"] = address+"\n", assigned+"\n", kind+"\n"
	if device != "" {
		b[dir+"device"] = "-> ../../../devices/" + device
	}
	return b
}

func pi() board {
	b := board{
		"etc/machine-id": "3d1219c7c4c5404aaa1f6d2a48adfda4\n",
		"sys/firmware/devicetree/base/serial-number": "10000000abcdef01\x00",
	}
	return b.nic("eth0", "platform/soc/fd580000.ethernet", "dc:a6:32:00:00:01", "0", "1").
		nic("wlan0", "platform/soc/mmc1/mmc1:0001", "dc:a6:32:00:00:02", "0", "1").
		nic("lo", "", "00:00:00:00:00:00", "0", "772").nic("docker0", "", "02:42:ac:11:00:01", "3", "1")
}

// TestGatherHost: a change that is no other machine changes nothing in the facts,
// or only what it should.
func TestGatherHost(t *testing.T) {
	// As systemd-id128 machine-id --app-specific=7d4e1c1f3c3b4c559d6c0f1d2f7a9be3
	// prints it for the machine id above.
	const appID = "7e58ab8b9d3d4a51a592fe05a6bbfc57"
	base := GatherHost(pi().build(t))
	if base.MachineID != appID {
		t.Errorf("machine id %s, want %s", base.MachineID, appID)
	}
	if base.Serial == "" || strings.Contains(base.Serial, "abcdef01") {
		t.Errorf("serial %q", base.Serial)
	}
	if d := cmp.Diff([]string{"dc:a6:32:00:00:01", "dc:a6:32:00:00:02"}, base.MACs); d != "" {
		t.Error(d)
	}
	for name, change := range map[string]func(board){
		"nothing":                func(board) {},
		"a USB dongle":           func(b board) { b.nic("eth1", "platform/soc/usb1/1-1/1-1.3/1-1.3:1.0", "00:e0:4c:00:00:01", "0", "1") },
		"a bridge and a veth":    func(b board) { b.nic("br0", "", "de:ad:be:ef:00:01", "1", "1") },
		"a locally administered": func(b board) { b.nic("eth2", "pci0000:00/0000:00:03.0/virtio0", "52:54:00:12:34:56", "0", "1") },
		"an InfiniBand port":     func(b board) { b.nic("ib0", "pci0000:00/0000:00:04.0", "80:00:02:08:fe:80", "0", "32") },
		"another kernel":         func(b board) { b["proc/version"] = "Linux 9" },
		"another host name":      func(b board) { b["etc/hostname"] = "other" },
		"more memory":            func(b board) { b["proc/meminfo"] = "MemTotal: 9 kB" },
	} {
		b := pi()
		change(b)
		if d := cmp.Diff(base, GatherHost(b.build(t))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	random := pi().nic("wlan0", "platform/soc/mmc1/mmc1:0001", "fa:11:22:33:44:55", "3", "1")
	if v := compareHosts(*base, *GatherHost(random.build(t))); len(v.Differs) != 0 || v.Learn != nil {
		t.Errorf("a random Wi-Fi address: %+v", v)
	}
	if got := GatherHost(t.TempDir()); got.MachineID+got.Serial != "" || got.MACs != nil {
		t.Errorf("an empty file system has facts: %+v", got)
	}
	blank := pi()
	blank["etc/machine-id"], blank["sys/firmware/devicetree/base/serial-number"] = "uninitialized\n", "0000000000000000\x00"
	if got := GatherHost(blank.build(t)); got.MachineID+got.Serial != "" {
		t.Errorf("placeholders were taken for facts: %+v", got)
	}
}

func TestInContainer(t *testing.T) {
	for name, b := range map[string]board{
		"docker": {".dockerenv": ""}, "podman": {"run/.containerenv": ""}, "nspawn": {"run/systemd/container": "systemd-nspawn"},
		"containerd": {"proc/self/mountinfo": "610 512 0:45 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs\n"},
	} {
		if !InContainer(b.build(t)) {
			t.Errorf("%s was not noticed", name)
		}
	}
	for name, b := range map[string]board{
		"a Pi":                  pi(),
		"a Pi with an overlay":  {"proc/self/mountinfo": "21 1 0:20 / / rw,relatime - overlay overlay rw,lowerdir=/mnt/root,upperdir=/mnt/rw/up\n"},
		"a host with a docker":  {"proc/self/mountinfo": "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n99 21 0:50 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l\n"},
		"a mangled mount table": {"proc/self/mountinfo": "\n/\nx y z\n"},
	} {
		if InContainer(b.build(t)) {
			t.Errorf("%s was taken for a container", name)
		}
	}
}

// TestQuarantine: one fact may change, two at once lock the store until somebody
// says that it is the same machine.
func TestQuarantine(t *testing.T) {
	first := Host{MachineID: "id1", Serial: "s1", MACs: []string{"00:00:5e:00:53:01"}}
	dir := enrolledWith(t, Options{Host: &first})
	key, err := NewKey()
	must(t, err)
	s := open(t, dir, Options{Host: &first})
	must(t, s.PutController(key))
	must(t, s.Close())

	moved := Host{MachineID: "id1", Serial: "s2", MACs: first.MACs}
	var learnt []string
	s = open(t, dir, Options{Host: &moved, Observe: func(e Event) {
		if e.Kind == EventRelearnt {
			learnt = append(learnt, e.Reason)
		}
	}})
	wantToken(t, s, "tok")
	if d := cmp.Diff([]string{"serial number"}, learnt); d != "" {
		t.Error(d)
	}
	must(t, s.Close())

	foreign := Host{MachineID: "id2", Serial: "s3", MACs: first.MACs}
	before := snapshot(t, dir)
	s = open(t, dir, Options{Host: &foreign})
	var fhe *ForeignHostError
	for what, err := range map[string]error{
		"Condition": s.Condition(), "Agent": second(s.Agent("main")), "Controller": second(s.Controller()), "PutAgent": s.PutAgent("main", testAgent("x")),
		"PutIntent": s.PutIntent("main", &Intent{}), "CheckDurable": s.CheckDurable(), "Reseal": s.Reseal(Protection{}), "ReplaceLostKey": s.ReplaceLostKey(),
		"DropAgent": s.DropAgent("main"), "Intent": second(s.Intent("main")),
	} {
		if !errors.Is(err, ErrForeignHost) || !errors.As(err, &fhe) || !slices.Equal(fhe.Factors, []string{"machine id", "serial number"}) {
			t.Errorf("%s on foreign hardware: %v", what, err)
		}
	}
	if facts, err := s.AgentFacts("main"); err != nil || facts.AgentID != "agent_tok" {
		t.Errorf("the facts: %v", err)
	}
	for name, content := range snapshot(t, dir) {
		if before[name] != content {
			t.Errorf("%s was written in quarantine", name)
		}
	}
	must(t, s.AdoptHost())
	wantToken(t, s, "tok")
	must(t, s.Close())
	wantToken(t, open(t, dir, Options{Host: &foreign}), "tok")
}

// TestBindingOff: without facts nothing is compared, and a store that was made
// without them learns them later.
func TestBindingOff(t *testing.T) {
	first := Host{MachineID: "id1", Serial: "s1"}
	dir := enrolledWith(t, Options{})
	s := open(t, dir, Options{Host: &first})
	must(t, s.Close())
	foreign := Host{MachineID: "id2", Serial: "s2"}
	s = open(t, dir, Options{Host: &foreign})
	if !errors.Is(s.Condition(), ErrForeignHost) {
		t.Errorf("what was learnt at the second opening: %v", s.Condition())
	}
	must(t, s.Close())
	s = open(t, dir, Options{})
	wantToken(t, s, "tok")
	must(t, s.Close())
	s = open(t, dir, Options{Host: &foreign})
	must(t, s.Reset())
	must(t, s.PutAgent("main", testAgent("fresh")))
	wantToken(t, s, "fresh")
}
