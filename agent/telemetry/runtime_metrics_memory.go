package telemetry

import "github.com/prometheus/client_golang/prometheus"

// memoryMetrics returns the go_memstats_* metrics and three settings of the runtime.
// The help texts are those of client_golang.
func memoryMetrics() []memoryMetric {
	var l memoryMetricList
	l.addHeap()
	l.addSystem()
	return l
}

type memoryMetricList []memoryMetric

func (l *memoryMetricList) gauge(name, help string, samples ...string) {
	*l = append(*l, memoryMetric{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, samples})
}

func (l *memoryMetricList) counter(name, help string, samples ...string) {
	*l = append(*l, memoryMetric{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, samples})
}

// addHeap adds the metrics of the heap.
func (l *memoryMetricList) addHeap() {
	const (
		tinyAllocs   = "/gc/heap/tiny/allocs:objects"
		heapObjects  = "/memory/classes/heap/objects:bytes"
		heapUnused   = "/memory/classes/heap/unused:bytes"
		heapReleased = "/memory/classes/heap/released:bytes"
		heapFree     = "/memory/classes/heap/free:bytes"
	)
	l.gauge("go_memstats_alloc_bytes",
		"Number of bytes allocated in heap and currently in use. Equals to /memory/classes/heap/objects:bytes.",
		heapObjects)
	l.counter("go_memstats_alloc_bytes_total",
		"Total number of bytes allocated in heap until now, even if released already. Equals to /gc/heap/allocs:bytes.",
		"/gc/heap/allocs:bytes")
	l.gauge("go_memstats_sys_bytes",
		"Number of bytes obtained from system. Equals to /memory/classes/total:byte.",
		"/memory/classes/total:bytes")
	l.counter("go_memstats_mallocs_total",
		"Total number of heap objects allocated, both live and gc-ed. Semantically a counter version for "+
			"go_memstats_heap_objects gauge. Equals to /gc/heap/allocs:objects + /gc/heap/tiny/allocs:objects.",
		"/gc/heap/allocs:objects", tinyAllocs)
	l.counter("go_memstats_frees_total",
		"Total number of heap objects frees. Equals to /gc/heap/frees:objects + /gc/heap/tiny/allocs:objects.",
		"/gc/heap/frees:objects", tinyAllocs)
	l.gauge("go_memstats_heap_alloc_bytes",
		"Number of heap bytes allocated and currently in use, same as go_memstats_alloc_bytes. Equals to "+
			"/memory/classes/heap/objects:bytes.",
		heapObjects)
	l.gauge("go_memstats_heap_sys_bytes",
		"Number of heap bytes obtained from system. Equals to /memory/classes/heap/objects:bytes + "+
			"/memory/classes/heap/unused:bytes + /memory/classes/heap/released:bytes + "+
			"/memory/classes/heap/free:bytes.",
		heapObjects, heapUnused, heapReleased, heapFree)
	l.gauge("go_memstats_heap_idle_bytes",
		"Number of heap bytes waiting to be used. Equals to /memory/classes/heap/released:bytes + "+
			"/memory/classes/heap/free:bytes.",
		heapReleased, heapFree)
	l.gauge("go_memstats_heap_inuse_bytes",
		"Number of heap bytes that are in use. Equals to /memory/classes/heap/objects:bytes + "+
			"/memory/classes/heap/unused:bytes",
		heapObjects, heapUnused)
	l.gauge("go_memstats_heap_released_bytes",
		"Number of heap bytes released to OS. Equals to /memory/classes/heap/released:bytes.",
		heapReleased)
	l.gauge("go_memstats_heap_objects",
		"Number of currently allocated objects. Equals to /gc/heap/objects:objects.",
		"/gc/heap/objects:objects")
}

// addSystem adds the metrics of memory outside the heap, and the settings.
func (l *memoryMetricList) addSystem() {
	const (
		stacks  = "/memory/classes/heap/stacks:bytes"
		mspans  = "/memory/classes/metadata/mspan/inuse:bytes"
		mcaches = "/memory/classes/metadata/mcache/inuse:bytes"
	)
	l.gauge("go_memstats_stack_inuse_bytes",
		"Number of bytes obtained from system for stack allocator in non-CGO environments. Equals to "+
			"/memory/classes/heap/stacks:bytes.",
		stacks)
	l.gauge("go_memstats_stack_sys_bytes",
		"Number of bytes obtained from system for stack allocator. Equals to /memory/classes/heap/stacks:bytes + "+
			"/memory/classes/os-stacks:bytes.",
		stacks, "/memory/classes/os-stacks:bytes")
	l.gauge("go_memstats_mspan_inuse_bytes",
		"Number of bytes in use by mspan structures. Equals to /memory/classes/metadata/mspan/inuse:bytes.",
		mspans)
	l.gauge("go_memstats_mspan_sys_bytes",
		"Number of bytes used for mspan structures obtained from system. Equals to "+
			"/memory/classes/metadata/mspan/inuse:bytes + /memory/classes/metadata/mspan/free:bytes.",
		mspans, "/memory/classes/metadata/mspan/free:bytes")
	l.gauge("go_memstats_mcache_inuse_bytes",
		"Number of bytes in use by mcache structures. Equals to /memory/classes/metadata/mcache/inuse:bytes.",
		mcaches)
	l.gauge("go_memstats_mcache_sys_bytes",
		"Number of bytes used for mcache structures obtained from system. Equals to "+
			"/memory/classes/metadata/mcache/inuse:bytes + /memory/classes/metadata/mcache/free:bytes.",
		mcaches, "/memory/classes/metadata/mcache/free:bytes")
	l.gauge("go_memstats_buck_hash_sys_bytes",
		"Number of bytes used by the profiling bucket hash table. Equals to /memory/classes/profiling/buckets:bytes.",
		"/memory/classes/profiling/buckets:bytes")
	l.gauge("go_memstats_gc_sys_bytes",
		"Number of bytes used for garbage collection system metadata. Equals to /memory/classes/metadata/other:bytes.",
		"/memory/classes/metadata/other:bytes")
	l.gauge("go_memstats_other_sys_bytes",
		"Number of bytes used for other system allocations. Equals to /memory/classes/other:bytes.",
		"/memory/classes/other:bytes")
	l.gauge("go_memstats_next_gc_bytes",
		"Number of heap bytes when next garbage collection will take place. Equals to /gc/heap/goal:bytes.",
		"/gc/heap/goal:bytes")
	l.gauge("go_gc_gogc_percent",
		"Heap size target percentage configured by the user, otherwise 100. This value is set by the GOGC "+
			"environment variable, and the runtime/debug.SetGCPercent function. Sourced from /gc/gogc:percent.",
		"/gc/gogc:percent")
	l.gauge("go_gc_gomemlimit_bytes",
		"Go runtime memory limit configured by the user, otherwise math.MaxInt64. This value is set by the "+
			"GOMEMLIMIT environment variable, and the runtime/debug.SetMemoryLimit function. Sourced from "+
			"/gc/gomemlimit:bytes.",
		"/gc/gomemlimit:bytes")
	l.gauge("go_sched_gomaxprocs_threads",
		"The current runtime.GOMAXPROCS setting, or the number of operating system threads that can execute "+
			"user-level Go code simultaneously. Sourced from /sched/gomaxprocs:threads.",
		"/sched/gomaxprocs:threads")
}
