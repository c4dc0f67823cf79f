package cloudwatch

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headwater/internal/awstest"
	"headwater/internal/event"
	"headwater/internal/mediastore"
	"headwater/internal/metricpolicy"
)

var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

func at() time.Time { return noon }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func policy(t testing.TB, text string) *metricpolicy.Policy {
	t.Helper()
	p, err := metricpolicy.Parse([]byte(text), metricpolicy.MaxRules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const whole = `{"ContainerLevelMetrics":"ENABLED"}`

// request returns a request of so many milliseconds in all.
func request(p *metricpolicy.Policy, op event.Operation, path string, total int) *event.Request {
	return &event.Request{
		Operation: op, Container: "live", Metrics: p, Path: path, Status: http.StatusOK,
		Received: noon, BodyRead: noon, FirstByte: noon, LastByte: noon.Add(time.Duration(total) * time.Millisecond),
	}
}

// datum is a datum as it was on the wire.
type datum struct {
	Name, Dimensions, Unit    string
	At                        time.Time
	Values, Counts            []float64
	Samples, Sum, Least, Most float64
}

// decode reads the body of a call of PutMetricData.
func decode(t *testing.T, c awstest.Call) (namespace string, data []datum, size int) {
	t.Helper()
	body := c.Body
	if c.Header.Get("Content-Encoding") == "gzip" {
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	v, err := cbor.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	in := v.(cbor.Map)
	for _, d := range in["MetricData"].(cbor.List) {
		data = append(data, decodeDatum(t, d.(cbor.Map)))
	}
	return string(in["Namespace"].(cbor.String)), data, len(body)
}

func decodeDatum(t *testing.T, m cbor.Map) datum {
	t.Helper()
	when, err := cbor.AsTime(m["Timestamp"])
	if err != nil {
		t.Fatal(err)
	}
	d := datum{Name: string(m["MetricName"].(cbor.String)), Unit: string(m["Unit"].(cbor.String)), At: when.UTC()}
	for _, dim := range m["Dimensions"].(cbor.List) {
		d.Dimensions += fmt.Sprintf("%s=%s ", dim.(cbor.Map)["Name"], dim.(cbor.Map)["Value"])
	}
	d.Values, d.Counts = floats(t, m["Values"]), floats(t, m["Counts"])
	if set, ok := m["StatisticValues"].(cbor.Map); ok {
		all := floats(t, cbor.List{set["SampleCount"], set["Sum"], set["Minimum"], set["Maximum"]})
		d.Samples, d.Sum, d.Least, d.Most = all[0], all[1], all[2], all[3]
	}
	return d
}

func floats(t *testing.T, v cbor.Value) (all []float64) {
	t.Helper()
	list, _ := v.(cbor.List)
	for _, v := range list {
		f, err := cbor.AsFloat64(v)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

// serve starts a CloudWatch that takes everything and hands over each call.
func serve(t *testing.T, got func(awstest.Call)) *Metrics {
	t.Helper()
	awstest.SetCredentials(t)
	url := awstest.Serve(t, "monitoring", func(c awstest.Call) (int, string, string) {
		if c.URL.Path != "/service/GraniteServiceVersion20100801/operation/PutMetricData" {
			t.Errorf("a call of %s", c.URL.Path)
		}
		got(c)
		return http.StatusOK, "application/cbor", "\xa0" // an empty map
	})
	m, err := NewMetrics(t.Context(), Config{Endpoint: url, Now: at, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestWhatIsSent decodes what the official SDK sends, and compares it whole.
func TestWhatIsSent(t *testing.T) {
	var got []datum
	m := serve(t, func(c awstest.Call) {
		namespace, data, _ := decode(t, c)
		if namespace != "MediaStore" {
			t.Errorf("namespace %s", namespace)
		}
		got = append(got, data...)
	})
	p := policy(t, `{"ContainerLevelMetrics":"ENABLED","MetricPolicyRules":[{"ObjectGroup":"*.ts","ObjectGroupName":"segments"}]}`)
	put := request(p, event.PutObject, "a.ts", 8)
	put.BodyRead, put.FirstByte, put.BytesReceived, put.BytesSent = noon.Add(4*time.Millisecond), noon.Add(6*time.Millisecond), 1000, 120
	m.Request(put)
	big := *put
	big.BytesReceived = 3000
	m.Request(&big)
	for _, status := range []int{200, 304, 404, 429, 503} {
		get := request(p, event.GetObject, "a.m3u8", 2)
		get.Status = status
		m.Request(get)
	}
	m.Request(request(policy(t, `{"ContainerLevelMetrics":"DISABLED"}`), event.GetObject, "a", 1))
	m.Request(request(nil, event.GetObject, "a", 1))
	m.Request(request(p, "", "a", 1))
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	var want []datum
	for _, dimensions := range []string{"ContainerName=live RequestType=Put ", "ContainerName=live ObjectGroupName=segments RequestType=Put "} {
		want = append(want,
			datum{Name: "RequestCount", Dimensions: dimensions, Unit: "Count", Values: []float64{1}, Counts: []float64{2}},
			datum{Name: "4xxErrorCount", Dimensions: dimensions, Unit: "Count", Values: []float64{0}, Counts: []float64{2}},
			datum{Name: "5xxErrorCount", Dimensions: dimensions, Unit: "Count", Values: []float64{0}, Counts: []float64{2}},
			datum{Name: "ThrottleCount", Dimensions: dimensions, Unit: "Count", Values: []float64{0}, Counts: []float64{2}},
			datum{Name: "TotalTime", Dimensions: dimensions, Unit: "Milliseconds", Values: []float64{8}, Counts: []float64{2}},
			datum{Name: "TurnaroundTime", Dimensions: dimensions, Unit: "Milliseconds", Values: []float64{2}, Counts: []float64{2}},
			datum{Name: "BytesUploaded", Dimensions: dimensions, Unit: "Bytes", Samples: 2, Sum: 4000, Least: 1000, Most: 3000},
			datum{Name: "BytesDownloaded", Dimensions: dimensions, Unit: "Bytes", Samples: 2, Sum: 240, Least: 120, Most: 120},
		)
	}
	const gets = "ContainerName=live RequestType=Get "
	want = append(want,
		datum{Name: "RequestCount", Dimensions: gets, Unit: "Count", Values: []float64{1}, Counts: []float64{5}},
		datum{Name: "4xxErrorCount", Dimensions: gets, Unit: "Count", Values: []float64{0, 1}, Counts: []float64{3, 2}},
		datum{Name: "5xxErrorCount", Dimensions: gets, Unit: "Count", Values: []float64{0, 1}, Counts: []float64{4, 1}},
		datum{Name: "ThrottleCount", Dimensions: gets, Unit: "Count", Values: []float64{0, 1}, Counts: []float64{4, 1}},
		datum{Name: "TotalTime", Dimensions: gets, Unit: "Milliseconds", Values: []float64{2}, Counts: []float64{5}},
		datum{Name: "TurnaroundTime", Dimensions: gets, Unit: "Milliseconds", Values: []float64{0}, Counts: []float64{5}},
	)
	for i := range want {
		want[i].At = noon
	}
	sorted := cmpopts.SortSlices(func(a, b datum) bool { return a.Dimensions+a.Name < b.Dimensions+b.Name })
	if diff := cmp.Diff(want, got, sorted); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}

// TestCallsKeepTheLimits fills the histograms, so that calls end by their bytes,
// and then not, so that they end by their number of data.
func TestCallsKeepTheLimits(t *testing.T) {
	var sizes, numbers []int
	seen := map[string]bool{}
	m := serve(t, func(c awstest.Call) {
		_, data, size := decode(t, c)
		sizes, numbers = append(sizes, size), append(numbers, len(data))
		for _, d := range data {
			seen[d.Dimensions+d.Name] = true
			if len(d.Values) > 150 || len(d.Values) != len(d.Counts) {
				t.Errorf("%s has %d values and %d counts", d.Name, len(d.Values), len(d.Counts))
			}
		}
	})
	const containers = 300
	p := policy(t, whole)
	count := func(durations int) {
		for i := range containers {
			r := request(p, event.ListItems, "", 0)
			r.Container = mediastore.ContainerName(fmt.Sprintf("%s%d", strings.Repeat("c", 200), i))
			for n := range durations {
				r.LastByte = r.Received.Add(time.Duration(float64(shortest) * math.Pow(1.1, float64(n))))
				r.FirstByte = r.LastByte
				m.Request(r)
			}
		}
	}
	count(200)
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if biggest := slices.Max(sizes); biggest > 1_000_000 || biggest < 500_000 {
		t.Errorf("the largest call has %d bytes", biggest)
	}
	if len(seen) != 6*containers || m.Lost() != 0 {
		t.Errorf("%d metrics came, %d are lost", len(seen), m.Lost())
	}
	numbers = nil
	count(1)
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1000, 800}, numbers); diff != "" {
		t.Errorf("data in each call (-want +got):\n%s", diff)
	}
}

func TestSizesAreBounds(t *testing.T) {
	var estimate, size int
	m := serve(t, func(c awstest.Call) { _, _, size = decode(t, c) })
	r := request(policy(t, whole), event.PutObject, "a", 1)
	r.BytesReceived, r.BytesSent = 1, 1
	m.Request(r)
	s := series{}
	s.add(r)
	for _, c := range split(s.data(dimensions{"live", "", event.PutObject}, noon)) {
		estimate += c.bytes
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if size == 0 || size > estimate || size*2 < estimate {
		t.Errorf("a call of %d bytes is taken for %d", size, estimate)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	var sum, n float64
	for d := time.Duration(0); d < 10*time.Hour; d = d*21/20 + 7*time.Microsecond {
		h.add(d)
		sum, n = sum+float64(d)/1e6, n+1
		if i := binOf(d); i > 0 && i < bins-1 {
			low := float64(shortest) * math.Pow(step, float64(i-1))
			if float64(d) < low*0.9999 || float64(d) > low*step*1.0001 {
				t.Errorf("%v is in the bin of %v", d, time.Duration(low))
			}
		}
	}
	h.add(-time.Second)
	values, counts := h.milliseconds()
	var gotSum, gotN float64
	for i := range values {
		gotSum, gotN = gotSum+values[i]*counts[i], gotN+counts[i]
	}
	if !slices.IsSorted(values) || len(values) < 140 || len(values) > bins {
		t.Errorf("%d values: %v", len(values), values)
	}
	if gotN != n+1 || math.Abs(gotSum-sum) > sum/1e9 {
		t.Errorf("%v samples with a sum of %v ms, want %v and %v", gotN, gotSum, n+1, sum)
	}
}

// fake is a CloudWatch that does what it is told.
type fake struct {
	answer func(ctx context.Context) error
	calls  []*cloudwatch.PutMetricDataInput
}

func (f *fake) PutMetricData(ctx context.Context, in *cloudwatch.PutMetricDataInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.PutMetricDataOutput, error) {
	err := f.answer(ctx)
	if err == nil {
		f.calls = append(f.calls, in)
	}
	return nil, err
}

func (f *fake) times() (all []string) {
	for _, c := range f.calls {
		all = append(all, c.MetricData[0].Timestamp.UTC().Format(time.TimeOnly))
	}
	return all
}

func works(context.Context) error { return nil }

func hangs(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// TestRun sends at full minutes, keeps through an outage, and catches up. Each
// minute's data have the time at which it began, also when they come late.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		midnight := time.Now()
		cloud := &fake{answer: func(ctx context.Context) error {
			if since := time.Since(midnight); since > 90*time.Second && since < 210*time.Second {
				return hangs(ctx)
			}
			return nil
		}}
		time.Sleep(20 * time.Second)
		m := newMetrics(cloud, Config{Now: time.Now, Log: quiet(), Namespace: "Mine"})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { m.Run(ctx); close(done) }()
		for range 5 {
			m.Request(request(policy(t, whole), event.GetObject, "a", 1))
			time.Sleep(time.Minute)
		}
		cancel()
		<-done
		if diff := cmp.Diff([]string{"00:00:20", "00:01:00", "00:02:00", "00:03:00", "00:04:00"}, cloud.times()); diff != "" {
			t.Errorf("times (-want +got):\n%s", diff)
		}
		if *cloud.calls[0].Namespace != "Mine" || m.Lost() != 0 {
			t.Errorf("namespace %s, %d data lost", *cloud.calls[0].Namespace, m.Lost())
		}
	})
}

// TestADeadCloudWatchStopsNothing: requests go on, and Close ends by its deadline.
func TestADeadCloudWatchStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetrics(&fake{answer: hangs}, Config{Now: time.Now, Log: quiet()})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { m.Run(ctx); close(done) }()
		p := policy(t, whole)
		m.Request(request(p, event.GetObject, "a", 1))
		time.Sleep(75 * time.Second) // a call is under way
		start := time.Now()
		m.Request(request(p, event.GetObject, "a", 1))
		cancel()
		<-done
		if waited := time.Since(start); waited != 0 {
			t.Errorf("a request and the end of Run took %v", waited)
		}
		deadline, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := m.Close(deadline); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second {
			t.Errorf("Close took %v: %v", time.Since(start), err)
		}
		if m.Lost() != 12 { // six metrics of each interval
			t.Errorf("%d data are lost, want 12", m.Lost())
		}
	})
}

func TestWhatIsRefusedIsDropped(t *testing.T) {
	cloud := &fake{}
	m := newMetrics(cloud, Config{Now: at, Log: quiet()})
	for _, test := range []struct {
		code string
		lost uint64
		kept int
	}{
		{"InvalidParameterValue", 6, 0},
		{"MissingRequiredParameterException", 12, 0},
		{"AccessDenied", 12, 1},
	} {
		cloud.answer = func(context.Context) error { return &smithy.GenericAPIError{Code: test.code} }
		m.Request(request(policy(t, whole), event.GetObject, "a", 1))
		_ = m.flush(t.Context())
		if m.Lost() != test.lost || len(m.sending.queue) != test.kept {
			t.Errorf("%s: %d data are lost and %d calls kept", test.code, m.Lost(), len(m.sending.queue))
		}
	}
}

func TestTheOldestIsLostFirst(t *testing.T) {
	cloud := &fake{answer: func(context.Context) error { return errors.New("not reached") }}
	m := newMetrics(cloud, Config{Now: at, Log: quiet()})
	for range 40 {
		m.sending.queue = append(m.sending.queue, call{bytes: 1 << 20})
	}
	m.sending.queue[7].data = make([]types.MetricDatum, 6)
	m.Request(request(policy(t, whole), event.GetObject, "a", 1))
	_ = m.flush(t.Context())
	if n := len(m.sending.queue); n != 32 || m.Lost() != 6 {
		t.Errorf("%d calls are kept, %d data lost", n, m.Lost())
	}
	if last := m.sending.queue[31]; len(last.data) != 6 {
		t.Error("the newest is lost")
	}
}

func TestSeriesAreBounded(t *testing.T) {
	m := newMetrics(&fake{answer: works}, Config{Now: at, Log: quiet()})
	r := request(policy(t, whole), event.GetObject, "a", 1)
	for i := range maxSeries + 10 {
		r.Container = mediastore.ContainerName(fmt.Sprint(i))
		m.Request(r)
	}
	r.Container = "1"
	m.Request(r)
	tally := m.take()
	if n := len(slices.Collect(maps.Keys(tally.series))); n != maxSeries || tally.uncounted != 10 {
		t.Errorf("%d series, %d requests not counted", n, tally.uncounted)
	}
	if n := tally.series[dimensions{"1", "", event.GetObject}].requests; n != 2 {
		t.Errorf("a known series counts %d requests, want 2", n)
	}
}

func TestARegionIsNeeded(t *testing.T) {
	awstest.SetCredentials(t)
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if _, err := NewMetrics(t.Context(), Config{Now: at}); !mediastore.IsKind(err, mediastore.KindInvalid) {
		t.Errorf("without a region: %v", err)
	}
	if _, err := NewLogs(t.Context(), LogsConfig{Stream: "s"}); !mediastore.IsKind(err, mediastore.KindInvalid) {
		t.Errorf("without a region: %v", err)
	}
	if _, err := NewMetrics(t.Context(), Config{Now: at, Region: "eu-west-1"}); err != nil {
		t.Errorf("with a region: %v", err)
	}
}

func BenchmarkRequest(b *testing.B) {
	m := newMetrics(nil, Config{Now: at, Log: quiet()})
	r := request(policy(b, `{"ContainerLevelMetrics":"ENABLED","MetricPolicyRules":[{"ObjectGroup":"*.ts","ObjectGroupName":"segments"}]}`), event.GetObject, "a/b/c.ts", 7)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Request(r)
		}
	})
}
