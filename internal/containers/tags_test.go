package containers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headwater/internal/mediastore"
)

// tags reads "key=value key=value".
func tags(s string) []mediastore.Tag {
	var list []mediastore.Tag
	for field := range strings.FieldsSeq(s) {
		key, value, _ := strings.Cut(field, "=")
		list = append(list, mediastore.Tag{Key: key, Value: value})
	}
	return list
}

// manyTags returns n tags with keys k00, k01, …
func manyTags(n int) []mediastore.Tag {
	var list []mediastore.Tag
	for i := range n {
		list = append(list, mediastore.Tag{Key: fmt.Sprintf("k%02d", i), Value: "old"})
	}
	return list
}

func TestTag(t *testing.T) {
	for _, test := range []struct {
		name       string
		have, more []mediastore.Tag
		want       []mediastore.Tag // nil: refused
	}{
		{"the first", nil, tags("b=2 a=1"), tags("a=1 b=2")},
		{"they merge", tags("a=1 c=3"), tags("b=2"), tags("a=1 b=2 c=3")},
		{"a new value", tags("a=1 b=2"), tags("a=9"), tags("a=9 b=2")},
		{"an empty value", tags("a=1"), tags("a="), tags("a=")},
		{"keys have case", tags("a=1"), tags("A=2"), tags("A=2 a=1")},
		{"not quite reserved", nil, tags("aws=1 my-aws:x=2"), tags("aws=1 my-aws:x=2")},
		{"as many as there may be", manyTags(49), manyTags(50)[49:], manyTags(50)},
		{"a new value when full", manyTags(50), tags("k00=old"), manyTags(50)},

		{"one too many", manyTags(50), tags("one-more="), nil},
		{"too many at once", nil, manyTags(51), nil},
		{"a key twice", nil, tags("a=1 a=1"), nil},
		{"reserved", nil, tags("aws:x=1"), nil},
		{"reserved in upper case", nil, tags("AWS:x=1"), nil},
		{"reserved in mixed case", tags("a=1"), tags("b=2 aWs:=1"), nil},
	} {
		e := newEngine(t)
		s := newService(t, e)
		store(t, e, mediastore.Container{Name: "movies", Status: mediastore.StatusActive, Tags: test.have})
		err := s.Tag(t.Context(), account, "movies", test.more)
		want := test.want
		if want == nil {
			wantKind(t, test.name, err, mediastore.KindInvalid)
			want = test.have
		} else if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		got, err := s.Tags(t.Context(), account, "movies")
		must(t, err)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestCreateChecksTags(t *testing.T) {
	s := newService(t, newEngine(t))
	for name, bad := range map[string][]mediastore.Tag{
		"too many":    manyTags(51),
		"a key twice": {{Key: "a"}, {Key: "a"}},
		"reserved":    {{Key: "aws:a"}},
	} {
		_, err := s.Create(context.Background(), account, "movies", bad)
		wantKind(t, name, err, mediastore.KindInvalid)
	}
	_, err := s.Describe(t.Context(), account, "movies")
	wantKind(t, "Describe", err, mediastore.KindContainerNotFound)
}

func TestUntag(t *testing.T) {
	e := newEngine(t)
	s := newService(t, e)
	store(t, e, mediastore.Container{Name: "movies", Status: mediastore.StatusActive, Tags: manyTags(4)})
	for _, step := range []struct {
		keys []string
		want []mediastore.Tag
	}{
		{[]string{"k01", "K02", "unknown", "k01"}, tags("k00=old k02=old k03=old")},
		{[]string{"k00", "k02", "k03"}, nil},
		{[]string{"k00"}, nil},
	} {
		must(t, s.Untag(t.Context(), account, "movies", step.keys))
		got, err := s.Tags(t.Context(), account, "movies")
		must(t, err)
		if diff := cmp.Diff(step.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("without %q (-want +got):\n%s", step.keys, diff)
		}
	}
}
