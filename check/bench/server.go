package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	machines   = 10_000
	agentToken = "bench-agent-token"
	apiKey     = "bench-api-key"

	beatResponse = `{"item":{"machineId":"mach_0001","agentId":"magt_0001","leaseTtlSeconds":90,"observedAt":"2026-03-01T10:00:00.000Z",` +
		`"endpoints":[{"providerKey":"qvac","endpointBaseUrl":"http://127.0.0.1:11434","status":"active",` +
		`"leaseExpiresAt":"2026-03-01T10:01:30.000Z","healthError":null}]}}`
)

// serve responds until its input ends. The first line of its output is its URL.
func serve(in io.Reader, out io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := httptest.Server{Listener: listener, Config: &http.Server{Handler: handler()}}
	server.Start()
	defer server.Close()
	fmt.Fprintln(out, server.URL)
	_, err = io.Copy(io.Discard, in)
	return err
}

// handler serves the measured calls, and GET /pages: how many pages it has served.
func handler() http.Handler {
	pages := map[string][][]byte{"": render(100), "100": render(100), "500": render(500)}
	var served atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/machine-agents/heartbeat", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Contains(body, []byte(agentToken)) {
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		respond(w, []byte(beatResponse))
	})
	mux.HandleFunc("GET /api/v1/machines", func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		all := pages[r.URL.Query().Get("limit")]
		if page >= len(all) || r.Header.Get("X-Api-Key") != apiKey {
			http.Error(w, "unknown page, or no API key", http.StatusBadRequest)
			return
		}
		served.Add(1)
		respond(w, all[page])
	})
	mux.HandleFunc("GET /pages", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, served.Load()) })
	return mux
}

func respond(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// render makes all pages of a size. A cursor is the number of the next page.
func render(size int) [][]byte {
	var pages [][]byte
	for from := 0; from < machines; from += size {
		items := make([]string, 0, size)
		for i := from; i < from+size; i++ {
			items = append(items, machine(i))
		}
		next := "null"
		if from+size < machines {
			next = fmt.Sprintf(`"%d"`, len(pages)+1)
		}
		pages = append(pages, []byte(`{"items":[`+strings.Join(items, ",")+`],"nextCursor":`+next+`}`))
	}
	return pages
}

// machine is one machine as the API lists it (contract §2.2), every field filled.
func machine(i int) string {
	return fmt.Sprintf(`{"id":"mach_%06d","displayName":"Rover %d of the northern yard","status":"active","ownerId":"acct_%d",`+
		`"machineType":"edge-node","runtimeProfile":"linux-docker","capabilities":["gps","camera","llm"],`+
		`"labels":{"site":"berlin-%d","row":"7"},"policyIds":["pol_1"],"skillKeys":["qvac.chat","qvac.embed"],`+
		`"createdAt":"2026-03-01T10:00:00.000Z","updatedAt":"2026-03-02T11:30:00.000Z",`+
		`"identityRef":"did:peaq:%d","identityProof":{"method":"eip191","identityRef":"did:peaq:%d",`+
		`"signerAddress":"0x52908400098527886E0F7030069857D2E4169EE7",`+
		`"challengeId":"mic_%d","verifiedAt":"2026-03-01T10:00:00.000Z","challengeExpiresAt":"2026-03-01T10:05:00.000Z",`+
		`"controllerAddresses":["0x52908400098527886E0F7030069857D2E4169EE7"],"resolutionSource":"peaqos-mcr"}}`, i, i, i%97, i%13, i, i, i)
}
