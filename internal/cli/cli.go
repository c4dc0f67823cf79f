// Package cli is the command line: one file per verb, and the table from errors
// to exit codes.
//
// It reads flags and writes for people. What a setting means lives in config and
// what a server does in app; a verb only puts the two together. It must not
// touch the process: arguments, environment, streams and signals are given in,
// so that tests run it as a value.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"headwater/internal/config"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // what was asked for could not be done
	exitUsage   = 2 // the command line or the configuration is wrong; nothing was begun
)

// Process is what a program gets from the system.
type Process struct {
	Args    []string // without the program's name
	Env     []string // NAME=value
	Stdin   io.Reader
	Stdout  io.Writer // what was asked for
	Stderr  io.Writer // errors and the log
	Version string    // set when the program was built, may be empty
}

// Main runs the verb that the arguments name, until it is done or ctx ends, and
// returns the exit code.
func Main(ctx context.Context, p Process) int {
	root := newRoot(p)
	root.SetArgs(slices.Concat([]string{}, p.Args)) // nil would mean os.Args
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	return report(p.Stderr, root.ExecuteContext(ctx))
}

// report tells what went wrong, one line for each thing, and returns the exit
// code.
func report(w io.Writer, err error) int {
	var invalid *config.Error
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &invalid):
		for _, problem := range invalid.Problems {
			fmt.Fprintf(w, "headwater: %s\n", problem)
		}
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(w, "headwater: %s; see %s --help\n", usage.message, usage.command)
		return exitUsage
	default:
		fmt.Fprintf(w, "headwater: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		return exitFailure
	}
}

// usageError is a command line that makes no sense.
type usageError struct{ message, command string }

func (e *usageError) Error() string { return e.message }

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), cmd.CommandPath()}
}

// newRoot returns the whole tree of verbs.
func newRoot(p Process) *cobra.Command {
	root := &cobra.Command{
		Use:   "headwater",
		Short: "Live-video origin and object store that speaks the AWS Elemental MediaStore API",
		Long: `Headwater is a live-video origin and object store in one program. It speaks the
AWS Elemental MediaStore API, so encoders, players, CDNs, SDKs and
infrastructure code that were made for that service work with it unchanged.

Segments can be read while they are still uploaded; what was acknowledged is on
disk, and seen by every read that begins later.`,
		Example: `  # See a live channel in the browser, with nothing installed or configured
  headwater demo

  # Run a server for this machine only, with its data below /var/lib
  headwater serve --data /var/lib/headwater

  # Let the AWS CLI talk to it
  aws mediastore list-containers --endpoint-url http://127.0.0.1:8484`,
		Version:       describe(p.Version).Version,
		SilenceErrors: true, // report writes them
		SilenceUsage:  true,
		Args:          knownVerb,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", ".FlagUsagesWrapped 96 "))
	root.SetVersionTemplate("headwater {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usagef(cmd, "%s", err) })
	root.AddCommand(newServe(p), newDemo(p), newEvents(p), newFsck(p), newBackup(p), newRestore(p), newBench(p), newConfig(p), newVersion(p), newCompletion())
	return root
}

// knownVerb refuses a verb that does not exist, or that a group of verbs does
// not have.
func knownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf(" (did you mean %s?)", near[0])
	}
	return usagef(cmd, "unknown command %q%s", args[0], hint)
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef(cmd, "%s takes no arguments, but was given %q", cmd.CommandPath(), args[0])
	}
	return nil
}
