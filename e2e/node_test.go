package e2e

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

// TestJavaScriptSDK takes the core journey with the AWS SDK for JavaScript v3.
func TestJavaScriptSDK(t *testing.T) {
	w := watch(t, start(t))
	hung, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(hung, "node", "journey.mjs")
	cmd.Dir = "node"
	cmd.Env = clientEnv(w.URL)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.wantSeen(journeyOutcomes...)
}

// journeyOutcomes are what both SDKs' journeys have to come across.
var journeyOutcomes = []string{
	"CreateContainer 200", "CreateContainer ContainerInUseException", "CreateContainer ValidationException",
	"DescribeContainer 200", "DescribeContainer ContainerNotFoundException",
	"ListContainers 200", "ListContainers UnrecognizedClientException", "ListContainers InvalidSignatureException",
	"DeleteContainer 200", "DeleteContainer ContainerInUseException",
	"TagResource 200", "UntagResource 200", "ListTagsForResource 200",
	"StartAccessLogging 200", "StopAccessLogging 200",
	"PutContainerPolicy 200", "PutContainerPolicy ValidationException",
	"GetContainerPolicy 200", "GetContainerPolicy PolicyNotFoundException", "DeleteContainerPolicy 200",
	"PutLifecyclePolicy 200", "GetLifecyclePolicy 200", "GetLifecyclePolicy PolicyNotFoundException", "DeleteLifecyclePolicy 200",
	"PutCorsPolicy 200", "GetCorsPolicy 200", "GetCorsPolicy CorsPolicyNotFoundException", "DeleteCorsPolicy 200",
	"PutMetricPolicy 200", "GetMetricPolicy 200", "GetMetricPolicy PolicyNotFoundException", "DeleteMetricPolicy 200",
	"PutObject 200", "PutObject ValidationException",
	"GetObject 200", "GetObject 206", "GetObject ObjectNotFoundException", "GetObject RequestedRangeNotSatisfiableException",
	"GetObject ContainerNotFoundException",
	"DescribeObject 200", "DescribeObject ObjectNotFoundException",
	"ListItems 200", "ListItems ValidationException",
	"DeleteObject 200", "DeleteObject ObjectNotFoundException",
}
