package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBoto3 runs the scripts in the folder python with Debian's boto3 and both of
// its signers, each against a server of its own and through a watcher. A script
// that is content prints nothing.
func TestBoto3(t *testing.T) {
	for _, test := range []struct {
		script  string
		flags   []string // of the server
		answers []string // that the watcher has to have seen
	}{
		{"journey.py", nil, nil},
		{"paginators.py", []string{"--max-containers", "200"}, nil},
		{"presigned.py", nil, []string{"ListContainers 200", "DescribeContainer InvalidSignatureException", "PutObject RequestExpired", "GetObject IncompleteSignatureException"}},
		{"uploads.py", nil, []string{"PutObject BadDigestException"}},
		{"paths.py", nil, []string{"GetObject ValidationException", "DescribeObject ValidationException", "DeleteObject ValidationException", "PutObject ValidationException"}},
		{"errors.py", []string{"--max-containers", "4", "--max-object-size", "100KB", "--max-streaming-object-size", "50KB"}, []string{"PutObject RequestEntityTooLargeException"}},
		{"policies.py", []string{"--trusted-proxies", "127.0.0.1"}, []string{"ListItems AccessDeniedException"}},
		{"cors.py", nil, nil},
	} {
		for signer, setting := range map[string]string{"botocore": "BOTO_DISABLE_CRT=true", "CRT": "BOTO_DISABLE_CRT=false"} {
			t.Run(test.script+" "+signer, func(t *testing.T) {
				t.Parallel()
				w := watch(t, start(t, test.flags...))
				runPython(t, w.URL, test.script, setting)
				if t.Failed() {
					return
				}
				w.wantSeen(test.answers...)
				switch test.script { // these two leave nothing out
				case "journey.py":
					w.wantSeen(everySuccess(w.control, w.data)...)
				case "errors.py":
					w.wantSeen(everyError(w.control, w.data)...)
				}
			})
		}
	}
}

// runPython runs one of the scripts on an endpoint. What is set is added to its
// environment: name=value pairs.
func runPython(t *testing.T, url, script string, set ...string) {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", filepath.Join("python", script))
	cmd.Env = append(append(clientEnv(url), "HEADWATER_ACCOUNT="+account, "PYTHONDONTWRITEBYTECODE=1"), set...)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%s: %v\n%s", script, err, out)
	}
}
