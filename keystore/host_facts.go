package keystore

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// hostApp is the application id in the hash of the machine id, which must not be
// used unhashed (machine-id(5)):
//
//	systemd-id128 machine-id --app-specific=7d4e1c1f3c3b4c559d6c0f1d2f7a9be3
const hostApp = "7d4e1c1f3c3b4c559d6c0f1d2f7a9be3"

// GatherHost reads the facts of the host below root, which is "/" except in tests.
// It needs no privileges and no network, so the result is the same in a service and
// in a shell. It reads only facts that stay with a machine: a network interface
// counts if it has a real device that is not on USB, and a permanent address that
// is neither locally administered nor random.
func GatherHost(root string) *Host {
	h := &Host{
		MachineID: machineID(root), Serial: serialNumber(root), MACs: builtinMACs(root), Disks: builtinDisks(root), Model: model(root),
	}
	if volatileMachineID(root) {
		h.MachineID, h.Unstable = "", true
	}
	return h
}

// volatileMachineID reports whether the machine id is made at each boot: systemd then
// keeps it in /run and mounts it over /etc/machine-id.
func volatileMachineID(root string) bool {
	b, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return false
	}
	mounts := parseMounts(string(b))
	const etc, run = "/etc/machine-id", "/run/machine-id"
	if m := mountOf(mounts, etc); m.point == etc || m.fs == "tmpfs" || m.fs == "ramfs" {
		return true
	}
	here, err := os.ReadFile(filepath.Join(root, etc))
	there, rerr := os.ReadFile(filepath.Join(root, run))
	m := mountOf(mounts, run)
	return err == nil && rerr == nil && len(here) > 0 && string(here) == string(there) && (m.fs == "tmpfs" || m.fs == "ramfs")
}

// mountOf is the mount that a path is on: the last one with the longest mount point.
func mountOf(mounts []mount, path string) mount {
	var best mount
	for _, m := range mounts {
		if (m.point == "/" || path == m.point || strings.HasPrefix(path, m.point+"/")) && len(m.point) >= len(best.point) {
			best = m
		}
	}
	return best
}

// builtinDisks are hashes of the serial numbers of disks that are neither on USB nor
// made by software. An SD card counts: it is the disk of a small board.
func builtinDisks(root string) []string {
	class := filepath.Join(root, "sys/block")
	entries, err := os.ReadDir(class)
	if err != nil {
		return nil
	}
	var disks []string
	for _, e := range entries {
		dir := filepath.Join(class, e.Name())
		device, err := filepath.EvalSymlinks(filepath.Join(dir, "device"))
		if err != nil || onUSB(device) || strings.Contains(e.Name(), "boot") {
			continue
		}
		for _, name := range []string{"device/serial", "serial", "device/wwid", "wwid"} {
			serial := attribute(dir, name)
			if strings.Trim(serial, "0x. ") == "" || !strings.ContainsAny(serial, "0123456789") || virtualSerial(serial) {
				continue
			}
			if d := hashFact("disk serial", serial); !slices.Contains(disks, d) {
				disks = append(disks, d)
			}
			break
		}
	}
	slices.Sort(disks)
	return disks[:min(len(disks), maxMACs)]
}

// virtualSerial reports whether a serial number is one that QEMU gives the disks of
// every virtual machine, copies of one another included.
func virtualSerial(serial string) bool {
	number, ok := strings.CutPrefix(serial, "QM")
	return ok && len(number) == 5 && strings.Trim(number, "0123456789") == "" ||
		strings.HasPrefix(serial, "drive-") || strings.Contains(serial, "QEMU HARDDISK")
}

// model is a hash of the names of board and system, without versions, which change
// with the firmware. Many machines have the same.
func model(root string) string {
	dmi := filepath.Join(root, "sys/class/dmi/id")
	var names []string
	for _, name := range []string{"sys_vendor", "product_name", "board_vendor", "board_name"} {
		names = append(names, attribute(dmi, name))
	}
	if strings.Join(names, "") == "" {
		names = []string{strings.Trim(attribute(filepath.Join(root, "sys/firmware/devicetree/base"), "model"), "\x00")}
	}
	if strings.Join(names, "") == "" {
		return ""
	}
	return hashFact("model", strings.Join(names, "\n"))
}

