package sandbox_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The fleet of the figures in the package comment.
const (
	fleetSize  = 10_000
	beatPeriod = 30 * time.Second
)

// fleetServer is peaqos-agent sandbox as it is released, in a process of its own.
type fleetServer struct {
	b    *testing.B
	pid  int
	addr string
}

func startFleetServer(b *testing.B) *fleetServer {
	b.Helper()
	if out, err := exec.CommandContext(
		b.Context(), "make", "--no-print-directory", "-s", "-C", "../..", "build",
	).CombinedOutput(); err != nil {
		b.Fatalf("the program cannot be built: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(
		b.Context(), "../../bin/peaqos-agent", "sandbox", "--listen", "127.0.0.1:0", "--controller", addressOf(controllerKey),
	)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, found := strings.CutPrefix(strings.TrimSpace(line), "listening on http://")
	if err != nil || !found {
		b.Fatalf("the sandbox said %q (%v), not where it listens", line, err)
	}
	return &fleetServer{b: b, pid: cmd.Process.Pid, addr: addr}
}

// cpu returns the processor time that the server has used.
func (f *fleetServer) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", f.pid))
	if err != nil {
		f.b.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // in units of 1/100 s, as on every Linux
}

// memory returns a line of the server's /proc/PID/status in bytes: VmRSS, VmHWM.
func (f *fleetServer) memory(name string) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.pid))
	if err != nil {
		f.b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), name+":")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		f.b.Fatal(err)
	}
	return kilobytes << 10
}

// lane is a connection that sends prepared requests.
type lane struct {
	conn net.Conn
	in   *bufio.Reader
}

func (f *fleetServer) dial() *lane {
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.b.Fatal(err)
	}
	f.b.Cleanup(func() { _ = conn.Close() })
	return &lane{conn, bufio.NewReaderSize(conn, 1<<10)}
}

func (l *lane) send(request []byte) (int, []byte, error) {
	if _, err := l.conn.Write(request); err != nil {
		return 0, nil, err
	}
	res, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return 0, nil, err
	}
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

func (f *fleetServer) written(method, path string, body any) []byte {
	text, err := json.Marshal(body)
	if err != nil {
		f.b.Fatal(err)
	}
	return fmt.Appendf(
		nil,
		"%s /api/v1%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: peaqos-agent-go/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		method, path, f.addr, len(text), text,
	)
}

// must makes a call and returns its item.
func (f *fleetServer) must(l *lane, method, path string, body any) object {
	status, text, err := l.send(f.written(method, path, body))
	var out struct{ Item object }
	if err != nil || status >= 300 || json.Unmarshal(text, &out) != nil {
		f.b.Errorf("%s %s: %d %s %v", method, path, status, text, err)
		return object{}
	}
	return out.Item
}

// recruit registers machines with an agent each and returns the requests of their heartbeats.
func (f *fleetServer) recruit() [][]byte {
	beats := make([][]byte, fleetSize)
	var wg sync.WaitGroup
	const recruiters = 8
	for k := range recruiters {
		l := f.dial()
		wg.Go(func() {
			for i := k; i < fleetSize; i += recruiters {
				ref := fmt.Sprint("did:peaq:", 1_000_000+i)
				ch := f.must(l, "POST", "/machine-identity/challenges", object{"identityRef": ref})
				message, _ := ch["message"].(string)
				m := f.must(l, "POST", "/machines", object{
					"displayName": fmt.Sprint("Rover ", i), "ownerId": "acct_1", "machineType": "rover",
					"runtimeProfile": "linux-native", "identityRef": ref,
					"identityProof": object{"challengeId": ch["challengeId"], "signature": signText(controllerKey, message)},
				})
				path := fmt.Sprint("/machines/", m["id"])
				f.must(l, "PATCH", path, object{"status": "active"})
				a := f.must(l, "POST", path+"/agents/enrollment", object{})
				beats[i] = f.written("POST", "/machine-agents/heartbeat", object{
					"machineId": m["id"], "agentId": a["id"], "agentToken": a["agentToken"], "leaseTtlSeconds": 90,
					"endpoints": []object{{
						"providerKey": "qvac", "endpointBaseUrl": "http://127.0.0.1:11434", "networkScope": "loopback",
						"modelAlias": "llama",
					}},
				})
			}
		})
	}
	wg.Wait()
	if f.b.Failed() {
		f.b.FailNow()
	}
	return beats
}

