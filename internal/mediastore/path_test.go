package mediastore_test

import (
	"strings"
	"testing"

	"headwater/internal/mediastore"
)

func TestParsePath(t *testing.T) {
	levels := func(n int) string { return strings.Repeat("d/", n) + "o" }
	for _, test := range []struct {
		in   string
		want mediastore.Path // empty: refused
	}{
		{"a", "a"},
		{"/a", "a"},
		{"a/b/c.ts", "a/b/c.ts"},
		{"AZaz09_=:.-~", "AZaz09_=:.-~"},
		{"..a/a../...", "..a/a../..."},
		{levels(10), mediastore.Path(levels(10))},
		{strings.Repeat("a", 900), mediastore.Path(strings.Repeat("a", 900))},

		{"", ""},
		{"/", ""},
		{"//a", ""},
		{"a//b", ""},
		{"a/", ""},
		{"./a", ""},
		{"a/../b", ""},
		{"..", ""},
		{"a b", ""},
		{"a%20b", ""},
		{"a?b", ""},
		{"ä", ""},
		{"a\x00b", ""},
		{levels(11), ""},
		{strings.Repeat("a", 901), ""},
	} {
		got, err := mediastore.ParsePath(test.in, mediastore.DefaultPathLimits)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("ParsePath(%.40q) = %.40q, %v; want %.40q", test.in, got, err, test.want)
		}
		if err != nil && !mediastore.IsKind(err, mediastore.KindInvalid) {
			t.Errorf("ParsePath(%.40q): %v is not of the kind invalid", test.in, err)
		}
	}
}

func TestParseFolder(t *testing.T) {
	for _, test := range []struct {
		in   string
		want mediastore.Folder
		ok   bool
	}{
		{"", "", true}, {"/", "", true}, {"a", "a", true}, {"/a/", "a", true}, {"a/b/", "a/b", true},
		{"//", "", false}, {"a//b", "", false}, {"..", "", false}, {"a b", "", false},
		{strings.Repeat("d/", 11), mediastore.Folder(strings.Repeat("d/", 10) + "d"), true},
		{strings.Repeat("d/", 12), "", false},
	} {
		got, err := mediastore.ParseFolder(test.in, mediastore.DefaultPathLimits)
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("ParseFolder(%q) = %q, %v", test.in, got, err)
		}
	}
}

func TestSplitAndJoin(t *testing.T) {
	for path, want := range map[mediastore.Path][2]string{"a": {"", "a"}, "a/b": {"a", "b"}, "a/b/c": {"a/b", "c"}} {
		folder, name := path.Split()
		if folder != mediastore.Folder(want[0]) || name != want[1] || folder.Join(name) != path {
			t.Errorf("%q splits into %q and %q, which join to %q", path, folder, name, folder.Join(name))
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"a", "/a/b", "a//b", "../a", "a/b/", strings.Repeat("a/", 12)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := mediastore.ParsePath(s, mediastore.DefaultPathLimits)
		if err != nil {
			if p != "" || !mediastore.IsKind(err, mediastore.KindInvalid) {
				t.Fatalf("ParsePath(%q) = %q, %v", s, p, err)
			}
			return
		}
		if again, err := mediastore.ParsePath(string(p), mediastore.DefaultPathLimits); err != nil || again != p {
			t.Fatalf("ParsePath(%q) = %q, which is then read as %q, %v", s, p, again, err)
		}
		folder, name := p.Split()
		if folder.Join(name) != p || name == "" {
			t.Fatalf("%q splits into %q and %q", p, folder, name)
		}
		if f, err := mediastore.ParseFolder(string(folder), mediastore.DefaultPathLimits); err != nil || f != folder {
			t.Fatalf("the folder %q of an accepted path is read as %q, %v", folder, f, err)
		}
	})
}

func TestParseNames(t *testing.T) {
	for s, ok := range map[string]bool{"a": true, "A_-9": true, strings.Repeat("a", 255): true, "": false, "a b": false, "a/b": false, "ä": false, strings.Repeat("a", 256): false} {
		if _, err := mediastore.ParseContainerName(s); (err == nil) != ok {
			t.Errorf("container name %.20q: %v", s, err)
		}
	}
	for s, ok := range map[string]bool{"111122223333": true, "11112222333": false, "1111222233334": false, "11112222333x": false, "": false} {
		if _, err := mediastore.ParseAccountID(s); (err == nil) != ok {
			t.Errorf("account %q: %v", s, err)
		}
	}
	for s, ok := range map[string]bool{"abcdefghijklmn": true, "ABCDEFGHIJKLM9": true, "abcdefghijklm": false, "abcdefghijklmno": false, "abcdefghijklm-": false} {
		if got := mediastore.IsContainerID(s); got != ok {
			t.Errorf("container ID %q: %v", s, got)
		}
	}
}
