package keystore

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestFileSystemName(t *testing.T) {
	for magic, want := range map[uint32]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.TMPFS_MAGIC: "tmpfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", 0xdead: "0xdead",
	} {
		if got := fileSystemName(magic); got != want {
			t.Errorf("%x is %q, want %q", magic, got, want)
		}
	}
}
