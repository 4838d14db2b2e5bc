package keystore_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// board is a made-up /sys, /etc and /proc, by path; "-> TARGET" is a link.
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

// TestGatherHost: changes that do not make it another machine do not change the facts.
func TestGatherHost(t *testing.T) {
	// As systemd-id128 machine-id --app-specific=7d4e1c1f3c3b4c559d6c0f1d2f7a9be3
	// prints it for the machine id above.
	const appID = "7e58ab8b9d3d4a51a592fe05a6bbfc57"
	base := keystore.GatherHost(pi().build(t))
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
		"nothing": func(board) {},
		"a USB dongle": func(b board) {
			b.nic("eth1", "platform/soc/usb1/1-1/1-1.3/1-1.3:1.0", "00:e0:4c:00:00:01", "0", "1")
		},
		"a bridge and a veth": func(b board) { b.nic("br0", "", "de:ad:be:ef:00:01", "1", "1") },
		"a locally administered address": func(b board) {
			b.nic("eth2", "pci0000:00/0000:00:03.0/virtio0", "52:54:00:12:34:56", "0", "1")
		},
		"an InfiniBand port": func(b board) { b.nic("ib0", "pci0000:00/0000:00:04.0", "80:00:02:08:fe:80", "0", "32") },
		"another kernel":     func(b board) { b["proc/version"] = "Linux 9" },
		"another host name":  func(b board) { b["etc/hostname"] = "other" },
		"more memory":        func(b board) { b["proc/meminfo"] = "MemTotal: 9 kB" },
	} {
		b := pi()
		change(b)
		if d := cmp.Diff(base, keystore.GatherHost(b.build(t))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	random := pi().nic("wlan0", "platform/soc/mmc1/mmc1:0001", "fa:11:22:33:44:55", "3", "1")
	if d := cmp.Diff([]string{"dc:a6:32:00:00:01"}, keystore.GatherHost(random.build(t)).MACs); d != "" {
		t.Errorf("a random Wi-Fi address: %s", d)
	}
	if got := keystore.GatherHost(t.TempDir()); got.MachineID+got.Serial != "" || got.MACs != nil {
		t.Errorf("an empty file system has facts: %+v", got)
	}
	blank := pi()
	blank["etc/machine-id"], blank["sys/firmware/devicetree/base/serial-number"] = "uninitialized\n", "0000000000000000\x00"
	if got := keystore.GatherHost(blank.build(t)); got.MachineID+got.Serial != "" {
		t.Errorf("placeholders are not facts: %+v", got)
	}
}

func TestInContainer(t *testing.T) {
	for name, b := range map[string]board{
		"docker": {".dockerenv": ""}, "podman": {"run/.containerenv": ""}, "nspawn": {"run/systemd/container": "systemd-nspawn"},
		"containerd": {"proc/self/mountinfo": "610 512 0:45 / / rw,relatime - overlay overlay " +
			"rw,lowerdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs\n"},
	} {
		if !keystore.InContainer(b.build(t)) {
			t.Errorf("%s was not noticed", name)
		}
	}
	for name, b := range map[string]board{
		"a Pi": pi(),
		"a Pi with an overlay": {"proc/self/mountinfo": "21 1 0:20 / / rw,relatime - overlay overlay " +
			"rw,lowerdir=/mnt/root,upperdir=/mnt/rw/up\n"},
		"a host that runs docker": {"proc/self/mountinfo": "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n" +
			"99 21 0:50 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l\n"},
		"a mangled mount table": {"proc/self/mountinfo": "\n/\nx y z\n"},
	} {
		if keystore.InContainer(b.build(t)) {
			t.Errorf("%s was taken for a container", name)
		}
	}
}

// TestQuarantine: one of several facts may change; two at once put the store into quarantine until
// AdoptHost.
func TestQuarantine(t *testing.T) {
	first := keystore.Host{MachineID: "id1", Serial: "s1", MACs: []string{"00:00:5e:00:53:01"}}
	dir := enrolledWith(t, keystore.Options{Host: &first})
	key, err := keystore.NewKey()
	must(t, err)
	s := open(t, dir, keystore.Options{Host: &first})
	must(t, s.PutController(key))
	must(t, s.Close())

	moved := keystore.Host{MachineID: "id1", Serial: "s2", MACs: first.MACs}
	var updated []string
	s = open(t, dir, keystore.Options{Host: &moved, Observe: func(e keystore.Event) {
		if e.Kind == keystore.EventRelearnt {
			updated = append(updated, e.Reason)
		}
	}})
	wantToken(t, s, "tok")
	if d := cmp.Diff([]string{"serial number"}, updated); d != "" {
		t.Error(d)
	}
	must(t, s.Close())

	foreign := keystore.Host{MachineID: "id1", Serial: "s3", MACs: []string{"00:00:5e:00:53:02"}}
	before := snapshot(t, dir)
	s = open(t, dir, keystore.Options{Host: &foreign})
	var fhe *keystore.ForeignHostError
	for what, err := range map[string]error{
		"Condition": s.Condition(), "Agent": second(s.Agent("main")), "Controller": second(s.Controller()),
		"PutAgent": s.PutAgent("main", testAgent("x")), "PutIntent": s.PutIntent("main", &keystore.Intent{}),
		"CheckDurable": s.CheckDurable(), "Reseal": s.Reseal(keystore.Protection{}), "PrepareNewKey": s.PrepareNewKey("main", false),
		"DropAgent": s.DropAgent("main"), "Intent": second(s.Intent("main")), "ControllerKey": second(s.ControllerKey()),
	} {
		if !errors.Is(err, keystore.ErrForeignHost) || !errors.As(err, &fhe) ||
			!slices.Equal(fhe.Factors, []string{"serial number", "network interfaces"}) {
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
	wantToken(t, open(t, dir, keystore.Options{Host: &foreign}), "tok")
}

// TestBindingOff: without facts nothing is compared. A store that was made without
// them stores them when it is opened with some.
func TestBindingOff(t *testing.T) {
	first := keystore.Host{MachineID: "id1", Serial: "s1"}
	dir := enrolledWith(t, keystore.Options{})
	s := open(t, dir, keystore.Options{Host: &first})
	must(t, s.Close())
	foreign := keystore.Host{MachineID: "id2", Serial: "s2"}
	s = open(t, dir, keystore.Options{Host: &foreign})
	if !errors.Is(s.Condition(), keystore.ErrForeignHost) {
		t.Errorf("the facts were not stored at the second opening: %v", s.Condition())
	}
	must(t, s.Close())
	s = open(t, dir, keystore.Options{})
	wantToken(t, s, "tok")
	must(t, s.Close())
	s = open(t, dir, keystore.Options{Host: &foreign})
	must(t, s.Reset())
	must(t, s.PutAgent("main", testAgent("fresh")))
	wantToken(t, s, "fresh")
}

// TestOnlyKnownFactDiffers: a PC of which only one fact can be read, with a copied
// disk: the store is used, and the difference is reported until the host is adopted.
func TestOnlyKnownFactDiffers(t *testing.T) {
	first := keystore.Host{MachineID: "id1", MACs: []string{"00:16:3e:00:00:01"}}
	dir := enrolledWith(t, keystore.Options{Host: &first})
	other := keystore.Host{MachineID: "id1", MACs: []string{"00:16:3e:00:00:02"}}
	before := snapshot(t, dir)
	for range 2 { // at each opening
		var reported []string
		s := open(t, dir, keystore.Options{Host: &other, Observe: func(e keystore.Event) {
			if e.Kind == keystore.EventHostDiffers {
				reported = append(reported, e.Reason)
			}
		}})
		wantToken(t, s, "tok")
		if want := []string{"network interfaces"}; !slices.Equal(reported, want) || !slices.Equal(s.HostDiffers(), want) {
			t.Errorf("reported %v, %v", reported, s.HostDiffers())
		}
		must(t, s.Close())
	}
	if d := cmp.Diff(before, snapshot(t, dir)); d != "" {
		t.Error(d)
	}
	s := open(t, dir, keystore.Options{Host: &other})
	must(t, s.AdoptHost())
	must(t, s.Close())
	if s := open(t, dir, keystore.Options{Host: &other}); len(s.HostDiffers()) != 0 {
		t.Errorf("after AdoptHost: %v", s.HostDiffers())
	}
}

// TestMoreFacts: what can be read of a PC without root.
func TestMoreFacts(t *testing.T) {
	pc := func() board {
		return board{
			"etc/machine-id":                     "3d1219c7c4c5404aaa1f6d2a48adfda4\n",
			"sys/block/nvme0n1/device":           "-> ../../devices/pci0/nvme/nvme0",
			"sys/devices/pci0/nvme/nvme0/serial": "S3RIAL\n",
			"sys/class/dmi/id/sys_vendor":        "Acme\n", "sys/class/dmi/id/product_name": "Box\n", "sys/class/dmi/id/bios_version": "1\n",
		}
	}
	base := keystore.GatherHost(pc().build(t))
	if len(base.Disks) != 1 || base.Model == "" || base.Unstable || strings.Contains(base.Disks[0]+base.Model, "S3RIAL") {
		t.Fatalf("facts %+v", base)
	}
	for name, change := range map[string]func(board){
		"a new BIOS":    func(b board) { b["sys/class/dmi/id/bios_version"] = "2\n" },
		"a USB stick":   func(b board) { b["sys/block/sda/device"] = "-> ../../devices/pci0/usb1/1-1/host0" },
		"a loop device": func(b board) { b["sys/block/loop0/size"] = "8\n" },
		"disks whose serial numbers every virtual machine has": func(b board) {
			for name, serial := range map[string]string{
				"vda": "overlayblk", "vdb": "QM00001", "vdc": "drive-scsi0", "vdd": "t10.ATA     QEMU HARDDISK    QM00003",
			} {
				b["sys/block/"+name+"/device"] = "-> ../../devices/pci0/virtio-" + name
				b["sys/devices/pci0/virtio-"+name+"/model"] = "disk\n"
				b["sys/block/"+name+"/serial"] = serial + "\n"
			}
		},
	} {
		b := pc()
		change(b)
		if d := cmp.Diff(base, keystore.GatherHost(b.build(t))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	for name, mounts := range map[string]string{
		"a mount of its own": "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 21 0:5 /machine-id /etc/machine-id rw - tmpfs tmpfs rw\n",
		"a root in memory":   "21 1 0:5 / / rw - tmpfs tmpfs rw\n",
		"the one of /run":    "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 21 0:5 / /run rw - tmpfs tmpfs rw\n",
	} {
		b := pc()
		b["proc/self/mountinfo"] = mounts
		if name == "the one of /run" {
			b["run/machine-id"] = b["etc/machine-id"]
		}
		if got := keystore.GatherHost(b.build(t)); got.MachineID != "" || !got.Unstable {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
