package metrics

import "github.com/prometheus/client_golang/prometheus"

// EngineStats is what an engine tells of itself. What it does not have is zero.
type EngineStats struct {
	Writable bool // it has not failed: changes are taken as long as there is room

	DiskSize int64 // bytes of the file system that it keeps things on
	DiskFree int64 // bytes of that which it could still use

	Volumes     int   // files that hold the bytes of large objects
	OpenVolumes int   // of those, that are open
	LiveBytes   int64 // bytes in those that belong to an object

	IndexMemory int64 // bytes of changes that are in the index's log and not in its tables
	IndexDebt   int64 // bytes that the index has still to write anew to be in shape

	// Since the engine was opened:
	IndexLogBytes                    int64 // written to the index's log
	IndexCacheHits, IndexCacheMisses int64 // blocks of the index found in memory, or read from disk
}

// engineMetric is one number out of EngineStats.
type engineMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*EngineStats) float64
}

func newEngineMetrics() []engineMetric {
	gauge := func(name, help string, value func(*EngineStats) float64) engineMetric {
		return engineMetric{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, value}
	}
	counter := func(name, help string, value func(*EngineStats) float64) engineMetric {
		return engineMetric{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, value}
	}
	return []engineMetric{
		gauge("headwater_engine_writable", "1, or 0 once the engine has failed and takes no changes any more",
			func(s *EngineStats) float64 { return oneIf(s.Writable) }),
		gauge("headwater_engine_disk_size_bytes", "Size of the file system that holds the data, 0 when nothing is kept on disk",
			func(s *EngineStats) float64 { return float64(s.DiskSize) }),
		gauge("headwater_engine_disk_free_bytes", "What is free in the file system that holds the data",
			func(s *EngineStats) float64 { return float64(s.DiskFree) }),
		gauge("headwater_engine_volumes", "Files that hold the bytes of large objects",
			func(s *EngineStats) float64 { return float64(s.Volumes) }),
		gauge("headwater_engine_open_volumes", "Files with the bytes of large objects that are open",
			func(s *EngineStats) float64 { return float64(s.OpenVolumes) }),
		gauge("headwater_engine_live_bytes", "Bytes of large objects, without those that are small enough to be in the index",
			func(s *EngineStats) float64 { return float64(s.LiveBytes) }),
		gauge("headwater_engine_index_memory_bytes", "Changes that are in the log of the index and not yet in its tables",
			func(s *EngineStats) float64 { return float64(s.IndexMemory) }),
		gauge("headwater_engine_index_debt_bytes", "Estimate of what the index has still to write anew to be in shape",
			func(s *EngineStats) float64 { return float64(s.IndexDebt) }),
		counter("headwater_engine_index_log_bytes_total", "Bytes written to the log of the index",
			func(s *EngineStats) float64 { return float64(s.IndexLogBytes) }),
		counter("headwater_engine_index_cache_hits_total", "Blocks of the index that were found in memory",
			func(s *EngineStats) float64 { return float64(s.IndexCacheHits) }),
		counter("headwater_engine_index_cache_misses_total", "Blocks of the index that were read from disk",
			func(s *EngineStats) float64 { return float64(s.IndexCacheMisses) }),
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// engineCollector asks an engine once each time the metrics are asked for.
type engineCollector struct {
	stats   func() EngineStats
	metrics []engineMetric
}

// Engine registers a function that asks the engine. To be called once.
func (m *Metrics) Engine(stats func() EngineStats) {
	m.registry.MustRegister(&engineCollector{stats, newEngineMetrics()})
}

// Describe implements prometheus.Collector.
func (c *engineCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		descs <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *engineCollector) Collect(values chan<- prometheus.Metric) {
	stats := c.stats()
	for _, m := range c.metrics {
		values <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&stats))
	}
}

func newGroupMetric(f factory) prometheus.Observer {
	return f.NewHistogram(prometheus.HistogramOpts{
		Name:    "headwater_engine_group_operations",
		Help:    "Changes that the engine made durable together, with one sync of the disk",
		Buckets: prometheus.ExponentialBuckets(1, 2, 11),
	})
}

// Group counts a group of changes that became durable together.
func (m *Metrics) Group(operations int) { m.group.Observe(float64(operations)) }
