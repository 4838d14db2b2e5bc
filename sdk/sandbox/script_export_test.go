package sandbox

import "encoding/json"

// ParseScript and WriteScript are for the fuzz test of the scenario file's form.
func ParseScript(b []byte) (Script, error) { return parseScript(b) }

func WriteScript(s Script) ([]byte, error) { return json.Marshal(fileOfScript(&s)) }
