// Package config turns flags, the environment and a file into one Config.
//
// Every setting is one row of the table that Settings returns. Flags,
// environment variables, file keys, defaults, the checks and the documentation
// all come from that row, so that they cannot tell different stories. The
// package must not know what the settings are for: it names no engine's type
// and opens nothing but the configuration file.
package config

import (
	"log/slog"
	"net/netip"
	"time"

	"headwater/internal/mediastore"
)

// Config is the program's configuration. Load fills it; one that is built by
// hand should begin as Default and be held against Validate.
type Config struct {
	File string // the configuration file, empty when there is none

	Listen         string // HOST:PORT; port 0 takes a free one
	Data           string // directory
	Engine         Engine
	Region         string
	Account        mediastore.AccountID
	Domain         string // DNS name in lower case, empty for path style only
	TLSCert        string // PEM file, empty for plain HTTP
	TLSKey         string // PEM file
	TrustedProxies []netip.Prefix
	LogFormat      LogFormat
	LogLevel       slog.Level
	DrainTimeout   time.Duration // 0 cuts what is under way at once

	PublicURL string // empty for the host that a client names

	Quotas    Quotas
	Lifecycle Lifecycle
	Logs      Logs
	Metrics   Metrics
	Events    Events
	AWS       AWS
	OTLP      OTLP

	RootAccessKey string // empty when the program is to generate a key pair
	RootSecretKey Secret
}

// Quotas bound what clients may take.
type Quotas struct {
	Preset Preset

	ObjectSize    ByteSize
	StreamingSize ByteSize // of an object uploaded with STREAMING availability

	UploadTimeout     time.Duration // for a whole upload; 0 for no limit
	UploadIdleTimeout time.Duration // between two bytes of it; 0 for no limit

	Uploads     int // under way at once
	Path        mediastore.PathLimits
	Containers  int
	MetricRules int // in one metric policy
}

// Engine names what keeps the objects.
type Engine string

// The engines.
const (
	EngineLogstore Engine = "logstore"
	EngineMemory   Engine = "memory"
)

// LogFormat is how a log record is written.
type LogFormat string

// The log formats.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Preset names a set of quotas.
type Preset string

// The presets: Headwater's own, and the documented limits of AWS Elemental
// MediaStore.
const (
	PresetHeadwater Preset = "headwater"
	PresetAWS       Preset = "aws"
)

// quotas returns what a preset stands for.
func (p Preset) quotas() Quotas {
	q := Quotas{
		Preset:            p,
		ObjectSize:        1 << 30,
		StreamingSize:     1 << 30,
		UploadIdleTimeout: 30 * time.Second,
		Uploads:           1000,
		Path:              mediastore.DefaultPathLimits,
		Containers:        100,
		MetricRules:       5,
	}
	if p == PresetAWS {
		q.ObjectSize = 25e6
		q.StreamingSize = 10e6
		q.UploadTimeout = 30 * time.Second
	}
	return q
}

// Default returns the configuration that is in force when nothing is set.
func Default() Config {
	return Config{
		Listen:       "127.0.0.1:8484",
		Data:         "./headwater-data",
		Engine:       EngineLogstore,
		Region:       "us-east-1",
		Account:      "000000000000",
		LogFormat:    LogText,
		LogLevel:     slog.LevelInfo,
		DrainTimeout: 10 * time.Second,
		Quotas:       PresetHeadwater.quotas(),
		Lifecycle:    Lifecycle{SweepInterval: time.Hour, SweepRate: 2000},
		Logs:         Logs{Access: LogAuto, Audit: LogAuto, MaxSize: 100e6, RotateEvery: 24 * time.Hour, Keep: 10},
		Metrics:      Metrics{Namespace: "MediaStore"},
		Events:       Events{Retain: 10_000, Limit: 1_000_000, MaxAge: 24 * time.Hour},
		OTLP:         OTLP{Endpoint: "http://127.0.0.1:4318"},
	}
}

// TLS reports whether the listener speaks TLS.
func (c *Config) TLS() bool { return c.TLSCert != "" }

// Validate holds every setting against its rule. The error, an *Error, lists all
// that is wrong, not only the first.
func (c *Config) Validate() error {
	var problems []Problem
	var scratch Config
	for _, s := range Settings() {
		// A value is right when the text it prints as would have been taken.
		if err := s.set(&scratch, s.get(c)); err != nil {
			problems = append(problems, Problem{Setting: s.Name, Message: err.Error()})
		}
	}
	return asError(append(problems, c.checkPairs()...))
}

// checkPairs holds the rules that concern two settings.
func (c *Config) checkPairs() []Problem {
	var problems []Problem
	missing := func(name, other string) {
		problems = append(problems, Problem{Setting: name, Message: "must be set, because " + other + " is: the two go together"})
	}
	switch {
	case c.TLSCert == "" && c.TLSKey != "":
		missing("tls-cert", "tls-key")
	case c.TLSCert != "" && c.TLSKey == "":
		missing("tls-key", "tls-cert")
	}
	switch {
	case c.RootAccessKey == "" && !c.RootSecretKey.IsZero():
		missing("root-access-key", "root-secret-key")
	case c.RootAccessKey != "" && c.RootSecretKey.IsZero():
		missing("root-secret-key", "root-access-key")
	}
	if len(c.Events.Webhooks) > 0 && c.Events.WebhookSecret.IsZero() {
		missing("webhook-secret", "webhook")
	}
	return problems
}