// march sends the fleet's heartbeats of one period, evenly spread, and returns each response time.
func (f *fleetServer) march(lanes []*lane, beats [][]byte) []time.Duration {
	begun := time.Now()
	took := make([]time.Duration, len(beats))
	var wg sync.WaitGroup
	for k, l := range lanes {
		wg.Go(func() {
			for i := k; i < len(beats); i += len(lanes) {
				<-time.After(time.Until(begun.Add(beatPeriod * time.Duration(i) / time.Duration(len(beats)))))
				sent := time.Now()
				status, text, err := l.send(beats[i])
				if took[i] = time.Since(sent); err != nil || status != http.StatusOK {
					f.b.Errorf("heartbeat %d: %d %s %v", i, status, text, err)
					return
				}
			}
		})
	}
	wg.Wait()
	<-time.After(time.Until(begun.Add(beatPeriod)))
	slices.Sort(took)
	return took
}

// BenchmarkFleet measures the figures in the package comment: ten thousand agents with a heartbeat
// every 30 s, over 256 connections and over one each. An operation is one period of the whole
// fleet.
func BenchmarkFleet(b *testing.B) {
	b.Run("256 connections", func(b *testing.B) {
		f, beats, lanes := fleetWith(b, 256)
		benchmarkMarch(f, lanes, beats)
		peak := float64(f.memory("VmHWM")) / (1 << 20)
		b.ReportMetric(peak, "MiB-peak")
		if peak > 64 {
			b.Errorf("the server took %.1f MiB, more than 64", peak)
		}
	})
	b.Run("10000 connections", func(b *testing.B) {
		f, beats, lanes := fleetWith(b, 0)
		before := f.memory("VmRSS")
		for i := range fleetSize { // each with a first heartbeat: an idle connection is closed
			l := f.dial()
			if status, text, err := l.send(beats[i]); err != nil || status != http.StatusOK {
				b.Fatalf("the first heartbeat of %d: %d %s %v", i, status, text, err)
			}
			lanes = append(lanes, l)
		}
		benchmarkMarch(f, lanes, beats)
		each := float64(f.memory("VmHWM")-before) / fleetSize / 1000
		b.ReportMetric(each, "kB/connection")
		if each > 40 {
			b.Errorf("a connection takes %.1f kB, more than 40", each)
		}
	})
}

func fleetWith(b *testing.B, connections int) (f *fleetServer, beats [][]byte, lanes []*lane) {
	f = startFleetServer(b)
	idle := f.memory("VmRSS")
	beats = f.recruit()
	b.Logf(
		"idle the server takes %d KiB, with %d machines %d KiB, at most %d KiB", idle>>10, fleetSize, f.memory("VmRSS")>>10,
		f.memory("VmHWM")>>10,
	)
	for range connections {
		lanes = append(lanes, f.dial())
	}
	return f, beats, lanes
}

func benchmarkMarch(f *fleetServer, lanes []*lane, beats [][]byte) {
	b := f.b
	cpu, wall := f.cpu(), time.Now()
	var took []time.Duration
	for b.Loop() {
		took = f.march(lanes, beats)
	}
	share := (f.cpu() - cpu).Seconds() / time.Since(wall).Seconds()
	b.ReportMetric(100*share, "%core")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-median")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
	if share > 0.5 {
		b.Errorf("the server used %.0f %% of a core, more than half", 100*share)
	}
}
