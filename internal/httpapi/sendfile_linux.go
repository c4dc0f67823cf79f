package httpapi

import (
	"io"
	"net"
	"syscall"
)

const canSendFile = true

// sendFile sends up to length bytes of a file from an offset, without bringing them
// into the program.
func sendFile(c net.Conn, file uintptr, offset, length int64) (sent int64, err error) {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	for sent < length && err == nil {
		var n int
		var failed error
		err = raw.Write(func(fd uintptr) bool {
			n, failed = syscall.Sendfile(int(fd), int(file), &offset, int(length-sent))
			return failed != syscall.EAGAIN
		})
		switch {
		case failed == syscall.EINTR:
			continue
		case failed != nil:
			return sent, failed
		case err == nil && n == 0:
			return sent, io.ErrUnexpectedEOF // the file is shorter than it was
		}
		sent += int64(max(n, 0))
	}
	return sent, err
}
