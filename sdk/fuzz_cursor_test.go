package sdk

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// FuzzCursors: whatever cursors a server sends, a walk ends, asks for each page once and with
// the cursor as it was sent, and every item is returned in order.
func FuzzCursors(f *testing.F) {
	for _, s := range []string{
		"", "a,b,c", "a,a", "a,b,a", "é,%,+ &=#", "eyJ2IjoxLCJvZmZzZXQiOjJ9", "\x00,\n", ",,,",
		strings.Repeat("x,", 300),
	} {
		f.Add(s, uint8(1))
		f.Add(s, uint8(0))
	}
	f.Fuzz(func(t *testing.T, list string, items uint8) {
		cursors := strings.Split(list, ",")
		for i := range cursors {
			cursors[i] = strings.ToValidUTF8(cursors[i], "")
		}
		var asked []string
		c := cannedClient(t, http.StatusOK, func(r *http.Request) string {
			at := len(asked)
			asked = append(asked, r.URL.Query().Get("cursor"))
			next := ""
			if at < len(cursors) {
				next = cursors[at]
			}
			var page []string
			for i := range int(items % 4) {
				page = append(page, listedMachine(strconv.Itoa(at)+"."+strconv.Itoa(i), "active"))
			}
			quoted, err := newCodec(false).Encode(next)
			if err != nil {
				t.Fatal(err)
			}
			return `{"items":[` + strings.Join(page, ",") + `],"nextCursor":` + string(quoted) + `}`
		})
		got, err := 0, error(nil)
		for m, itemErr := range c.Machines.All(t.Context(), ListOptions{}) {
			if err = itemErr; err == nil {
				want := strconv.Itoa(got/int(items%4)) + "." + strconv.Itoa(got%int(items%4))
				if got++; m.ID != want {
					t.Errorf("machine %d is %s", got, m.ID)
				}
			}
		}
		seen := map[string]bool{}
		for i, cursor := range asked {
			if seen[cursor] || (i > 0 && cursor != cursors[i-1]) {
				t.Errorf("asked %q of %q", asked, cursors)
			}
			seen[cursor] = true
		}
		if got != len(asked)*int(items%4) || (err != nil && !errors.Is(err, ErrEndlessList)) {
			t.Errorf("%d machines of %d pages: %v", got, len(asked), err)
		}
	})
}
