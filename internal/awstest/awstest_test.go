package awstest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"headwater/internal/awstest"
)

// TestRealClientIsTaken: the official SDK, with what its default chain finds.
func TestRealClientIsTaken(t *testing.T) {
	awstest.SetCredentials(t)
	var target string
	url := awstest.Serve(t, "logs", func(c awstest.Call) (int, string, string) {
		target = c.Header.Get("X-Amz-Target")
		return http.StatusOK, "application/x-amz-json-1.1", `{}`
	})
	cfg, err := awsconfig.LoadDefaultConfig(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	client := cloudwatchlogs.NewFromConfig(cfg, func(o *cloudwatchlogs.Options) { o.BaseEndpoint = &url })
	if _, err := client.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("/g")}); err != nil {
		t.Fatal(err)
	}
	if target != "Logs_20140328.CreateLogGroup" {
		t.Errorf("the test got the target %q", target)
	}
}

// recorder is a testing.TB that notes failures instead of failing.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestUnsignedIsRefused(t *testing.T) {
	r := &recorder{TB: t}
	url := awstest.Serve(r, "logs", func(awstest.Call) (int, string, string) { return http.StatusOK, "", "" })
	res, err := http.Post(url, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden || !r.failed {
		t.Errorf("an unsigned request is answered %d", res.StatusCode)
	}
}
