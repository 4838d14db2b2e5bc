package doctor

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// BundleFile is one file of a support bundle.
type BundleFile struct {
	Name string
	Text []byte
}

// StoreListing is what a bundle says of the store: names, modes, owners and sizes.
func StoreListing(s keystore.Survey) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s exists=%t mode=%04o owner=%d filesystem=%s memory=%t free=%d\n", s.Path, s.Exists, s.Mode, s.UID, s.FileSystem, s.Volatile, s.FreeBytes)
	if s.Err != nil {
		fmt.Fprintf(&b, "error: %s\n", status.Escape(s.Err.Error()))
	}
	for _, f := range s.Files {
		fmt.Fprintf(&b, "%s mode=%04o owner=%d size=%d regular=%t\n", status.Escape(f.Name), f.Mode.Perm(), f.UID, f.Size, f.Mode.IsRegular())
	}
	return []byte(b.String())
}

// WithoutValues is a unit or drop-in without the values of its environment variables,
// which may be secrets.
func WithoutValues(unit string) string {
	var b strings.Builder
	for line := range strings.Lines(unit) {
		if name, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(name) == "Environment" {
			variable, _, _ := strings.Cut(strings.Trim(strings.TrimSpace(value), `"'`), "=")
			line = "Environment=" + variable + "=[REMOVED]\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

// WithoutUsers removes user and password from every URL in a text.
func WithoutUsers(text []byte) []byte {
	return regexp.MustCompile(`://[^/@\s"']+@`).ReplaceAll(text, []byte("://"))
}

// WriteBundle writes a support bundle, a tar.gz of mode 0600 that must not exist yet.
// Before the file is closed, search looks for secrets in its content, as it was given
// and as it is written; what it finds, or its error, removes the file.
//
// Errors: status.CodeFileExists, status.CodeFile, status.CodeBundleSecret, and that of
// search.
func WriteBundle(path string, files []BundleFile, search func(text []byte) (found []string, err error)) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return status.NewProblem(status.CodeFileExists, path+" is not overwritten").Wrap(err)
	}
	if err != nil {
		return status.NewProblem(status.CodeFile, err.Error()).Wrap(err)
	}
	err = f.Chmod(0o600) // whatever the umask
	if err == nil {
		err = writeArchive(f, files)
	}
	if err == nil {
		err = searchArchive(f, search)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func writeArchive(f io.Writer, files []BundleFile) error {
	packed := gzip.NewWriter(f)
	archive := bytes.Buffer{}
	for _, one := range files {
		archive.Write(tarHeader("peaqos-agent/"+one.Name, len(one.Text), time.Now()))
		archive.Write(one.Text)
		archive.Write(make([]byte, -len(one.Text)&(tarBlock-1)))
	}
	archive.Write(make([]byte, 2*tarBlock))
	_, err := packed.Write(archive.Bytes())
	return errors.Join(err, packed.Close())
}

// tarBlock is the unit of a tar archive.
const tarBlock = 512

// tarHeader is the header of a regular file in the ustar format (POSIX.1-1988): archive/tar
// and what it imports would make the binary 80 KB larger. The name is ours and shorter
// than 100 bytes.
func tarHeader(name string, size int, modified time.Time) []byte {
	h := make([]byte, tarBlock)
	copy(h, name)
	copy(h[100:], "0000600\x000000000\x000000000\x00") // mode, user, group
	copy(h[124:], fmt.Sprintf("%011o\x00%011o\x00", size, modified.Unix()))
	copy(h[148:], "        0") // the checksum counts as blanks; a regular file
	copy(h[257:], "ustar\x0000")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// maxArchive bounds what is read back.
const maxArchive = 64 << 20

// searchArchive reads the archive back from the disk and searches all of it, names
// included.
func searchArchive(f io.ReadSeeker, search func([]byte) ([]string, error)) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	packed, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(packed, maxArchive))
	if err != nil {
		return err
	}
	found, err := search(text)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		slices.Sort(found)
		return status.NewProblem(status.CodeBundleSecret, strings.Join(found, ", "))
	}
	return nil
}
