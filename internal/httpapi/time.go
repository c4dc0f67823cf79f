package httpapi

import (
	"encoding/json"
	"strconv"
	"time"
)

// EpochSeconds renders a timestamp as both planes' JSON does: seconds since 1970
// with a fraction, to the millisecond.
func EpochSeconds(t time.Time) json.Number {
	return json.Number(strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64))
}
