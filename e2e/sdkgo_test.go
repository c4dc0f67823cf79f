package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/awserr"
	"github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/mediastore"
	"github.com/aws/aws-sdk-go/service/mediastoredata"
	"github.com/google/go-cmp/cmp"
)

// TestGoSDK takes the core journey with the AWS SDK for Go v1, which still has a
// client for the service and is what Terraform's provider was built on.
func TestGoSDK(t *testing.T) {
	w := watch(t, start(t))
	j := &goJourney{t: t, url: w.URL, control: mediastore.New(goSession(t, w.URL, accessKey, secretKey)), name: aws.String("journey_go")}
	j.create()
	j.listContainers()
	j.tags()
	j.accessLogging()
	j.documents()
	j.controlErrors()
	j.putWhole()
	j.putStream()
	j.presigned()
	j.listItems()
	j.dataErrors()
	j.delete()
	w.wantSeen(journeyOutcomes...)
}

// goSession is a session whose clients talk to endpoint and never try twice.
func goSession(t *testing.T, endpoint, key, secret string) *session.Session {
	t.Helper()
	s, err := session.NewSession(&aws.Config{
		Endpoint:    aws.String(endpoint),
		Region:      aws.String(region),
		Credentials: credentials.NewStaticCredentials(key, secret, ""),
		MaxRetries:  aws.Int(0),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// goJourney is one container on its way.
type goJourney struct {
	t       *testing.T
	url     string
	control *mediastore.MediaStore
	data    *mediastoredata.MediaStoreData
	name    *string
	arn     *string
}

// attempt is what a call returned.
type attempt[T any] struct {
	out T
	err error
}

func try[T any](out T, err error) attempt[T] { return attempt[T]{out, err} }

// ok returns what came out, and ends the test when nothing did.
func (a attempt[T]) ok(t *testing.T) T {
	t.Helper()
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.out
}

// fails checks the code and the status of the error.
func (a attempt[T]) fails(t *testing.T, code string, status int) {
	t.Helper()
	var failure awserr.RequestFailure
	if !errors.As(a.err, &failure) || failure.Code() != code || failure.StatusCode() != status || failure.RequestID() == "" {
		t.Errorf("got %v; want %s with status %d", a.err, code, status)
	}
}

func (j *goJourney) create() {
	created := try(j.control.CreateContainer(&mediastore.CreateContainerInput{
		ContainerName: j.name,
		Tags:          []*mediastore.Tag{{Key: aws.String("team"), Value: aws.String("live")}, {Key: aws.String("empty")}},
	})).ok(j.t).Container
	if *created.Status != mediastore.ContainerStatusCreating || created.Endpoint != nil || created.CreationTime.IsZero() {
		j.t.Errorf("created %v", created)
	}
	j.arn = created.ARN
	eventually(j.t, "the container is ACTIVE", func() bool { return *j.describe().Status == mediastore.ContainerStatusActive })
	j.data = mediastoredata.New(goSession(j.t, *j.describe().Endpoint, accessKey, secretKey))
}

func (j *goJourney) describe() *mediastore.Container {
	j.t.Helper()
	return try(j.control.DescribeContainer(&mediastore.DescribeContainerInput{ContainerName: j.name})).ok(j.t).Container
}

func (j *goJourney) listContainers() {
	for _, name := range []string{"go_a", "go_b", "go_c"} {
		try(j.control.CreateContainer(&mediastore.CreateContainerInput{ContainerName: &name})).ok(j.t)
	}
	var pages [][]string
	err := j.control.ListContainersPages(&mediastore.ListContainersInput{MaxResults: aws.Int64(3)}, func(page *mediastore.ListContainersOutput, _ bool) bool {
		var names []string
		for _, c := range page.Containers {
			names = append(names, *c.Name)
		}
		pages = append(pages, names)
		return true
	})
	if diff := cmp.Diff([][]string{{"go_a", "go_b", "go_c"}, {*j.name}}, pages); err != nil || diff != "" {
		j.t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func (j *goJourney) tags() {
	get := func() string {
		out := try(j.control.ListTagsForResource(&mediastore.ListTagsForResourceInput{Resource: j.arn})).ok(j.t)
		var tags []string
		for _, tag := range out.Tags {
			tags = append(tags, *tag.Key+"="+*tag.Value)
		}
		return strings.Join(tags, " ")
	}
	if got := get(); got != "empty= team=live" {
		j.t.Errorf("created with the tags %s", got)
	}
	try(j.control.TagResource(&mediastore.TagResourceInput{
		Resource: j.arn, Tags: []*mediastore.Tag{{Key: aws.String("team"), Value: aws.String("news")}},
	})).ok(j.t)
	try(j.control.UntagResource(&mediastore.UntagResourceInput{Resource: j.arn, TagKeys: []*string{aws.String("empty")}})).ok(j.t)
	if got := get(); got != "team=news" {
		j.t.Errorf("the tags are %s", got)
	}
}

func (j *goJourney) accessLogging() {
	try(j.control.StartAccessLogging(&mediastore.StartAccessLoggingInput{ContainerName: j.name})).ok(j.t)
	if !*j.describe().AccessLoggingEnabled {
		j.t.Error("access logging is not on")
	}
	try(j.control.StopAccessLogging(&mediastore.StopAccessLoggingInput{ContainerName: j.name})).ok(j.t)
	if *j.describe().AccessLoggingEnabled {
		j.t.Error("access logging is not off")
	}
}

// documents puts, gets and deletes each of the four.
func (j *goJourney) documents() {
	j.policy()
	j.lifecycle()
	j.cors()
	j.metric()
}

func (j *goJourney) policy() {
	text := `{ "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "mediastore:GetObject", "Resource": "` + *j.arn + `/*"}] }`
	try(j.control.PutContainerPolicy(&mediastore.PutContainerPolicyInput{ContainerName: j.name, Policy: &text})).ok(j.t)
	get := &mediastore.GetContainerPolicyInput{ContainerName: j.name}
	if got := try(j.control.GetContainerPolicy(get)).ok(j.t); *got.Policy != text {
		j.t.Errorf("the policy came back as %s", *got.Policy)
	}
	try(j.control.DeleteContainerPolicy(&mediastore.DeleteContainerPolicyInput{ContainerName: j.name})).ok(j.t)
	try(j.control.GetContainerPolicy(get)).fails(j.t, mediastore.ErrCodePolicyNotFoundException, http.StatusBadRequest)
}

func (j *goJourney) lifecycle() {
	text := `{ "rules": [{"definition": {"path": [{"wildcard": "live/*.ts"}], "seconds_since_create": [{"numeric": [">", 300]}]}, "action": "EXPIRE"}] }`
	try(j.control.PutLifecyclePolicy(&mediastore.PutLifecyclePolicyInput{ContainerName: j.name, LifecyclePolicy: &text})).ok(j.t)
	get := &mediastore.GetLifecyclePolicyInput{ContainerName: j.name}
	if got := try(j.control.GetLifecyclePolicy(get)).ok(j.t); *got.LifecyclePolicy != text {
		j.t.Errorf("the lifecycle policy came back as %s", *got.LifecyclePolicy)
	}
	try(j.control.DeleteLifecyclePolicy(&mediastore.DeleteLifecyclePolicyInput{ContainerName: j.name})).ok(j.t)
	try(j.control.GetLifecyclePolicy(get)).fails(j.t, mediastore.ErrCodePolicyNotFoundException, http.StatusBadRequest)
}

func (j *goJourney) cors() {
	rules := []*mediastore.CorsRule{{
		AllowedOrigins: aws.StringSlice([]string{"https://*.example.com"}),
		AllowedMethods: aws.StringSlice([]string{"GET", "HEAD"}),
		AllowedHeaders: aws.StringSlice([]string{"*"}),
		MaxAgeSeconds:  aws.Int64(60),
	}}
	try(j.control.PutCorsPolicy(&mediastore.PutCorsPolicyInput{ContainerName: j.name, CorsPolicy: rules})).ok(j.t)
	get := &mediastore.GetCorsPolicyInput{ContainerName: j.name}
	if diff := cmp.Diff(rules, try(j.control.GetCorsPolicy(get)).ok(j.t).CorsPolicy, ignoreUnexported); diff != "" {
		j.t.Errorf("the CORS policy (-want +got):\n%s", diff)
	}
	try(j.control.DeleteCorsPolicy(&mediastore.DeleteCorsPolicyInput{ContainerName: j.name})).ok(j.t)
	try(j.control.GetCorsPolicy(get)).fails(j.t, mediastore.ErrCodeCorsPolicyNotFoundException, http.StatusBadRequest)
}

func (j *goJourney) metric() {
	policy := &mediastore.MetricPolicy{
		ContainerLevelMetrics: aws.String("ENABLED"),
		MetricPolicyRules:     []*mediastore.MetricPolicyRule{{ObjectGroup: aws.String("live/*"), ObjectGroupName: aws.String("live")}},
	}
	try(j.control.PutMetricPolicy(&mediastore.PutMetricPolicyInput{ContainerName: j.name, MetricPolicy: policy})).ok(j.t)
	get := &mediastore.GetMetricPolicyInput{ContainerName: j.name}
	if diff := cmp.Diff(policy, try(j.control.GetMetricPolicy(get)).ok(j.t).MetricPolicy, ignoreUnexported); diff != "" {
		j.t.Errorf("the metric policy (-want +got):\n%s", diff)
	}
	try(j.control.DeleteMetricPolicy(&mediastore.DeleteMetricPolicyInput{ContainerName: j.name})).ok(j.t)
	try(j.control.GetMetricPolicy(get)).fails(j.t, mediastore.ErrCodePolicyNotFoundException, http.StatusBadRequest)
}

// ignoreUnexported is for the SDK's structures, which have a blank field each.
var ignoreUnexported = cmp.FilterPath(func(p cmp.Path) bool {
	field, ok := p.Last().(cmp.StructField)
	return ok && field.Name() == "_"
}, cmp.Ignore())

func (j *goJourney) controlErrors() {
	try(j.control.CreateContainer(&mediastore.CreateContainerInput{ContainerName: j.name})).fails(j.t, mediastore.ErrCodeContainerInUseException, http.StatusBadRequest)
	try(j.control.CreateContainer(&mediastore.CreateContainerInput{ContainerName: aws.String("no spaces")})).fails(j.t, "ValidationException", http.StatusBadRequest)
	try(j.control.DescribeContainer(&mediastore.DescribeContainerInput{ContainerName: aws.String("nowhere")})).fails(j.t, mediastore.ErrCodeContainerNotFoundException, http.StatusBadRequest)
	try(j.control.PutContainerPolicy(&mediastore.PutContainerPolicyInput{ContainerName: j.name, Policy: aws.String("{}")})).fails(j.t, "ValidationException", http.StatusBadRequest)
	try(mediastore.New(goSession(j.t, j.url, "AKIDSTRANGER", "x")).ListContainers(&mediastore.ListContainersInput{})).fails(j.t, "UnrecognizedClientException", http.StatusForbidden)
	try(mediastore.New(goSession(j.t, j.url, accessKey, "x")).ListContainers(&mediastore.ListContainersInput{})).fails(j.t, "InvalidSignatureException", http.StatusForbidden)
}

// putWhole puts a body of known length, and reads, describes and reads parts of
// it.
func (j *goJourney) putWhole() {
	body := bytes.Repeat([]byte("headwater"), 100_000)
	path := aws.String("movies/a=b:c~1.ts")
	put := try(j.data.PutObject(&mediastoredata.PutObjectInput{
		Path: path, Body: bytes.NewReader(body), ContentType: aws.String("video/mp2t"), CacheControl: aws.String("max-age=6"),
		StorageClass: aws.String(mediastoredata.StorageClassTemporal),
	})).ok(j.t)
	if *put.ContentSHA256 != hexSHA256(body) || *put.StorageClass != mediastoredata.StorageClassTemporal {
		j.t.Errorf("put %v", put)
	}
	got := try(j.data.GetObject(&mediastoredata.GetObjectInput{Path: path})).ok(j.t)
	if b := j.read(got); !bytes.Equal(b, body) || *got.ContentType != "video/mp2t" || *got.CacheControl != "max-age=6" || *got.ContentLength != int64(len(body)) {
		j.t.Errorf("got %d bytes with %v", len(b), got)
	}
	described := try(j.data.DescribeObject(&mediastoredata.DescribeObjectInput{Path: aws.String("/" + *path)})).ok(j.t)
	if *described.ContentLength != int64(len(body)) || strings.Trim(*described.ETag, `"`) != strings.Trim(*put.ETag, `"`) {
		j.t.Errorf("described %v; put %v", described, put)
	}
	for form, want := range map[string][]byte{"bytes=10-19": body[10:20], "bytes=-5": body[len(body)-5:], "bytes=899990-": body[899_990:]} {
		part := try(j.data.GetObject(&mediastoredata.GetObjectInput{Path: path, Range: &form})).ok(j.t)
		if b := j.read(part); !bytes.Equal(b, want) || *part.StatusCode != http.StatusPartialContent {
			j.t.Errorf("%s: %q with %v", form, b, part)
		}
	}
	try(j.data.GetObject(&mediastoredata.GetObjectInput{Path: path, Range: aws.String("bytes=900000-")})).fails(j.t, mediastoredata.ErrCodeRequestedRangeNotSatisfiableException, http.StatusRequestedRangeNotSatisfiable)
}

func (j *goJourney) read(got *mediastoredata.GetObjectOutput) []byte {
	j.t.Helper()
	defer got.Body.Close()
	return try(io.ReadAll(got.Body)).ok(j.t)
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// putStream puts a body of unknown length, which the SDK sends in chunks, and
// reads its first half before the second was sent.
func (j *goJourney) putStream() {
	half := bytes.Repeat([]byte("stream"), 100_000)
	path := aws.String("/live/segment.ts")
	body, upload := io.Pipe()
	done := make(chan attempt[*mediastoredata.PutObjectOutput], 1)
	go func() {
		done <- try(j.data.PutObject(&mediastoredata.PutObjectInput{
			Path: path, Body: aws.ReadSeekCloser(body), UploadAvailability: aws.String(mediastoredata.UploadAvailabilityStreaming),
		}))
		body.Close() // whatever it failed with, nobody waits to write more
	}()
	try(upload.Write(half)).ok(j.t)
	reader := j.follow(path)
	defer reader.Close()
	first := make([]byte, len(half))
	try(io.ReadFull(reader, first)).ok(j.t)
	try(upload.Write(half)).ok(j.t)
	upload.Close()
	rest := try(io.ReadAll(reader)).ok(j.t)
	if !bytes.Equal(first, half) || !bytes.Equal(rest, half) {
		j.t.Errorf("the reader got other bytes: %d and then %d", len(first), len(rest))
	}
	if put := (<-done).ok(j.t); *put.ContentSHA256 != hexSHA256(slices.Concat(half, half)) {
		j.t.Errorf("put %v", put)
	}
}

// follow opens an object that somebody has begun to upload.
func (j *goJourney) follow(path *string) io.ReadCloser {
	j.t.Helper()
	var got *mediastoredata.GetObjectOutput
	eventually(j.t, "the upload can be read", func() bool {
		var err error
		got, err = j.data.GetObject(&mediastoredata.GetObjectInput{Path: path})
		var missing *mediastoredata.ObjectNotFoundException
		if err != nil && !errors.As(err, &missing) {
			j.t.Fatal(err)
		}
		return err == nil
	})
	return got.Body
}

// presigned hands out URLs that work without credentials, for what they were
// signed for and no more.
func (j *goJourney) presigned() {
	path := aws.String("movies/pre=signed.txt")
	upload, _ := j.data.PutObjectRequest(&mediastoredata.PutObjectInput{Path: path, Body: strings.NewReader("not signed")})
	putURL, signed, err := upload.PresignRequest(time.Minute)
	if err != nil {
		j.t.Fatal(err)
	}
	download, _ := j.data.GetObjectRequest(&mediastoredata.GetObjectInput{Path: path})
	getURL := try(download.Presign(time.Minute)).ok(j.t)
	for _, step := range []struct {
		method, url, body string
		status            int
		answer            string
	}{
		{http.MethodPut, putURL, "by anybody", http.StatusOK, hexSHA256([]byte("by anybody"))},
		{http.MethodGet, getURL, "", http.StatusOK, "by anybody"},
		{http.MethodDelete, getURL, "", http.StatusForbidden, "InvalidSignatureException"},
		{http.MethodGet, strings.Replace(getURL, "Expires=60", "Expires=61", 1), "", http.StatusForbidden, "InvalidSignatureException"},
	} {
		req := try(http.NewRequest(step.method, step.url, strings.NewReader(step.body))).ok(j.t)
		if step.method == http.MethodPut {
			req.Header.Set("X-Amz-Content-Sha256", signed["x-amz-content-sha256"][0]) //nolint:staticcheck // this SDK signs it as a header, in lower case
		}
		res := try(http.DefaultClient.Do(req)).ok(j.t)
		body := try(io.ReadAll(res.Body)).ok(j.t)
		res.Body.Close()
		if res.StatusCode != step.status || !strings.Contains(string(body), step.answer) {
			j.t.Errorf("%s %s: %d %s", step.method, step.url, res.StatusCode, body)
		}
	}
}

func (j *goJourney) listItems() {
	for _, path := range []string{"list/o0", "list/o1", "list/o2", "list/folder/below"} {
		try(j.data.PutObject(&mediastoredata.PutObjectInput{Path: &path, Body: strings.NewReader(path)})).ok(j.t)
	}
	var pages [][]string
	err := j.data.ListItemsPages(&mediastoredata.ListItemsInput{Path: aws.String("/list"), MaxResults: aws.Int64(3)}, func(page *mediastoredata.ListItemsOutput, _ bool) bool {
		var items []string
		for _, item := range page.Items {
			items = append(items, *item.Type+" "+*item.Name)
		}
		pages = append(pages, items)
		return true
	})
	if diff := cmp.Diff([][]string{{"FOLDER folder", "OBJECT o0", "OBJECT o1"}, {"OBJECT o2"}}, pages); err != nil || diff != "" {
		j.t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func (j *goJourney) dataErrors() {
	try(j.data.GetObject(&mediastoredata.GetObjectInput{Path: aws.String("nowhere")})).fails(j.t, mediastoredata.ErrCodeObjectNotFoundException, http.StatusNotFound)
	try(j.data.DescribeObject(&mediastoredata.DescribeObjectInput{Path: aws.String("nowhere")})).fails(j.t, mediastoredata.ErrCodeObjectNotFoundException, http.StatusNotFound)
	try(j.data.DeleteObject(&mediastoredata.DeleteObjectInput{Path: aws.String("nowhere")})).fails(j.t, mediastoredata.ErrCodeObjectNotFoundException, http.StatusNotFound)
	try(j.data.PutObject(&mediastoredata.PutObjectInput{Path: aws.String("a b"), Body: strings.NewReader("x")})).fails(j.t, "ValidationException", http.StatusBadRequest)
	try(j.data.ListItems(&mediastoredata.ListItemsInput{NextToken: aws.String("made up")})).fails(j.t, "ValidationException", http.StatusBadRequest)
	elsewhere := mediastoredata.New(goSession(j.t, j.url+"/aaaaaaaaaaaaaa", accessKey, secretKey))
	try(elsewhere.GetObject(&mediastoredata.GetObjectInput{Path: aws.String("x")})).fails(j.t, mediastoredata.ErrCodeContainerNotFoundException, http.StatusNotFound)
}

// delete is refused while the container holds objects.
func (j *goJourney) delete() {
	try(j.control.DeleteContainer(&mediastore.DeleteContainerInput{ContainerName: j.name})).fails(j.t, mediastore.ErrCodeContainerInUseException, http.StatusBadRequest)
	for _, path := range []string{"movies/a=b:c~1.ts", "movies/pre=signed.txt", "live/segment.ts", "list/o0", "list/o1", "/list/o2", "list/folder/below"} {
		try(j.data.DeleteObject(&mediastoredata.DeleteObjectInput{Path: &path})).ok(j.t)
	}
	if root := try(j.data.ListItems(&mediastoredata.ListItemsInput{})).ok(j.t); len(root.Items) > 0 {
		j.t.Errorf("left: %v", root.Items)
	}
	try(j.control.DeleteContainer(&mediastore.DeleteContainerInput{ContainerName: j.name})).ok(j.t)
	eventually(j.t, "the container is gone", func() bool {
		_, err := j.control.DescribeContainer(&mediastore.DescribeContainerInput{ContainerName: j.name})
		var missing *mediastore.ContainerNotFoundException
		return errors.As(err, &missing)
	})
}
