package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestBackupUsage(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"backup"}, "backup needs one place: a directory or s3://BUCKET/PREFIX; see headwater backup --help"},
		{[]string{"backup", "a", "b"}, "backup needs one place: a directory or s3://BUCKET/PREFIX; see headwater backup --help"},
		{[]string{"backup", "a", "--endpoint", "host:1"}, "--endpoint must be an http or https URL, such as http://127.0.0.1:8484; see headwater backup --help"},
		{[]string{"restore", "a"}, "restore needs a backup, which is a directory or s3://BUCKET/PREFIX, and --data; see headwater restore --help"},
		{[]string{"restore", "--data", "a"}, "restore needs a backup, which is a directory or s3://BUCKET/PREFIX, and --data; see headwater restore --help"},
	} {
		if got, want := run(t, nil, test.args...), (result{exitUsage, "", "headwater: " + test.want + "\n"}); got != want {
			t.Errorf("%v: %+v, want %+v", test.args, got, want)
		}
	}
}

// TestBackupNobodyThere: a place that is not made is not left behind.
func TestBackupNobodyThere(t *testing.T) {
	to := t.TempDir() + "/backup"
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDAKIDAKIDAKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	got := run(t, nil, "backup", to, "--endpoint", "http://127.0.0.1:1")
	if got.Code != exitFailure || !strings.Contains(got.Stderr, "connection refused") {
		t.Errorf("%+v", got)
	}
	if got := run(t, nil, "restore", to, "--data", t.TempDir()); got.Code != exitFailure || !strings.Contains(got.Stderr, "there is no backup, or one that was not completed") {
		t.Errorf("%+v", got)
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p, stop := startProgress(&out, 4_000_000)
	p.moved(3_000_000)
	p.moved(-1_500_000)
	if got := p.String(); got != "1.5 MB of 4.0 MB, 37 %" {
		t.Errorf("%q", got)
	}
	stop()
	if out.Len() > 0 {
		t.Errorf("what is no terminal was told %q", &out)
	}
	if got := (&progress{}).String(); got != "0 B of 0 B, 100 %" {
		t.Errorf("of nothing: %q", got)
	}
}
