package keystore

import (
	"strings"
	"testing"
)

func TestFindHolder(t *testing.T) {
	const locks = `1: POSIX  ADVISORY  WRITE 77 fe:00:42 0 EOF
2: FLOCK  ADVISORY  WRITE 2104 fe:00:142 0 EOF
2: -> FLOCK  ADVISORY  WRITE 9 fe:00:42 0 EOF
3: FLOCK  ADVISORY  READ 5 fe:00:42 0 EOF
4: FLOCK  ADVISORY  WRITE 2105 00:1f:42 0 EOF
`
	for inode, want := range map[uint64]int{42: 2105, 142: 2104, 2: 0} {
		if got := findHolder(strings.NewReader(locks), inode); got != want {
			t.Errorf("inode %d: process %d, want %d", inode, got, want)
		}
	}
}

func FuzzFindHolder(f *testing.F) {
	f.Add("4: FLOCK  ADVISORY  WRITE 2104 fe:00:262153 0 EOF", uint64(262153))
	f.Fuzz(func(t *testing.T, locks string, inode uint64) {
		if pid := findHolder(strings.NewReader(locks), inode); pid < 0 || pid > 0 && !strings.Contains(locks, "FLOCK") {
			t.Errorf("process %d", pid)
		}
	})
}
