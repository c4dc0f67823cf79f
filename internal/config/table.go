package config

import (
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"headwater/internal/mediastore"
)

// Settings returns the table. Its order is the order in which values take
// effect, so the preset of the quotas comes before the quotas.
func Settings() []Setting {
	return slices.Concat(mainSettings(), networkSettings(), logSettings(), quotaSettings(), lifecycleSettings(), observeSettings(), credentialSettings())
}

func mainSettings() []Setting {
	return []Setting{
		{
			Name: "config", Form: "FILE", notFile: true,
			Help:    "YAML file to read settings from",
			binding: bind(func(c *Config) *string { return &c.File }, anything, asIs),
		},
		{
			Name: "data", Form: "DIR",
			Help:    "directory that holds all there is to keep; made when it does not exist",
			binding: bind(func(c *Config) *string { return &c.Data }, nonempty, asIs),
		},
		{
			Name: "engine", Form: "NAME", Choices: words(EngineLogstore, EngineMemory),
			Help:    "what keeps the objects: logstore, on disk, or memory, gone when the program ends",
			binding: bind(func(c *Config) *Engine { return &c.Engine }, oneOf(EngineLogstore, EngineMemory), asIs),
		},
		{
			Name: "region", Form: "REGION",
			Help:    "AWS region in ARNs and signatures: two words and a digit, because the ARNs of this API hold no other form (not us-gov-west-1)",
			binding: bind(func(c *Config) *string { return &c.Region }, parseRegion, asIs),
		},
		{
			Name: "account", Form: "DIGITS",
			Help:    "AWS account number in ARNs: 12 digits, which need not be a real account's",
			binding: bind(func(c *Config) *mediastore.AccountID { return &c.Account }, parseAccount, asIs),
		},
	}
}

func networkSettings() []Setting {
	return []Setting{
		{
			Name: "listen", Form: "HOST:PORT",
			Help:    "address to listen on; port 0 takes a free one, no host takes every interface",
			binding: bind(func(c *Config) *string { return &c.Listen }, parseListen, asIs),
		},
		{
			Name: "domain", Form: "NAME",
			Help:    "DNS domain that gives every container a host of its own, <id>.data.<domain>; without it containers are the first element of the path",
			binding: bind(func(c *Config) *string { return &c.Domain }, parseDomain, asIs),
		},
		{
			Name: "tls-cert", Form: "FILE",
			Help:    "PEM file with the TLS certificate and its chain; goes together with tls-key",
			binding: bind(func(c *Config) *string { return &c.TLSCert }, anything, asIs),
		},
		{
			Name: "tls-key", Form: "FILE",
			Help:    "PEM file with the certificate's private key; goes together with tls-cert",
			binding: bind(func(c *Config) *string { return &c.TLSKey }, anything, asIs),
		},
		{
			Name: "trusted-proxies", Form: "LIST", list: true,
			Help:    "IP addresses and CIDR blocks, with commas between them, whose X-Forwarded-For and X-Forwarded-Proto are believed",
			binding: bind(func(c *Config) *[]netip.Prefix { return &c.TrustedProxies }, parseProxies, formatProxies),
		},
		{
			Name: "drain-timeout", Form: "DURATION",
			Help:    "how long uploads and downloads that are under way may go on after SIGTERM; 0s cuts them",
			binding: bind(func(c *Config) *time.Duration { return &c.DrainTimeout }, parseDuration, formatDuration),
		},
	}
}

func logSettings() []Setting {
	levels := []string{"debug", "info", "warn", "error"}
	return []Setting{
		{
			Name: "log-format", Form: "FORMAT", Choices: words(LogText, LogJSON),
			Help:    "how log records are written: text or json",
			binding: bind(func(c *Config) *LogFormat { return &c.LogFormat }, oneOf(LogText, LogJSON), asIs),
		},
		{
			Name: "log-level", Form: "LEVEL", Choices: levels,
			Help:    "least severe record that is logged: debug, info, warn or error",
			binding: bind(func(c *Config) *slog.Level { return &c.LogLevel }, levelOf(levels), formatLevel),
		},
	}
}

