package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lifecycle says how what the lifecycle policies demand is carried out.
type Lifecycle struct {
	Archive         string // directory or s3://bucket/prefix, empty for none
	ArchiveEndpoint string // URL of an S3-compatible server, empty for AWS
	SweepInterval   time.Duration
	SweepRate       int // objects removed or archived in a second
}

// Logs say where access logs and audit records go.
type Logs struct {
	Access      LogDestination
	Audit       LogDestination
	MaxSize     ByteSize // of a log file
	RotateEvery time.Duration
	Keep        int // old files of each log
}

// LogDestination is where a log goes.
type LogDestination string

// The destinations. Auto is a file, unless the engine keeps nothing on disk.
const (
	LogAuto       LogDestination = "auto"
	LogFile       LogDestination = "file"
	LogStdout     LogDestination = "stdout"
	LogCloudWatch LogDestination = "cloudwatch"
	LogOTLP       LogDestination = "otlp"
	LogOff        LogDestination = "off"
)

// Metrics say who gets them besides those who ask at /-/metrics.
type Metrics struct {
	Listen     string // HOST:PORT of a listener of their own, empty for none
	CloudWatch Switch
	Namespace  string // in CloudWatch
}

// Events say who is told of changes.
type Events struct {
	OnExpiry       Switch // also when an object expires by a transient rule
	Webhooks       []string
	WebhookSecret  Secret
	Bus            string // of EventBridge, empty for none
	Retain         int    // events kept for those who come later
	Limit          int    // events kept for those who do not take them
	MaxAge         time.Duration
	EventBridgeURL string
}

// AWS says how to reach AWS's own services. Credentials come from the SDK's
// default chain.
type AWS struct {
	Region         string // empty for the server's own
	CloudWatchURL  string // empty for AWS's
	CloudWatchLogs string
}

// OTLP says what is exported by OpenTelemetry's protocol.
type OTLP struct {
	Signals  []string
	Endpoint string // URL
}

// Exports reports whether a signal is exported.
func (o *OTLP) Exports(signal string) bool { return slices.Contains(o.Signals, signal) }

// Switch is a setting that is on or off.
type Switch bool

func parseSwitch(s string) (Switch, error) {
	if s != "true" && s != "false" {
		return false, fmt.Errorf("is %q: must be true or false", s)
	}
	return s == "true", nil
}

func formatSwitch(s Switch) string { return strconv.FormatBool(bool(s)) }

// switchRow returns the row of a setting that is on or off.
func switchRow(name string, field func(*Config) *Switch, help string) Setting {
	return Setting{
		Name: name, Form: "BOOL", Choices: []string{"true", "false"}, Bare: "true", Help: help,
		binding: bind(field, parseSwitch, formatSwitch),
	}
}

// numberRow returns the row of a setting that is a whole number within bounds.
func numberRow(name string, low, high int, field func(*Config) *int, help string) Setting {
	return Setting{Name: name, Form: "NUMBER", Help: help, binding: bind(field, number(low, high), strconv.Itoa)}
}

// urlRow returns the row of a setting that is the URL of a server, or empty.
func urlRow(name string, field func(*Config) *string, help string) Setting {
	return Setting{Name: name, Form: "URL", Help: help, binding: bind(field, parseURL, asIs)}
}

// durationRow returns the row of a setting that is a time longer than zero.
func durationRow(name string, field func(*Config) *time.Duration, help string) Setting {
	return Setting{Name: name, Form: "DURATION", Help: help, binding: bind(field, parseInterval, formatDuration)}
}

func lifecycleSettings() []Setting {
	return []Setting{
		{
			Name: "archive", Form: "DIR|s3://BUCKET/PREFIX",
			Help:    "cold tier that ARCHIVE rules move objects to: a directory on another disk, or an S3-compatible bucket; without one such objects are marked and stay",
			binding: bind(func(c *Config) *string { return &c.Lifecycle.Archive }, anything, asIs),
		},
		urlRow("archive-endpoint", func(c *Config) *string { return &c.Lifecycle.ArchiveEndpoint },
			"URL of the S3-compatible server of the cold tier; AWS S3 when it is not set"),
		durationRow("sweep-interval", func(c *Config) *time.Duration { return &c.Lifecycle.SweepInterval },
			"how often objects are held against lifecycle rules in days; a policy that is put is carried out at once, and rules in seconds always"),
		numberRow("sweep-rate", 1, 1_000_000, func(c *Config) *int { return &c.Lifecycle.SweepRate },
			"objects a second that lifecycle rules in days may remove, and ten times as many that they may look at"),
	}
}

