// Package metricpolicy says which groups of objects a request counts in.
//
// It turns a container's metric policy, once parsed, and a path into the names
// of groups. It must not know what is measured or where the numbers go.
package metricpolicy

import (
	"iter"
	"strings"

	"headwater/internal/glob"
	"headwater/internal/mediastore"
)

// GroupName is the name under which a group of objects is measured: 1 to 30
// letters, digits and underscores.
type GroupName string

// Policy is a parsed metric policy. It is immutable.
type Policy struct {
	containerLevel bool
	groups         []group
}

type group struct {
	name  GroupName
	paths []glob.Pattern // of whole paths
	files []glob.Pattern // of the last elements of paths
}

// ContainerLevel reports whether the container as a whole is measured.
func (p *Policy) ContainerLevel() bool { return p.containerLevel }

// Names yields the name of every group, in the order of the policy.
func (p *Policy) Names() iter.Seq[GroupName] {
	return func(yield func(GroupName) bool) {
		for i := range p.groups {
			if !yield(p.groups[i].name) {
				return
			}
		}
	}
}

// Groups yields the name of every group that the object or folder at the path
// is in, in the order of the policy.
func (p *Policy) Groups(path mediastore.Path) iter.Seq[GroupName] {
	return func(yield func(GroupName) bool) {
		_, file := path.Split()
		for i := range p.groups {
			if g := &p.groups[i]; g.holds(string(path), file) && !yield(g.name) {
				return
			}
		}
	}
}

func (g *group) holds(path, file string) bool {
	return glob.MatchAny(g.paths, path) || glob.MatchAny(g.files, file)
}

// define sets what is in the group.
//
// The text is a path, with or without a slash in front: of an object, or of a
// folder, which stands for all that lies below it, and for that alone when a
// slash ends it. A last element with a star is the name of objects: "*.m3u8" has
// no part in what lies in a folder "a.m3u8". A text without any slash is the
// name of a file in whatever folder as well.
func (g *group) define(text string) {
	path := strings.Trim(text, "/")
	last := path[strings.LastIndexByte(path, '/')+1:]
	switch {
	case path == "":
		g.paths = []glob.Pattern{glob.Compile("*")}
	case strings.HasSuffix(text, "/"):
		g.paths = []glob.Pattern{glob.Compile(path + "/*")}
	case strings.Contains(last, "*"):
		g.paths = []glob.Pattern{glob.Compile(path)}
	default:
		g.paths = []glob.Pattern{glob.Compile(path), glob.Compile(path + "/*")}
	}
	if !strings.Contains(text, "/") {
		g.files = []glob.Pattern{glob.Compile(text)}
	}
}
