package cloudwatch

import (
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"headwater/internal/event"
	"headwater/internal/mediastore"
	"headwater/internal/metricpolicy"
)

// dimensions tell one series from another. The group is empty for the container
// as a whole.
type dimensions struct {
	container mediastore.ContainerName
	group     metricpolicy.GroupName
	operation event.Operation
}

func (d dimensions) wire() []types.Dimension {
	all := []types.Dimension{dimension("ContainerName", string(d.container))}
	if d.group != "" {
		all = append(all, dimension("ObjectGroupName", string(d.group)))
	}
	return append(all, dimension("RequestType", d.operation.RequestType()))
}

func dimension(name, value string) types.Dimension {
	return types.Dimension{Name: &name, Value: &value}
}

// series is what happened under one set of dimensions in an interval.
type series struct {
	requests   uint64
	errors4xx  uint64
	errors5xx  uint64
	throttled  uint64
	uploaded   sizes
	downloaded sizes
	total      histogram
	turnaround histogram
}

func (s *series) add(r *event.Request) {
	s.requests++
	switch r.Status / 100 {
	case 4:
		s.errors4xx++
	case 5:
		s.errors5xx++
	}
	if r.Status == http.StatusTooManyRequests {
		s.throttled++
	}
	s.uploaded.add(r.BytesReceived)
	s.downloaded.add(r.BytesSent)
	s.total.add(r.TotalTime())
	s.turnaround.add(r.TurnaroundTime())
}

// data returns the series as CloudWatch takes it.
func (s *series) data(of dimensions, at time.Time) []types.MetricDatum {
	datum := types.MetricDatum{Dimensions: of.wire(), Timestamp: &at}
	all := []types.MetricDatum{
		counted(datum, "RequestCount", s.requests, s.requests),
		counted(datum, "4xxErrorCount", s.errors4xx, s.requests),
		counted(datum, "5xxErrorCount", s.errors5xx, s.requests),
		counted(datum, "ThrottleCount", s.throttled, s.requests),
		timed(datum, "TotalTime", &s.total),
		timed(datum, "TurnaroundTime", &s.turnaround),
	}
	if s.uploaded.count > 0 {
		all = append(all, s.uploaded.datum(datum, "BytesUploaded"))
	}
	if s.downloaded.count > 0 {
		all = append(all, s.downloaded.datum(datum, "BytesDownloaded"))
	}
	return all
}

// counted makes a datum with a sample of 1 or 0 for each request, so that its sum
// is the count and its average the share.
func counted(d types.MetricDatum, name string, n, of uint64) types.MetricDatum {
	d.MetricName, d.Unit = &name, types.StandardUnitCount
	if n < of {
		d.Values, d.Counts = append(d.Values, 0), append(d.Counts, float64(of-n))
	}
	if n > 0 {
		d.Values, d.Counts = append(d.Values, 1), append(d.Counts, float64(n))
	}
	return d
}

func timed(d types.MetricDatum, name string, h *histogram) types.MetricDatum {
	d.MetricName, d.Unit = &name, types.StandardUnitMilliseconds
	d.Values, d.Counts = h.milliseconds()
	return d
}

// sizes is about the bodies of requests, or of answers, that are not empty.
type sizes struct {
	count, sum, least, most int64 // the last three in bytes
}

func (s *sizes) add(n int64) {
	if n <= 0 {
		return
	}
	if s.count == 0 || n < s.least {
		s.least = n
	}
	s.count, s.sum, s.most = s.count+1, s.sum+n, max(s.most, n)
}

func (s *sizes) datum(d types.MetricDatum, name string) types.MetricDatum {
	d.MetricName, d.Unit = &name, types.StandardUnitBytes
	d.StatisticValues = &types.StatisticSet{
		SampleCount: aws.Float64(float64(s.count)),
		Sum:         aws.Float64(float64(s.sum)),
		Minimum:     aws.Float64(float64(s.least)),
		Maximum:     aws.Float64(float64(s.most)),
	}
	return d
}
