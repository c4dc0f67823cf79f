package cli

import (
	"io"

	"github.com/spf13/cobra"

	"headwater/internal/config"
)

func newConfig(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Look at the configuration",
		Long: `Look at the configuration that a server would run with. Nothing is started or
changed.`,
		Example: "  headwater config print --config /etc/headwater.yaml",
		Args:    knownVerb,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigPrint(p))
	return cmd
}

func newConfigPrint(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Check the configuration and print it",
		Long: `Read flags, environment and file as serve would, and print each setting with its
value and where the value came from. What is printed can be used as a
configuration file. Secrets are not shown.

When something is wrong, every problem is listed and the exit code is 2: this
makes a check before a restart.`,
		Example: `  # See what is in force, and why
  headwater config print --config /etc/headwater.yaml

  # Begin a configuration file with the defaults
  headwater config print > headwater.yaml

  # Check a file before it is used
  headwater config print --config new.yaml > /dev/null && echo right`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addSettings(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		loaded, err := config.Load(config.Input{Flags: flags, Env: p.Env})
		if err != nil {
			return err
		}
		_, err = io.WriteString(p.Stdout, loaded.Print())
		return err
	}
	return cmd
}
