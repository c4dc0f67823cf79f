package logstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
)

// BlockSize is how many bytes one checksum covers. A read that does not begin
// and end at a multiple of it costs the rest of the blocks that it touches.
const BlockSize = 64 << 10

const (
	sumSize = 4
	// alignment is that of an extent's beginning: no page that holds committed
	// bytes is ever written again, so a torn write cannot reach them.
	alignment = 4096
)

// extent is a run of bytes of one object in a volume. The checksums of its
// blocks follow the bytes; sum is the checksum of those, so that a table that
// belongs to something else does not vouch for the wrong bytes.
type extent struct {
	volume volumeID
	offset int64
	length int64
	sum    uint32
}

// footprint is the room that length bytes take in a volume with their checksums,
// up to where the next extent can begin.
func footprint(length int64) int64 {
	n := length + blocks(length)*sumSize
	return (n + alignment - 1) / alignment * alignment
}

func blocks(length int64) int64 { return (length + BlockSize - 1) / BlockSize }

// largestExtent is the most bytes that fit in a volume of the given size, in
// whole blocks.
func largestExtent(volumeSize int64) int64 {
	return volumeSize / (BlockSize + sumSize) * BlockSize
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// checksums grows the table of an extent as its bytes come.
type checksums struct {
	table  []uint32
	filled int // bytes in the last block of the table
}

func (c *checksums) write(p []byte) {
	for len(p) > 0 {
		if c.filled == BlockSize || len(c.table) == 0 {
			c.table, c.filled = append(c.table, 0), 0
		}
		n := min(len(p), BlockSize-c.filled)
		last := len(c.table) - 1
		c.table[last] = crc32.Update(c.table[last], castagnoli(), p[:n])
		c.filled += n
		p = p[n:]
	}
}

// encode returns the table as it is written, and its own checksum.
func (c *checksums) encode() ([]byte, uint32) {
	b := make([]byte, 0, len(c.table)*sumSize)
	for _, sum := range c.table {
		b = binary.LittleEndian.AppendUint32(b, sum)
	}
	return b, crc32.Checksum(b, castagnoli())
}

// loadTable reads the checksums of an extent.
func loadTable(file io.ReaderAt, x extent) ([]uint32, error) {
	b := make([]byte, blocks(x.length)*sumSize)
	if err := readFull(file, b, x.offset+x.length); err != nil {
		return nil, err
	}
	if crc32.Checksum(b, castagnoli()) != x.sum {
		return nil, fmt.Errorf("the table of checksums at %d is damaged", x.offset+x.length)
	}
	table := make([]uint32, len(b)/sumSize)
	for i := range table {
		table[i] = binary.LittleEndian.Uint32(b[i*sumSize:])
	}
	return table, nil
}

// verifiedReader hands out bytes of an extent only after it has held the whole
// blocks that they lie in against their checksums.
type verifiedReader struct {
	file    io.ReaderAt
	extent  extent
	table   []uint32
	scratch *sync.Pool // of *[BlockSize]byte
}

// readAt fills p from the place off of the extent, which must have that much.
func (v *verifiedReader) readAt(p []byte, off int64) error {
	for len(p) > 0 {
		n, err := v.readSome(p, off)
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// readSome reads as many whole blocks as p has room for straight into it, or a
// part of one block by way of a scratch buffer.
func (v *verifiedReader) readSome(p []byte, off int64) (int, error) {
	if off%BlockSize == 0 {
		if n := v.wholeBlocks(off, int64(len(p))); n > 0 {
			return int(n), v.readBlocks(p[:n], off)
		}
	}
	buffer := v.scratch.Get().(*[BlockSize]byte)
	defer v.scratch.Put(buffer)
	start := off / BlockSize * BlockSize
	block := buffer[:min(BlockSize, v.extent.length-start)]
	if err := v.readBlocks(block, start); err != nil {
		return 0, err
	}
	return copy(p, block[off-start:]), nil
}

// wholeBlocks is how many of room bytes from off on are whole blocks.
func (v *verifiedReader) wholeBlocks(off, room int64) int64 {
	if room >= v.extent.length-off {
		return v.extent.length - off
	}
	return room / BlockSize * BlockSize
}

func (v *verifiedReader) readBlocks(p []byte, off int64) error {
	if err := readFull(v.file, p, v.extent.offset+off); err != nil {
		return err
	}
	for i := off / BlockSize; len(p) > 0; i++ {
		n := min(len(p), BlockSize)
		if crc32.Checksum(p[:n], castagnoli()) != v.table[i] {
			return fmt.Errorf("the bytes of the block at %d are damaged", v.extent.offset+i*BlockSize)
		}
		p = p[n:]
	}
	return nil
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(p), off, err)
}
