package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build says which program this is.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"` // of the commit, RFC 3339
	Modified bool   `json:"modified"`       // the sources differ from the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// describe joins what the linker was told with what the compiler recorded.
func describe(version string) build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return describeInfo(version, info)
}

func describeInfo(version string, info *debug.BuildInfo) build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String returns the description in one line.
func (b build) String() string {
	s := "headwater " + b.Version
	if b.Commit != "" {
		s += " commit " + b.Commit
	}
	if b.Modified {
		s += " with changes"
	}
	return s + " " + b.Go + " " + b.Platform
}

func newVersion(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print which version this is",
		Long: `Print the version of this program, the commit that it was built from, the Go
version that built it and the platform that it runs on, on one line.`,
		Example: `  headwater version
  headwater version --json`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	asJSON := cmd.Flags().Bool("json", false, "print a JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b := describe(p.Version)
		if *asJSON {
			return json.NewEncoder(p.Stdout).Encode(b)
		}
		_, err := fmt.Fprintln(p.Stdout, b)
		return err
	}
	return cmd
}
