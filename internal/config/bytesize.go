package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// ByteSize is a number of bytes.
type ByteSize int64

// unit is what a size can be counted in.
type unit struct {
	name  string
	bytes int64
}

// units returns the units, large before small: in this order the first that
// divides a size without a rest makes the shortest text.
func units() []unit {
	return []unit{
		{"TiB", 1 << 40}, {"TB", 1e12},
		{"GiB", 1 << 30}, {"GB", 1e9},
		{"MiB", 1 << 20}, {"MB", 1e6},
		{"KiB", 1 << 10}, {"kB", 1e3},
		{"B", 1},
	}
}

var errByteSize = errors.New("must be a whole number of bytes above 0, alone or with a unit: kB, MB, GB, TB count by 1000 and KiB, MiB, GiB, TiB by 1024")

// parseByteSize reads a size such as 26214400, 25MiB or "25 MB". Units are
// recognised in any case.
func parseByteSize(s string) (ByteSize, error) {
	digits := strings.TrimRight(s, "KMGTBkmgtbi ")
	name := strings.TrimSpace(s[len(digits):])
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || digits[0] == '+' {
		return 0, errByteSize
	}
	if name == "" {
		return ByteSize(n), nil
	}
	for _, u := range units() {
		if strings.EqualFold(name, u.name) && n <= math.MaxInt64/u.bytes {
			return ByteSize(n * u.bytes), nil
		}
	}
	return 0, errByteSize
}

// String returns the size in the largest unit that shows it exactly.
func (b ByteSize) String() string {
	for _, u := range units() {
		if b > 0 && int64(b)%u.bytes == 0 {
			return strconv.FormatInt(int64(b)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
