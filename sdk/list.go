package sdk

import (
	"cmp"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// readList walks a list envelope (contract §1.5) and hands over each item's text.
func readList(body string, restart func(), item func(raw string) error) (nextCursor string, err error) {
	c := wire.NewScanner(body)
	if c.Peek() != '{' {
		return "", wire.MustBe("an object")
	}
	found := false
	err = c.Members(func(name string) error {
		switch name {
		case "items":
			restart() // of a name that comes twice, the last counts
			found = true
			return wire.Inside(name, readItems(c, item))
		case "nextCursor":
			next, err := readCursor(c)
			nextCursor = next
			return wire.Inside(name, err)
		}
		return c.Skip()
	})
	if err == nil && !found {
		err = wire.Inside("items", wire.MustBe("present"))
	}
	return nextCursor, cmp.Or(err, c.End())
}

func readItems(c *wire.Scanner, item func(raw string) error) error {
	if c.Peek() != '[' {
		return wire.MustBe("an array")
	}
	return c.Elements(func(i int) error {
		raw, err := c.Raw()
		if err != nil {
			return err
		}
		return wire.At(i, item(strings.Clone(raw)))
	})
}

// readCursor reads the cursor of the next page: null and absent are the end.
func readCursor(c *wire.Scanner) (string, error) {
	switch c.Peek() {
	case 'n':
		return "", c.Skip()
	case '"':
		s, err := c.ReadString()
		return strings.Clone(s), err
	}
	return "", wire.MustBe("a string or null")
}