func observeSettings() []Setting {
	return slices.Concat(recordSettings(), metricSettings(), eventSettings(), awsSettings())
}

func recordSettings() []Setting {
	access := []LogDestination{LogAuto, LogFile, LogStdout, LogCloudWatch, LogOTLP, LogOff}
	audit := []LogDestination{LogAuto, LogFile, LogStdout, LogOff}
	return []Setting{
		{
			Name: "access-log", Form: "DESTINATION", Choices: words(access...),
			Help:    "where the access logs of containers go: file (below the data directory), stdout, cloudwatch, otlp, off, or auto for file unless the engine is memory",
			binding: bind(func(c *Config) *LogDestination { return &c.Logs.Access }, oneOf(access...), asIs),
		},
		{
			Name: "audit-log", Form: "DESTINATION", Choices: words(audit...),
			Help:    "where the records of control-plane calls go: file (below the data directory), stdout, off, or auto for file unless the engine is memory",
			binding: bind(func(c *Config) *LogDestination { return &c.Logs.Audit }, oneOf(audit...), asIs),
		},
		{
			Name: "log-max-size", Form: "SIZE",
			Help:    "size at which a file of the access or audit log is rotated",
			binding: bind(func(c *Config) *ByteSize { return &c.Logs.MaxSize }, parseSize, ByteSize.String),
		},
		durationRow("log-rotate-every", func(c *Config) *time.Duration { return &c.Logs.RotateEvery },
			"age at which a file of the access or audit log is rotated"),
		numberRow("log-keep", 1, 10_000, func(c *Config) *int { return &c.Logs.Keep },
			"rotated files of each log that are kept"),
	}
}

func metricSettings() []Setting {
	return []Setting{
		{
			Name: "metrics-listen", Form: "HOST:PORT",
			Help:    "address of a second listener for /-/metrics, /-/live and /-/ready that asks for no credentials; keep it off public networks",
			binding: bind(func(c *Config) *string { return &c.Metrics.Listen }, optional(parseListen), asIs),
		},
		switchRow("cloudwatch-metrics", func(c *Config) *Switch { return &c.Metrics.CloudWatch },
			"send the metrics of containers with a metric policy to CloudWatch"),
		{
			Name: "cloudwatch-namespace", Form: "NAME",
			Help:    "namespace of the metrics in CloudWatch",
			binding: bind(func(c *Config) *string { return &c.Metrics.Namespace }, parseNamespace, asIs),
		},
		{
			Name: "otlp", Form: "LIST", list: true,
			Help:    "signals to export by OpenTelemetry's protocol over HTTP, with commas between them: metrics, traces",
			binding: bind(func(c *Config) *[]string { return &c.OTLP.Signals }, parseSignals, joinList),
		},
		urlRow("otlp-endpoint", func(c *Config) *string { return &c.OTLP.Endpoint },
			"URL of the OTLP collector, for the signals of otlp and for access-log otlp"),
	}
}

func eventSettings() []Setting {
	return []Setting{
		urlRow("public-url", func(c *Config) *string { return &c.PublicURL },
			"URL at which clients reach this server, for endpoints and for addresses in events; as the client names it, or else the listener's, when it is not set"),
		{
			Name: "webhook", Form: "URLS", list: true,
			Help:    "URLs, with commas between them, that changes of objects and containers are posted to as CloudEvents; needs HEADWATER_WEBHOOK_SECRET",
			binding: bind(func(c *Config) *[]string { return &c.Events.Webhooks }, parseURLs, joinList),
		},
		{
			Name: "webhook-secret", Form: "SECRET", notFlag: true, notFile: true, secret: true,
			Help:    "secret that webhook calls are signed with: 16 to 128 characters",
			binding: bind(func(c *Config) *Secret { return &c.Events.WebhookSecret }, parseSecretKey, Secret.Reveal),
		},
		{
			Name: "event-bus", Form: "NAME",
			Help:    "EventBridge bus that changes are sent to; none when it is not set",
			binding: bind(func(c *Config) *string { return &c.Events.Bus }, parseBus, asIs),
		},
		switchRow("events-on-expiry", func(c *Config) *Switch { return &c.Events.OnExpiry },
			"tell also of objects that a lifecycle rule in seconds has removed, as the AWS service does not"),
		numberRow("events-retain", 0, 10_000_000, func(c *Config) *int { return &c.Events.Retain },
			"newest events that are kept for those who read the live stream from an earlier place"),
		numberRow("events-limit", 1, 100_000_000, func(c *Config) *int { return &c.Events.Limit },
			"events that are kept for receivers that do not take them; beyond it the oldest are dropped"),
		durationRow("events-max-age", func(c *Config) *time.Duration { return &c.Events.MaxAge },
			"age at which an event that a receiver has not taken is dropped"),
	}
}