func hashFact(kind, value string) string {
	sum := sha256.Sum256([]byte("peaqos-agent host " + kind + "/1:" + value))
	return hex.EncodeToString(sum[:16])
}

// machineID is the result of sd_id128_get_machine_app_specific, empty if there is none.
func machineID(root string) string {
	b, err := os.ReadFile(filepath.Join(root, "etc/machine-id"))
	id, herr := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || herr != nil || len(id) != 16 {
		return "" // missing, or "uninitialized" during a first boot
	}
	app, _ := hex.DecodeString(hostApp)
	mac := hmac.New(sha256.New, id)
	mac.Write(app)
	sum := mac.Sum(nil)[:16]
	sum[6], sum[8] = sum[6]&0x0f|0x40, sum[8]&0x3f|0x80
	return hex.EncodeToString(sum)
}

// serialNumber is a hash of the device tree's serial number. It reads below /sys,
// because sandboxes hide the copy below /proc.
func serialNumber(root string) string {
	b, err := os.ReadFile(filepath.Join(root, "sys/firmware/devicetree/base/serial-number"))
	serial := strings.Trim(string(b), "\x00 \n")
	if err != nil || strings.Trim(serial, "0") == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("peaqos-agent host serial/1:" + serial))
	return hex.EncodeToString(sum[:16])
}

func builtinMACs(root string) []string {
	class := filepath.Join(root, "sys/class/net")
	entries, err := os.ReadDir(class)
	if err != nil {
		return nil
	}
	var macs []string
	for _, e := range entries {
		if m := builtinMAC(filepath.Join(class, e.Name())); m != "" && !slices.Contains(macs, m) {
			macs = append(macs, m)
		}
	}
	slices.Sort(macs)
	return macs[:min(len(macs), maxMACs)]
}

// builtinMAC is the address of one interface, empty if it does not stay with the
// machine.
func builtinMAC(dir string) string {
	device, err := filepath.EvalSymlinks(filepath.Join(dir, "device"))
	if err != nil || onUSB(device) {
		return ""
	}
	if attribute(dir, "type") != "1" || attribute(dir, "addr_assign_type") != "0" { // Ethernet and Wi-Fi, permanent
		return ""
	}
	mac, err := net.ParseMAC(attribute(dir, "address"))
	if err != nil || len(mac) != 6 || mac[0]&3 != 0 || slices.Max(mac) == 0 { // multicast, or locally administered
		return ""
	}
	return mac.String()
}

func attribute(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// onUSB reports whether a device is on USB, with a path such as
// …/usb1/1-1/1-1.3/1-1.3:1.0.
func onUSB(device string) bool {
	return slices.ContainsFunc(strings.Split(device, "/"), func(p string) bool {
		digits, ok := strings.CutPrefix(p, "usb")
		return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
	})
}

// InContainer reports whether this process runs in a container, whose hardware is
// that of its host and may change with every start. The root is "/" except in tests.
func InContainer(root string) bool {
	for _, mark := range []string{
		".dockerenv", "run/.containerenv", "run/systemd/container", "run/host/container-manager", "var/run/secrets/kubernetes.io",
	} {
		if _, err := os.Stat(filepath.Join(root, mark)); err == nil {
			return true
		}
	}
	mounts, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	return err == nil && containerRoot(string(mounts))
}

// containerRoot reports whether a container engine made the root file system, as in
//
//	610 512 0:45 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/containerd/…
func containerRoot(mountinfo string) bool {
	for line := range strings.Lines(mountinfo) {
		f := strings.Fields(line)
		if len(f) < 5 || f[4] != "/" {
			continue
		}
		for _, engine := range []string{"/containerd/", "/docker/", "/containers/storage/", "/buildkit/", "/k3s/", "/kubelet/"} {
			if strings.Contains(line, engine) {
				return true
			}
		}
	}
	return false
}
