package cloudwatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"golang.org/x/sync/errgroup"

	"headwater/internal/mediastore"
	"headwater/internal/telemetry/accesslog"
)

// LogsConfig is what Logs needs.
type LogsConfig struct {
	Region   string // of AWS; empty leaves it to the SDK's default chain
	Endpoint string // URL of CloudWatch Logs; empty leaves it to the region

	// Stream is the name of the log stream in every group: 1 to 512 characters, no
	// colon and no star. Each server needs its own.
	Stream string
}

// What PutLogEvents takes in one call.
const (
	maxEvents     = 10_000
	maxEventBytes = 1 << 20
	eventOverhead = 26 // bytes that each event counts for in addition to its own
	maxEventSpan  = 24 * time.Hour
)

const (
	writeTimeout = 30 * time.Second // for a Write, with all the SDK's attempts
	maxCalls     = 16               // at a time, each for another container
)

// Logs puts access log records into CloudWatch Logs, into the group
// /aws/mediastore/<container> where MediaStore put them. It is an accesslog.Sink.
//
// It keeps nothing: each Write makes one call for each container in its batch, or
// more when the limits of a call ask for it. The caller collects: what is logged
// during one Write is the batch of the next, so calls become fewer and larger the
// slower they are.
type Logs struct {
	client *cloudwatchlogs.Client
	stream string
}

var _ accesslog.Sink = (*Logs)(nil)

// NewLogs makes a Logs. It returns a KindInvalid error for a name that no stream
// can have, and when the SDK finds no region or cannot read its configuration.
func NewLogs(ctx context.Context, cfg LogsConfig) (*Logs, error) {
	if n := len(cfg.Stream); n < 1 || n > 512 || strings.ContainsAny(cfg.Stream, ":*") {
		return nil, mediastore.Invalid("Stream", "must be 1 to 512 characters without a colon or a star")
	}
	sdk, err := load(ctx, cfg.Region)
	if err != nil {
		return nil, err
	}
	client := cloudwatchlogs.NewFromConfig(sdk, func(o *cloudwatchlogs.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = &cfg.Endpoint
		}
	})
	return &Logs{client: client, stream: cfg.Stream}, nil
}

// lostError says how many of the records that were given to Write are lost.
type lostError struct {
	records int
	cause   error
}

func (e *lostError) Error() string {
	return fmt.Sprintf("%d access log records are lost: %v", e.records, e.cause)
}

func (e *lostError) Unwrap() error { return e.cause }

// Lost is the number of records.
func (e *lostError) Lost() int { return e.records }

// Write sends the records. It takes half a minute at most. When it cannot send
// those of one container, the others' are sent all the same; the error then has a
// method Lost() int, of how many records are lost.
func (l *Logs) Write(ctx context.Context, batch []accesslog.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	var mu sync.Mutex
	var total lostError
	var calls errgroup.Group
	calls.SetLimit(maxCalls)
	for container, events := range byContainer(batch) {
		calls.Go(func() error {
			lost, err := l.putAll(ctx, container, events)
			mu.Lock()
			defer mu.Unlock()
			total.records, total.cause = total.records+lost, errors.Join(total.cause, err)
			return nil
		})
	}
	_ = calls.Wait() // their errors are in total
	if total.records == 0 {
		return nil
	}
	return &total
}

// putAll sends the events of a container, in as many calls as it takes.
func (l *Logs) putAll(ctx context.Context, container mediastore.ContainerName, events []types.InputLogEvent) (lost int, failure error) {
	for _, part := range parts(events) {
		n, err := l.put(ctx, "/aws/mediastore/"+string(container), part)
		if err != nil {
			lost, failure = lost+n, fmt.Errorf("container %s: %w", container, err)
		}
	}
	return lost, failure
}

// Close does nothing: Write keeps nothing back.
func (l *Logs) Close() error { return nil }

// byContainer copies the records of each container, in the order of their times:
// they come in the order of their answers.
func byContainer(batch []accesslog.Entry) map[mediastore.ContainerName][]types.InputLogEvent {
	events := map[mediastore.ContainerName][]types.InputLogEvent{}
	for _, e := range batch {
		message, at := string(e.JSON), e.Time.UnixMilli()
		events[e.Container] = append(events[e.Container], types.InputLogEvent{Message: &message, Timestamp: &at})
	}
	for _, of := range events {
		slices.SortStableFunc(of, func(a, b types.InputLogEvent) int { return cmp.Compare(*a.Timestamp, *b.Timestamp) })
	}
	return events
}

// parts cuts the events where the limits of a call ask for it.
func parts(events []types.InputLogEvent) (calls [][]types.InputLogEvent) {
	first, bytes := 0, 0
	for i, e := range events {
		size := len(*e.Message) + eventOverhead
		span := time.Duration(*e.Timestamp-*events[first].Timestamp) * time.Millisecond
		if i > first && (i-first == maxEvents || bytes+size > maxEventBytes || span >= maxEventSpan) {
			calls = append(calls, events[first:i])
			first, bytes = i, 0
		}
		bytes += size
	}
	return append(calls, events[first:])
}

// put sends events in one call, and makes the group and the stream when they turn
// out to be missing. With an error it returns how many events are lost.
func (l *Logs) put(ctx context.Context, group string, events []types.InputLogEvent) (lost int, err error) {
	in := &cloudwatchlogs.PutLogEventsInput{LogGroupName: &group, LogStreamName: &l.stream, LogEvents: events}
	out, err := l.client.PutLogEvents(ctx, in)
	if isMissing(err) {
		if err = l.create(ctx, group); err == nil {
			out, err = l.client.PutLogEvents(ctx, in)
		}
	}
	if err != nil {
		return len(events), err
	}
	if n := rejected(out.RejectedLogEventsInfo, len(events)); n > 0 {
		return n, errRejected
	}
	return 0, nil
}

var errRejected = errors.New("they are too old or too new for CloudWatch Logs")

// rejected is how many of n events were not taken: some at the beginning that are
// too old, some at the end that are too new.
func rejected(info *types.RejectedLogEventsInfo, n int) int {
	if info == nil {
		return 0
	}
	begin, end := 0, n
	for _, i := range []*int32{info.TooOldLogEventEndIndex, info.ExpiredLogEventEndIndex} {
		if i != nil {
			begin = max(begin, int(*i))
		}
	}
	if i := info.TooNewLogEventStartIndex; i != nil {
		end = int(*i)
	}
	return min(n, max(0, begin)+max(0, n-end))
}

// create makes the stream, and the group first when there is none. That another
// server makes them at the same time is no error.
func (l *Logs) create(ctx context.Context, group string) error {
	err := l.createStream(ctx, group)
	if !isMissing(err) {
		return err
	}
	_, err = l.client.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &group})
	if err != nil && !exists(err) {
		return err
	}
	return l.createStream(ctx, group)
}

func (l *Logs) createStream(ctx context.Context, group string) error {
	_, err := l.client.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &l.stream})
	if exists(err) {
		return nil
	}
	return err
}

func isMissing(err error) bool {
	var e *types.ResourceNotFoundException
	return errors.As(err, &e)
}

func exists(err error) bool {
	var e *types.ResourceAlreadyExistsException
	return errors.As(err, &e)
}
