package cloudwatch

import "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

// What PutMetricData takes in one call: so many data, and so many bytes before
// compression.
const (
	maxCallData  = 1000
	maxCallBytes = 1e6
)

// call is the data of one call of PutMetricData.
type call struct {
	data  []types.MetricDatum
	bytes int // about, and not less than it takes
}

// split makes as few calls as the limits allow.
func split(data []types.MetricDatum) []call {
	var calls []call
	for _, d := range data {
		size := sizeOf(&d)
		last := len(calls) - 1
		if last < 0 || len(calls[last].data) == maxCallData || calls[last].bytes+size > maxCallBytes {
			calls = append(calls, call{bytes: 400}) // what is around the data
			last++
		}
		calls[last].data = append(calls[last].data, d)
		calls[last].bytes += size
	}
	return calls
}

// sizeOf is an upper bound of a datum's size in CBOR (RFC 8949): the names of the
// members with their heads, and nine bytes for each number.
func sizeOf(d *types.MetricDatum) int {
	size := 200 + len(*d.MetricName) + 18*len(d.Values)
	for _, dimension := range d.Dimensions {
		size += 20 + len(*dimension.Name) + len(*dimension.Value)
	}
	return size
}
