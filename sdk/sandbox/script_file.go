package sandbox

import (
	"encoding/json"
	"fmt"
	"time"
)

// duration is a time.Duration encoded as a string.
type duration time.Duration

func (d *duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("a duration must be a string such as \"1m30s\", not %s", b)
	}
	v, err := time.ParseDuration(text)
	*d = duration(v)
	return err
}

func (d duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// scriptFile is the file format of a script.
type scriptFile struct {
	Name        string     `json:"name"`
	Description string     `json:"description"`
	Seed        uint64     `json:"seed,omitempty"`
	Repeat      duration   `json:"repeat,omitzero"`
	Rules       []ruleFile `json:"rules,omitempty"`
	Steps       []stepFile `json:"steps,omitempty"`
}

type ruleFile struct {
	Method string    `json:"method,omitempty"`
	Path   string    `json:"path,omitempty"`
	From   duration  `json:"from,omitzero"`
	Until  duration  `json:"until,omitzero"`
	Skip   int       `json:"skip,omitempty"`
	Every  int       `json:"every,omitempty"`
	Limit  int       `json:"limit,omitempty"`
	Chance float64   `json:"chance,omitempty"`
	Fault  faultFile `json:"fault"`
}

type stepFile struct {
	At    duration `json:"at,omitzero"`
	Do    string   `json:"do"`
	Value duration `json:"value,omitzero"`
}

type faultFile struct {
	Latency        duration          `json:"latency,omitzero"`
	Jitter         duration          `json:"jitter,omitzero"`
	Shift          int               `json:"shift,omitempty"`
	Lag            duration          `json:"lag,omitzero"`
	Drop           bool              `json:"drop,omitempty"`
	Lost           bool              `json:"lost,omitempty"`
	Skew           duration          `json:"skew,omitzero"`
	RetryAfter     string            `json:"retryAfter,omitempty"`
	RetryAfterDate duration          `json:"retryAfterDate,omitzero"`
	Header         map[string]string `json:"header,omitempty"`
	Redirect       string            `json:"redirect,omitempty"`
	Status         int               `json:"status,omitempty"`
	Code           string            `json:"code,omitempty"`
	Body           string            `json:"body,omitempty"`
	ContentType    string            `json:"contentType,omitempty"`
	GzipBomb       int64             `json:"gzipBomb,omitempty"`
	Flood          int64             `json:"flood,omitempty"`
	CutAfter       int               `json:"cutAfter,omitempty"`
	SlowBody       duration          `json:"slowBody,omitzero"`
}

func (f *faultFile) fault() Fault {
	return Fault{
		Latency: time.Duration(f.Latency), Jitter: time.Duration(f.Jitter), Shift: f.Shift, Lag: time.Duration(f.Lag),
		Drop: f.Drop, Lost: f.Lost, Skew: time.Duration(f.Skew),
		RetryAfter: f.RetryAfter, RetryAfterDate: time.Duration(f.RetryAfterDate), Header: f.Header, Redirect: f.Redirect, Status: f.Status,
		Code: f.Code, Body: f.Body, ContentType: f.ContentType, GzipBomb: f.GzipBomb, Flood: f.Flood, CutAfter: f.CutAfter,
		SlowBody: time.Duration(f.SlowBody),
	}
}

func fileOfFault(f *Fault) faultFile {
	return faultFile{
		Latency: duration(f.Latency), Jitter: duration(f.Jitter), Shift: f.Shift, Lag: duration(f.Lag),
		Drop: f.Drop, Lost: f.Lost, Skew: duration(f.Skew),
		RetryAfter: f.RetryAfter, RetryAfterDate: duration(f.RetryAfterDate), Header: f.Header, Redirect: f.Redirect, Status: f.Status,
		Code: f.Code, Body: f.Body, ContentType: f.ContentType, GzipBomb: f.GzipBomb, Flood: f.Flood, CutAfter: f.CutAfter,
		SlowBody: duration(f.SlowBody),
	}
}

func (f *scriptFile) script() Script {
	s := Script{Name: f.Name, Description: f.Description, Seed: f.Seed, Repeat: time.Duration(f.Repeat)}
	for _, r := range f.Rules {
		s.Rules = append(s.Rules, Rule{
			Method: r.Method, Path: r.Path, From: time.Duration(r.From), Until: time.Duration(r.Until),
			Skip: r.Skip, Every: r.Every, Limit: r.Limit, Chance: r.Chance, Fault: r.Fault.fault(),
		})
	}
	for _, step := range f.Steps {
		s.Steps = append(s.Steps, Step{At: time.Duration(step.At), Do: step.Do, Value: time.Duration(step.Value)})
	}
	return s
}

func fileOfRule(r *Rule) ruleFile {
	return ruleFile{
		Method: r.Method, Path: r.Path, From: duration(r.From), Until: duration(r.Until),
		Skip: r.Skip, Every: r.Every, Limit: r.Limit, Chance: r.Chance, Fault: fileOfFault(&r.Fault),
	}
}

func fileOfScript(s *Script) scriptFile {
	f := scriptFile{Name: s.Name, Description: s.Description, Seed: s.Seed, Repeat: duration(s.Repeat)}
	for _, r := range s.Rules {
		f.Rules = append(f.Rules, fileOfRule(&r))
	}
	for _, step := range s.Steps {
		f.Steps = append(f.Steps, stepFile{At: duration(step.At), Do: step.Do, Value: duration(step.Value)})
	}
	return f
}
