package mediastore

import (
	"strings"
)

// AccountID is an AWS account number: 12 digits.
type AccountID string

// ContainerName is a container's name: 1 to 255 letters, digits, underscores
// and hyphens, unique in an account and region, case-sensitive.
type ContainerName string

// ContainerID is the name of a container on the data plane: 14 lower-case
// letters or digits, assigned when the container is created, never reused.
type ContainerID string

// ETag names one version of an object: hexadecimal digits without quotes. Two
// versions never share one, not even when their bytes are the same.
type ETag string

// Sizes of the identifiers, in characters.
const (
	AccountIDLength   = 12
	ContainerIDLength = 14
	maxContainerName  = 255
)

// ParseAccountID checks that s has the form of an account number.
func ParseAccountID(s string) (AccountID, error) {
	if len(s) != AccountIDLength || !all(s, isDigit) {
		return "", Invalid("account", "%q is not an account number: it must be %d digits", s, AccountIDLength)
	}
	return AccountID(s), nil
}

// ParseContainerName checks that s has the form of a container name.
func ParseContainerName(s string) (ContainerName, error) {
	if len(s) < 1 || len(s) > maxContainerName || !all(s, isNameByte) {
		return "", Invalid("containerName", "must be 1 to %d letters, digits, underscores or hyphens", maxContainerName)
	}
	return ContainerName(s), nil
}

// IsContainerID reports whether s has the form of a container ID. It accepts
// upper case too, so that a mistyped endpoint is answered as an unknown
// container and not as an unknown resource.
func IsContainerID(s string) bool {
	return len(s) == ContainerIDLength && all(s, isAlnum)
}

func all(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlnum(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isNameByte(c byte) bool { return isAlnum(c) || c == '_' || c == '-' }

func isPathByte(c byte) bool { return isNameByte(c) || strings.IndexByte("=:.~", c) >= 0 }
