package sdk

import "strings"

// readList walks a list envelope (contract §1.5) and hands over each item's text.
func readList(body string, restart func(), item func(raw string) error) (nextCursor string, err error) {
	c := cursor{text: body}
	if c.peek() != '{' {
		return "", mustBe("an object")
	}
	found := false
	err = c.members(func(name string) error {
		switch name {
		case "items":
			restart() // of a name that comes twice, the last counts
			found = true
			return inside(name, readItems(&c, item))
		case "nextCursor":
			next, err := readCursor(&c)
			nextCursor = next
			return inside(name, err)
		}
		return c.skip(0)
	})
	if err == nil && !found {
		err = inside("items", mustBe("present"))
	}
	return nextCursor, firstOf(err, c.end())
}

func readItems(c *cursor, item func(raw string) error) error {
	if c.peek() != '[' {
		return mustBe("an array")
	}
	return c.elements(func(i int) error {
		c.space()
		start := c.at
		if err := c.skip(0); err != nil {
			return err
		}
		if err := item(strings.Clone(c.text[start:c.at])); err != nil {
			return at(i, err)
		}
		return nil
	})
}

// readCursor reads the cursor of the next page: null and absent are the end.
func readCursor(c *cursor) (string, error) {
	switch c.peek() {
	case 'n':
		return "", c.word("null")
	case '"':
		s, err := c.str()
		return strings.Clone(s), err
	}
	return "", mustBe("a string or null")
}
