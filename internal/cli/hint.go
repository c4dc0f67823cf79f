package cli

import (
	"errors"
	"fmt"
	"syscall"
)

// withHint adds what to do about errors that people meet at the first start.
func withHint(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; take a free port with --listen 127.0.0.1:0", err)
	}
	return err
}
