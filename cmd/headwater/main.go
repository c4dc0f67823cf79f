// Command headwater is a live-video origin and object store that speaks the AWS
// Elemental MediaStore API.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"headwater/internal/cli"
)

// version is set by the linker: -X main.version=v1.2.3.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal kills
	os.Exit(cli.Main(ctx, cli.Process{
		Args: os.Args[1:], Env: os.Environ(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Version: version,
	}))
}
