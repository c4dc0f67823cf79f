package logstore

import "context"

// Stats are numbers of a running store, for metrics. Those that count begin at
// zero with each Open; the others are as they are at the moment. Sizes are in
// bytes.
type Stats struct {
	// Failed says that the index's files cannot be written: nothing is accepted
	// until the store is opened anew.
	Failed bool

	// What the committer has done. Operations by Groups is how many changes share
	// a sync of the disk.
	Groups     int64
	Operations int64 // those that were refused too
	IndexBytes int64 // of the batches that were committed

	// The volume files.
	Volumes       int   // that there are
	ActiveVolumes int   // of those: that may still be written
	OpenVolumes   int   // of those: whose file is open
	LiveBytes     int64 // that current versions occupy in them

	// What compaction has done.
	MovedBytes       int64 // of objects, copied out of volumes that were mostly dead
	ReclaimedVolumes int64 // that were emptied
	ReclaimedBytes   int64 // the sizes of these

	// What the search for damage has done, all of it and not the current pass.
	ScrubbedBytes int64 // of objects, that were read and held against their checksums
	ScrubPasses   int64 // through everything
	// DamagedObjects is how often an object was found, by that search or by
	// compaction, whose bytes are not what they were. Each pass counts it again;
	// the log has its path.
	DamagedObjects int64

	// The index.
	CacheHits      int64  // blocks found in the cache, of tables
	CacheMisses    int64  // and read from disk
	LogBytes       uint64 // that were written to its log
	MemTableBytes  uint64 // allocated for what is not yet in tables
	L0Files        int64  // tables that were not compacted yet
	CompactionDebt uint64 // estimate of what must be rewritten for it to be in shape

	// The file system that the store is on; 0 when it cannot tell.
	DiskFree  uint64 // to this process
	DiskTotal uint64
}

// Stats returns the numbers of the moment. They are not of the very same moment.
// All are zero once the engine is closed.
func (e *Engine) Stats() Stats {
	if e.enter(context.Background()) != nil {
		return Stats{}
	}
	defer e.exit()
	s := Stats{
		Failed:     e.index.fuse.blown(),
		Groups:     e.committer.groups.Load(),
		Operations: e.committer.operations.Load(),
		IndexBytes: e.committer.bytes.Load(),
		LiveBytes:  e.volumes.live.Load(),
	}
	s.MovedBytes, s.ReclaimedVolumes, s.ReclaimedBytes = e.compactor.moved.Load(), e.compactor.volumes.Load(), e.compactor.bytes.Load()
	s.ScrubbedBytes, s.ScrubPasses, s.DamagedObjects = e.scrubber.bytes.Load(), e.scrubber.passes.Load(), e.damaged.Load()
	s.ActiveVolumes = int(e.volumes.shelves.Load())
	s.Volumes, s.OpenVolumes = e.volumes.counts()
	m := e.index.Metrics()
	s.CacheHits, s.CacheMisses = m.BlockCache.Hits, m.BlockCache.Misses
	s.LogBytes, s.MemTableBytes = m.WAL.BytesWritten, m.MemTable.Size
	s.L0Files, s.CompactionDebt = m.Levels[0].TablesCount, m.Compact.EstimatedDebt
	if usage, err := e.options.FS.GetDiskUsage(e.options.Dir); err == nil {
		s.DiskFree, s.DiskTotal = usage.AvailBytes, usage.TotalBytes
	}
	return s
}

func (vs *volumes) counts() (files, open int) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return vs.mu.files, len(vs.mu.open)
}