func quotaSettings() []Setting {
	return []Setting{
		{
			Name: "quotas", Form: "PRESET", Choices: words(PresetHeadwater, PresetAWS),
			Help:    "what the quotas below are when they are not set: headwater, or aws for the limits that AWS documented (objects 25MB, streaming 10MB, uploads 30s)",
			binding: bindPreset(),
		},
		{
			Name: "max-object-size", Form: "SIZE",
			Help:    "bytes of an object, also as 25MB or 25MiB",
			binding: bind(func(c *Config) *ByteSize { return &c.Quotas.ObjectSize }, parseSize, ByteSize.String),
		},
		{
			Name: "max-streaming-object-size", Form: "SIZE",
			Help:    "bytes of an object that is uploaded with STREAMING availability",
			binding: bind(func(c *Config) *ByteSize { return &c.Quotas.StreamingSize }, parseSize, ByteSize.String),
		},
		{
			Name: "upload-timeout", Form: "DURATION",
			Help:    "longest that an upload may take; 0s is no limit",
			binding: bind(func(c *Config) *time.Duration { return &c.Quotas.UploadTimeout }, parseDuration, formatDuration),
		},
		{
			Name: "upload-idle-timeout", Form: "DURATION",
			Help:    "longest that an upload may pause between two bytes; 0s is no limit",
			binding: bind(func(c *Config) *time.Duration { return &c.Quotas.UploadIdleTimeout }, parseDuration, formatDuration),
		},
		quotaNumber("max-uploads", 1, 1_000_000, func(q *Quotas) *int { return &q.Uploads },
			"uploads under way at once; more are told to try again"),
		quotaNumber("max-path-length", 1, 4096, func(q *Quotas) *int { return &q.Path.Length },
			"characters in the path of an object"),
		quotaNumber("max-path-levels", 0, 255, func(q *Quotas) *int { return &q.Path.Levels },
			"folders above an object"),
		quotaNumber("max-containers", 1, 1_000_000, func(q *Quotas) *int { return &q.Containers },
			"containers in the account"),
		quotaNumber("max-metric-rules", 1, 300, func(q *Quotas) *int { return &q.MetricRules },
			"rules in a metric policy, of which the API can carry 300"),
	}
}

// quotaNumber returns the row of a quota that is a whole number within bounds.
func quotaNumber(name string, low, high int, field func(*Quotas) *int, help string) Setting {
	return Setting{
		Name: name, Form: "NUMBER", Help: help,
		binding: bind(func(c *Config) *int { return field(&c.Quotas) }, number(low, high), strconv.Itoa),
	}
}

// bindPreset binds the setting that sets all quotas at once.
func bindPreset() binding {
	parse := oneOf(PresetHeadwater, PresetAWS)
	return binding{
		set: func(c *Config, text string) error {
			preset, err := parse(text)
			if err == nil {
				c.Quotas = preset.quotas()
			}
			return err
		},
		get: func(c *Config) string { return string(c.Quotas.Preset) },
	}
}

// credentialSettings come from the environment only: flags show in the list of
// processes, and files are copied.
func credentialSettings() []Setting {
	return []Setting{
		{
			Name: "root-access-key", Form: "KEY", notFlag: true, notFile: true,
			Help:    "access key ID of the root user: 16 to 128 letters, digits or underscores; a key pair is generated when none is set",
			binding: bind(func(c *Config) *string { return &c.RootAccessKey }, parseAccessKey, asIs),
		},
		{
			Name: "root-secret-key", Form: "SECRET", notFlag: true, notFile: true, secret: true,
			Help:    "secret access key of the root user: 16 to 128 characters; goes together with root-access-key",
			binding: bind(func(c *Config) *Secret { return &c.RootSecretKey }, parseSecretKey, Secret.Reveal),
		},
	}
}
