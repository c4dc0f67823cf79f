package mediastore

import "strings"

// Path is the full name of an object in its container: elements joined by "/",
// with no slash at either end. The last element is the object's name, those
// before it are its folders.
type Path string

// Folder is the full name of a folder: elements joined by "/", with no slash at
// either end. The empty Folder is the container's root.
type Folder string

// PathLimits bounds a path. MediaStore's own are DefaultPathLimits.
type PathLimits struct {
	Length int // characters in the whole path
	Levels int // folders above the object
}

// DefaultPathLimits are MediaStore's documented limits.
var DefaultPathLimits = PathLimits{Length: 900, Levels: 10}

// ParsePath turns what a client sent, percent-decoding already done, into a
// Path. One leading slash names the same object as none. Elements are made of
// letters, digits and "_=:.-~"; an empty element is refused, and so are "." and
// "..", which clients and proxies resolve before they send (RFC 3986, section
// 5.2.4), so that no request could ever name them.
func ParsePath(s string, limits PathLimits) (Path, error) {
	s = strings.TrimPrefix(s, "/")
	if s == "" {
		return "", Invalid("Path", "must not be empty")
	}
	if err := checkElements(s, limits.Length); err != nil {
		return "", err
	}
	if levels := strings.Count(s, "/"); levels > limits.Levels {
		return "", Invalid("Path", "has %d folder levels: at most %d are allowed", levels, limits.Levels)
	}
	return Path(s), nil
}

// ParseFolder turns the folder a client asks to list into a Folder. One slash
// at either end is taken for granted; the empty string and "/" are the root.
func ParseFolder(s string, limits PathLimits) (Folder, error) {
	if s == "" || s == "/" {
		return "", nil
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "/"), "/")
	if err := checkElements(s, limits.Length); err != nil {
		return "", err
	}
	if levels := strings.Count(s, "/") + 1; levels > limits.Levels+1 {
		return "", Invalid("Path", "has %d levels: at most %d are allowed", levels, limits.Levels+1)
	}
	return Folder(s), nil
}

func checkElements(s string, limit int) error {
	if len(s) > limit {
		return Invalid("Path", "has %d characters: at most %d are allowed", len(s), limit)
	}
	for element := range strings.SplitSeq(s, "/") {
		switch {
		case element == "":
			return Invalid("Path", "has an empty element: two slashes in a row, or one at the end, are not allowed")
		case element == "." || element == "..":
			return Invalid("Path", "has the element %q, which is not allowed", element)
		case !all(element, isPathByte):
			return Invalid("Path", "may only use letters, digits and _=:.-~ in its elements")
		}
	}
	return nil
}

// Split returns the folder an object lies in and its name there.
func (p Path) Split() (Folder, string) { return split(string(p)) }

// Split returns the folder that f lies in and its name there. The root is in
// itself and has no name.
func (f Folder) Split() (Folder, string) { return split(string(f)) }

func split(s string) (Folder, string) {
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		return Folder(s[:i]), s[i+1:]
	}
	return "", s
}

// Join returns the path of the object called name in the folder.
func (f Folder) Join(name string) Path {
	if f == "" {
		return Path(name)
	}
	return Path(string(f) + "/" + name)
}
