package cli

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// shells are those that completion scripts can be written for.
func shells() []string { return []string{"bash", "fish", "powershell", "zsh"} }

func newCompletion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a completion script for bash, fish, powershell or zsh",
		Long: `Print a script that makes a shell complete Headwater's commands, flags and
values. The shell is bash, fish, powershell or zsh.`,
		Example: `  # bash, in this session (the bash-completion package must be there)
  source <(headwater completion bash)

  # bash, for every session
  headwater completion bash > ~/.local/share/bash-completion/completions/headwater

  # zsh, for every session
  headwater completion zsh > "${fpath[1]}/_headwater"

  # fish, for every session
  headwater completion fish > ~/.config/fish/completions/headwater.fish`,
		ValidArgs: shells(),
		Args:      oneShell,
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeCompletion(cmd.OutOrStdout(), cmd.Root(), args[0])
		},
	}
}

func oneShell(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || !slices.Contains(shells(), args[0]) {
		return usagef(cmd, "completion needs one shell: %s", strings.Join(shells(), ", "))
	}
	return nil
}

func writeCompletion(w io.Writer, root *cobra.Command, shell string) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(w, true)
	case "fish":
		return root.GenFishCompletion(w, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(w)
	default:
		return root.GenZshCompletion(w)
	}
}
