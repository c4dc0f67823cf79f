package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"headwater/internal/config"
)

// settingFlag is the flag of a setting. It keeps the text: config reads it.
type settingFlag struct {
	setting config.Setting
	given   map[string]string
}

func (f settingFlag) Set(text string) error {
	f.given[f.setting.Name] = text
	return nil
}

// String returns the default, for the help text.
func (f settingFlag) String() string { return f.setting.Default() }

// Type returns what stands for a value in the help text.
func (f settingFlag) Type() string { return f.setting.Form }

// addSettings gives cmd a flag for each setting that may have one, or only for
// the named ones. The values given are in the map once cmd runs.
func addSettings(cmd *cobra.Command, only ...string) (given map[string]string) {
	given = make(map[string]string)
	cmd.Flags().SortFlags = false
	for _, s := range config.Settings() {
		if s.IsFlag() && (len(only) == 0 || slices.Contains(only, s.Name)) {
			cmd.Flags().VarPF(settingFlag{s, given}, s.Name, "", s.Help).NoOptDefVal = s.Bare
			completeSetting(cmd, &s)
		}
	}
	return given
}

// completeSetting tells the shell what values a setting's flag can have.
func completeSetting(cmd *cobra.Command, s *config.Setting) {
	complete := cobra.FixedCompletions(s.Choices, cobra.ShellCompDirectiveNoFileComp)
	switch s.Form {
	case "FILE":
		complete = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	case "DIR":
		complete = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	}
	if err := cmd.RegisterFlagCompletionFunc(s.Name, complete); err != nil {
		panic(err) // the flag does not exist, or has one already
	}
}
