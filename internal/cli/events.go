package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func newEvents(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "events",
		Short:             "Look at the changes of objects and containers",
		Long:              `Look at the changes of objects and containers, as a running server tells of them.`,
		Example:           `  headwater events tail`,
		Args:              knownVerb,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newEventsTail(p))
	return cmd
}

func newEventsTail(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print changes as they happen",
		Long: `Print a line for each object that is stored or removed and each container that
is created or removed, as it happens, until Ctrl-C. A connection that is lost is
made again, and goes on where it was.

Credentials and the region are found as the AWS CLI finds them: in the
environment, or in the profile of ~/.aws.`,
		Example: `  headwater events tail

  # One container, one channel
  headwater events tail --container movies --prefix live/channel1/

  # All that the server still knows of, and what comes then, as JSON
  headwater events tail --after 0 --json | jq .detail.URL`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	t := &tailing{Process: p}
	f := cmd.Flags()
	f.SortFlags = false
	t.addEndpoint(f)
	f.StringArrayVar(&t.containers, "container", nil, "`NAME` of a container, instead of all; may be given more than once")
	f.StringVar(&t.prefix, "prefix", "", "`PATH` that an object's path must begin with")
	f.StringVar(&t.after, "after", "", "`POSITION` of the event to go on after, 0 for all that are kept, instead of now")
	f.BoolVar(&t.asJSON, "json", false, "print each event as a JSON object on a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := t.check(); err != nil {
			return usagef(cmd, "%s", err)
		}
		return t.run(cmd.Context())
	}
	return cmd
}

const (
	silence      = time.Minute // after which a connection is lost: a server says something every 15 s
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
)

// tailing is a look at the stream of events.
type tailing struct {
	Process
	client

	containers []string
	prefix     string
	after      string // the place: at first as it is given, then of the last event
	asJSON     bool

	heard bool // the server has said something since the connection was made
}

func (t *tailing) check() error {
	if err := t.checkEndpoint(); err != nil {
		return err
	}
	if _, err := strconv.ParseUint(t.after, 10, 64); t.after != "" && err != nil {
		return fmt.Errorf("--after must be the position of an event, a whole number")
	}
	return nil
}

// run prints events until ctx ends, or the server refuses, or there never was one.
func (t *tailing) run(ctx context.Context) (err error) {
	if err := t.load(ctx); err != nil {
		return err
	}
	pause, connected := firstPause, false
	for {
		t.heard = false
		err := t.listen(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if connected = connected || t.heard; !connected || final(err) {
			return err
		}
		if t.heard {
			pause = firstPause
		}
		fmt.Fprintf(t.Stderr, "headwater: connection lost after position %s (%s); trying again\n", t.after, err)
		if !rest(ctx, pause/2+rand.N(pause/2)) {
			return nil
		}
		pause = min(2*pause, longestPause)
	}
}

// rest returns false when ctx ended first.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// outputError says that nobody reads what is printed.
type outputError struct{ err error }

func (e *outputError) Error() string { return e.err.Error() }

func (e *outputError) Unwrap() error { return e.err }

// final reports whether it is no use to try again.
func final(err error) bool {
	var refused *refusal
	var output *outputError
	if errors.As(err, &refused) {
		return refused.status < 500 && refused.status != http.StatusTooManyRequests
	}
	return errors.As(err, &output)
}

// listen prints events until the connection is lost.
func (t *tailing) listen(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(silence, func() { cancel(errSilence) })
	defer quiet.Stop()
	r, err := t.request(ctx)
	if err != nil {
		return err
	}
	answer, err := t.do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	err = t.printAll(newEventStream(answer.Body, func() {
		quiet.Reset(silence)
		t.heard = true
	}))
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

var (
	errSilence = errors.New("nothing was heard for a minute")
	errEnded   = errors.New("the server has ended it")
)

// printAll prints the events of a stream, and notes its place, until it ends.
func (t *tailing) printAll(events *eventStream) error {
	for {
		e, err := events.next()
		if events.lastID != "" {
			t.after = events.lastID
		}
		if errors.Is(err, io.EOF) {
			return errEnded
		}
		if err != nil {
			return err
		}
		if err := t.print(e); err != nil {
			return err
		}
	}
}

// request asks for the stream from the place on.
func (t *tailing) request(ctx context.Context) (*http.Request, error) {
	query := url.Values{"container": t.containers}
	if t.prefix != "" {
		query.Set("prefix", t.prefix)
	}
	r, err := t.newRequest(ctx, http.MethodGet, "/-/events?"+query.Encode())
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/event-stream")
	if t.after != "" {
		r.Header.Set("Last-Event-ID", t.after)
	}
	return r, t.sign(r)
}

// changeEvent is what is printed of an event's envelope.
type changeEvent struct {
	Time   string `json:"time"`
	Detail struct {
		ContainerName, Operation, Path string
		ObjectSize                     *int64
	} `json:"detail"`
}

// print prints an event, and tells of a gap apart from the events.
func (t *tailing) print(e serverEvent) error {
	switch e.name {
	case "object-state-change", "container-state-change":
	case "gap":
		var lost struct{ Missed uint64 }
		_ = json.Unmarshal([]byte(e.data), &lost)
		fmt.Fprintf(t.Stderr, "headwater: %s\n", missed(lost.Missed))
		return nil
	default: // of a newer server
		return nil
	}
	line := e.data
	if !t.asJSON {
		var change changeEvent
		if err := json.Unmarshal([]byte(e.data), &change); err != nil {
			return &refusal{http.StatusOK, "the server sent an event that is not JSON"}
		}
		line = change.String()
	}
	if _, err := fmt.Fprintln(t.Stdout, printable(line)); err != nil {
		return &outputError{err}
	}
	return nil
}

func missed(n uint64) string {
	if n == 0 {
		return "the server does not know that position: events may have been missed"
	}
	return fmt.Sprintf("%d events were missed: the server does not keep them any more", n)
}

// String returns the event in one line for people.
func (e *changeEvent) String() string {
	d := &e.Detail
	what := "(the container)"
	if d.Path != "" {
		what = d.Path
	}
	line := fmt.Sprintf("%s  %s  %-6s  %s", e.Time, d.ContainerName, d.Operation, what)
	if d.ObjectSize != nil {
		line += "  " + humanSize(*d.ObjectSize)
	}
	return line
}
