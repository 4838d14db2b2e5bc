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
// shown as it is (machine-id(5)):
//
//	systemd-id128 machine-id --app-specific=7d4e1c1f3c3b4c559d6c0f1d2f7a9be3
const hostApp = "7d4e1c1f3c3b4c559d6c0f1d2f7a9be3"

// GatherHost reads the facts of the host below root, which is "/" but in tests.
// It needs no privilege and asks no network, so it says the same in a service
// and in a shell. It takes only what stays with a machine: of the interfaces
// those with a real device that is not on USB, an address burnt into it, and
// none that is locally administered or random.
func GatherHost(root string) *Host {
	return &Host{MachineID: machineID(root), Serial: serialNumber(root), MACs: builtinMACs(root)}
}

// machineID is what sd_id128_get_machine_app_specific gives.
func machineID(root string) string {
	b, err := os.ReadFile(filepath.Join(root, "etc/machine-id"))
	id, herr := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || herr != nil || len(id) != 16 {
		return "" // "uninitialized" on a first boot, or none at all
	}
	app, _ := hex.DecodeString(hostApp)
	mac := hmac.New(sha256.New, id)
	mac.Write(app)
	sum := mac.Sum(nil)[:16]
	sum[6], sum[8] = sum[6]&0x0f|0x40, sum[8]&0x3f|0x80
	return hex.EncodeToString(sum)
}

// serialNumber reads below /sys, since sandboxes hide the copy below /proc.
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

// builtinMAC is the address of one interface, or empty when it does not stay
// with the machine.
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

// onUSB: a path like …/usb1/1-1/1-1.3/1-1.3:1.0.
func onUSB(device string) bool {
	return slices.ContainsFunc(strings.Split(device, "/"), func(p string) bool {
		digits, ok := strings.CutPrefix(p, "usb")
		return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
	})
}

// InContainer reports whether the process below root ("/" but in tests) runs in
// a container, whose hardware is its host's and may change with every start.
func InContainer(root string) bool {
	for _, mark := range []string{".dockerenv", "run/.containerenv", "run/systemd/container", "run/host/container-manager", "var/run/secrets/kubernetes.io"} {
		if _, err := os.Stat(filepath.Join(root, mark)); err == nil {
			return true
		}
	}
	mounts, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	return err == nil && containerRoot(string(mounts))
}

// containerRoot looks for a root file system that a container engine made:
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
