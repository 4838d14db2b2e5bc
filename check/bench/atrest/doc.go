// Command atrest measures what the agent costs a device while nothing happens:
// memory, CPU, and the time from its start to the first response of /healthz.
//
//	make bench
//
// runs it after the comparison of the SDKs. Four processes run at the same time, each
// with one machine on the same sandbox and one runtime endpoint:
//
//   - the agent as it is released, with a heartbeat every 10 s;
//   - the same at its default, every 30 s;
//   - a floor (directory floor): the least a Go program does for the same job, a loop
//     that sends the heartbeat with net/http and serves client_golang's metrics. It
//     probes nothing, stores nothing and checks nothing;
//   - a loop that sends the heartbeat with the real Python SDK every 10 s.
//
// CPU is the time that the kernel accounted to all threads of the process during the
// measured time. Memory is read from smaps_rollup at its end: resident, the anonymous
// part of it (heap and stacks; the rest is the program's own file, which the kernel
// can drop), and the proportional set size. Both servers were scraped twice before.
//
// Compare builds by the anonymous part. What is resident of the file depends on how it
// came into the page cache: the same program, linked and then copied, differs by 3 MB.
// The anonymous part grows until the first garbage collection, at 4 MB of heap.
package main
