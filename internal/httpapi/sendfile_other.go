//go:build !linux

package httpapi

import (
	"errors"
	"net"
)

const canSendFile = false

func sendFile(net.Conn, uintptr, int64, int64) (int64, error) { return 0, errors.ErrUnsupported }