func awsSettings() []Setting {
	return []Setting{
		{
			Name: "aws-region", Form: "REGION",
			Help:    "region of the AWS services below and of the cold tier; the server's own when it is not set, except for a cold tier with archive-endpoint, which has the SDK's default or us-east-1",
			binding: bind(func(c *Config) *string { return &c.AWS.Region }, parseAWSRegion, asIs),
		},
		urlRow("cloudwatch-endpoint", func(c *Config) *string { return &c.AWS.CloudWatchURL },
			"URL of CloudWatch; AWS's own when it is not set"),
		urlRow("cloudwatch-logs-endpoint", func(c *Config) *string { return &c.AWS.CloudWatchLogs },
			"URL of CloudWatch Logs; AWS's own when it is not set"),
		urlRow("eventbridge-endpoint", func(c *Config) *string { return &c.Events.EventBridgeURL },
			"URL of EventBridge; AWS's own when it is not set"),
	}
}

// optional returns a parser that takes nothing, too.
func optional[T ~string](parse func(string) (T, error)) func(string) (T, error) {
	return func(s string) (T, error) {
		if s == "" {
			return "", nil
		}
		return parse(s)
	}
}

// parseURL takes the URL of a server, without what could hide a secret or be
// lost, or nothing.
func parseURL(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("is %q: must be an http or https URL without user, query and fragment", withoutPassword(u, s))
	}
	return strings.TrimRight(s, "/"), nil
}

// withoutPassword is a URL without the password that may be in it.
func withoutPassword(u *url.URL, s string) string {
	if u == nil {
		return "not a URL"
	}
	if u.User != nil {
		return u.Redacted()
	}
	return s
}

// parseURLs takes URLs of receivers, which may have a path and a query.
func parseURLs(s string) ([]string, error) {
	var list []string
	for _, entry := range splitList(s) {
		u, err := url.Parse(entry)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
			return nil, fmt.Errorf("has the entry %q: must be http or https URLs without user and fragment", withoutPassword(u, entry))
		}
		list = append(list, entry)
	}
	return list, nil
}

func parseSignals(s string) ([]string, error) {
	list := splitList(s)
	for _, signal := range list {
		if signal != "metrics" && signal != "traces" {
			return nil, fmt.Errorf("has the entry %q: must be metrics or traces; access logs are exported by access-log otlp", signal)
		}
	}
	return list, nil
}

func splitList(s string) []string {
	if s == "" {
		return nil
	}
	list := strings.Split(s, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

func joinList(list []string) string { return strings.Join(list, ",") }

// parseInterval takes a duration longer than zero.
func parseInterval(s string) (time.Duration, error) {
	d, err := parseDuration(s)
	if err == nil && d == 0 {
		err = fmt.Errorf("is %q: must be longer than zero", s)
	}
	return d, err
}

var (
	namespaceForm = regexp.MustCompile(`^[0-9A-Za-z.\-_/#:]{1,255}$`)
	busForm       = regexp.MustCompile(`^[/.\-_A-Za-z0-9:]{1,1000}$`)
	awsRegionForm = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
)

// parseNamespace takes what CloudWatch takes, except its own AWS/.
func parseNamespace(s string) (string, error) {
	if !namespaceForm.MatchString(s) || strings.HasPrefix(s, "AWS/") {
		return "", fmt.Errorf("is %q: must be 1 to 255 letters, digits or any of .-_/#:, and not begin with AWS/", s)
	}
	return s, nil
}

func parseBus(s string) (string, error) {
	if s != "" && !busForm.MatchString(s) {
		return "", fmt.Errorf("is %q: must be the name or the ARN of an event bus", s)
	}
	return s, nil
}

func parseAWSRegion(s string) (string, error) {
	if s != "" && !awsRegionForm.MatchString(s) {
		return "", fmt.Errorf("is %q: must be the name of a region, such as us-east-1", s)
	}
	return s, nil
}
