package sdk_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// fleet serves size machines, and counts the requested pages.
func fleet(size int, pages *int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*pages++
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		until := min(from+limit, size)
		var items []string
		for i := from; i < until; i++ {
			items = append(items, fmt.Sprintf(`{"id":"mach_%d","displayName":"Rover %[1]d","status":"active",`+
				`"ownerId":"o","machineType":"rover",`+
				`"runtimeProfile":"linux-native","createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z"}`, i+1))
		}
		next := "null"
		if until < size {
			next = `"` + strconv.Itoa(until) + `"`
		}
		fmt.Fprintf(w, `{"items":[%s],"nextCursor":%s}`, strings.Join(items, ","), next)
	}
}

// Iterate over a fleet of 10,000 machines, page by page as needed, and stop early: pages that
// are not read are never requested.
func ExampleMachinesService_All() {
	pages := 0
	server := httptest.NewServer(fleet(10_000, &pages))
	defer server.Close()
	c, err := sdk.New(server.URL)
	if err != nil {
		log.Fatal(err)
	}

	walked := 0
	for machine, err := range c.Machines.All(context.Background(), sdk.ListOptions{Limit: sdk.Some(500)}) {
		if err != nil {
			log.Fatal(err) // the last item: the sequence ends with its error
		}
		walked++
		if walked == 1 {
			fmt.Println(machine.ID, "after", pages, "page")
		}
		if machine.ID == "mach_1200" {
			fmt.Println(machine.DisplayName, "after", pages, "pages; stop")
			break
		}
	}

	pages, walked = 0, 0
	for _, err := range c.Machines.All(context.Background(), sdk.ListOptions{Limit: sdk.Some(500)}) {
		if err != nil {
			log.Fatal(err)
		}
		walked++
	}
	fmt.Println(walked, "machines in", pages, "pages")
	// Output:
	// mach_1 after 1 page
	// Rover 1200 after 3 pages; stop
	// 10000 machines in 20 pages
}
