package controlapi

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"regexp"

	"headwater/internal/containers"
	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
)

// operations are the use cases by name. Void ones answer {}.
var operations = map[string]func(*call) (any, error){
	"CreateContainer":       createContainer,
	"DeleteContainer":       deleteContainer,
	"DescribeContainer":     describeContainer,
	"ListContainers":        listContainers,
	"StartAccessLogging":    accessLogging(true),
	"StopAccessLogging":     accessLogging(false),
	"TagResource":           tagResource,
	"UntagResource":         untagResource,
	"ListTagsForResource":   listTags,
	"GetContainerPolicy":    getText(containers.ContainerPolicy, "Policy"),
	"PutContainerPolicy":    putText(containers.ContainerPolicy, "Policy"),
	"DeleteContainerPolicy": deleteDocument(containers.ContainerPolicy),
	"GetLifecyclePolicy":    getText(containers.LifecyclePolicy, "LifecyclePolicy"),
	"PutLifecyclePolicy":    putText(containers.LifecyclePolicy, "LifecyclePolicy"),
	"DeleteLifecyclePolicy": deleteDocument(containers.LifecyclePolicy),
	"GetCorsPolicy":         getStructure(containers.CorsPolicy, "CorsPolicy"),
	"PutCorsPolicy":         putStructure(containers.CorsPolicy, "CorsPolicy"),
	"DeleteCorsPolicy":      deleteDocument(containers.CorsPolicy),
	"GetMetricPolicy":       getStructure(containers.MetricPolicy, "MetricPolicy"),
	"PutMetricPolicy":       putStructure(containers.MetricPolicy, "MetricPolicy"),
	"DeleteMetricPolicy":    deleteDocument(containers.MetricPolicy),
}

// void is what operations without a result answer.
type void struct{}

// arnPattern takes a container ARN apart. The wire model has checked its form.
var arnPattern = regexp.MustCompile(`^arn:aws:mediastore:([^:]+):(\d{12}):container/([\w-]{1,255})$`)

// bindContainer finds which container the call is about: by name, or by ARN for
// the tag operations.
func (c *call) bindContainer() error {
	if arn := c.in.text("Resource"); arn != "" {
		m := arnPattern.FindStringSubmatch(arn)
		if m == nil || m[1] != c.api.Containers.Region || m[2] != string(c.account) {
			return mediastore.Errorf(mediastore.KindContainerNotFound, "Container not found: %s", arnName(arn))
		}
		c.name = mediastore.ContainerName(m[3])
		return nil
	}
	c.name = mediastore.ContainerName(c.in.text("ContainerName"))
	return nil
}

// arnName is as much of an ARN as an error message may hold: its pattern knows
// no slash.
func arnName(arn string) string {
	if m := arnPattern.FindStringSubmatch(arn); m != nil {
		return m[1] + ":" + m[2] + ":" + m[3]
	}
	return "unknown"
}

// containerOutput is the structure Container. The endpoint is there from ACTIVE
// on.
type containerOutput struct {
	ARN                  string
	Name                 mediastore.ContainerName
	Status               mediastore.Status
	CreationTime         json.Number
	AccessLoggingEnabled bool
	Endpoint             string `json:",omitempty"`
}

func (c *call) output(m *mediastore.Container) containerOutput {
	out := containerOutput{
		ARN:                  m.ARN(),
		Name:                 m.Name,
		Status:               m.Status,
		CreationTime:         httpapi.EpochSeconds(m.CreatedAt),
		AccessLoggingEnabled: m.AccessLogging,
	}
	if m.Status != mediastore.StatusCreating {
		out.Endpoint = c.endpoint(m.ID)
	}
	return out
}

type oneContainer struct{ Container containerOutput }

func createContainer(c *call) (any, error) {
	m, err := c.api.Containers.Create(c.ctx, c.account, c.name, c.in.tags())
	if err != nil {
		return nil, err
	}
	return oneContainer{c.output(&m)}, nil
}

func deleteContainer(c *call) (any, error) {
	return void{}, c.api.Containers.Delete(c.ctx, c.account, c.name)
}

func describeContainer(c *call) (any, error) {
	if c.name == "" { // the model does not require it, and nothing can be described without it
		return nil, mediastore.Errorf(mediastore.KindInvalid, "1 validation error detected: Value null at 'containerName' failed to satisfy constraint: Member must not be null")
	}
	m, err := c.api.Containers.Describe(c.ctx, c.account, c.name)
	if err != nil {
		return nil, err
	}
	return oneContainer{c.output(&m)}, nil
}

// pageSize is how many containers are fetched at a time when the client asks for
// all.
const pageSize = 100

type containerPage struct {
	Containers []containerOutput
	NextToken  string `json:",omitempty"`
}

// listContainers answers one page when MaxResults is given, and everything that
// is left when it is not: only the first kind of answer has a NextToken.
func listContainers(c *call) (any, error) {
	after, err := parseToken(c.in.text("NextToken"))
	if err != nil {
		return nil, err
	}
	limit := c.in.number("MaxResults")
	page := containerPage{Containers: []containerOutput{}}
	for more := true; more; {
		var found []mediastore.Container
		found, more, err = c.api.Containers.List(c.ctx, c.account, after, cmp.Or(limit, pageSize))
		if err != nil {
			return nil, err
		}
		for i := range found {
			page.Containers = append(page.Containers, c.output(&found[i]))
			after = found[i].Name
		}
		if more && limit > 0 {
			page.NextToken = base64.StdEncoding.EncodeToString([]byte(after))
			break
		}
	}
	return page, nil
}

func parseToken(token string) (mediastore.ContainerName, error) {
	if token == "" {
		return "", nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil {
		return "", errToken()
	}
	name, err := mediastore.ParseContainerName(string(b))
	if err != nil {
		return "", errToken()
	}
	return name, nil
}

func errToken() error {
	return mediastore.Invalid("nextToken", "is not a token that ListContainers returned")
}

func accessLogging(on bool) func(*call) (any, error) {
	return func(c *call) (any, error) {
		return void{}, c.api.Containers.SetAccessLogging(c.ctx, c.account, c.name, on)
	}
}

type tagOutput struct{ Key, Value string }

func (in input) tags() []mediastore.Tag {
	list, _ := in["Tags"].([]any)
	var tags []mediastore.Tag
	for _, v := range list {
		tag, _ := v.(map[string]any)
		tags = append(tags, mediastore.Tag{Key: input(tag).text("Key"), Value: input(tag).text("Value")})
	}
	return tags
}

func tagResource(c *call) (any, error) {
	return void{}, c.api.Containers.Tag(c.ctx, c.account, c.name, c.in.tags())
}

func untagResource(c *call) (any, error) {
	list, _ := c.in["TagKeys"].([]any)
	var keys []string
	for _, v := range list {
		if key, ok := v.(string); ok {
			keys = append(keys, key)
		}
	}
	return void{}, c.api.Containers.Untag(c.ctx, c.account, c.name, keys)
}

func listTags(c *call) (any, error) {
	tags, err := c.api.Containers.Tags(c.ctx, c.account, c.name)
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 { // TagList has at least one member: without tags it is absent
		return void{}, nil
	}
	out := struct{ Tags []tagOutput }{}
	for _, t := range tags {
		out.Tags = append(out.Tags, tagOutput(t))
	}
	return out, nil
}

// getText and putText are for documents that travel as a string, getStructure
// and putStructure for those that travel as JSON.

func getText(d containers.Document, member string) func(*call) (any, error) {
	return func(c *call) (any, error) {
		text, err := c.api.Containers.Document(c.ctx, c.account, c.name, d)
		return map[string]string{member: text}, err
	}
}

func putText(d containers.Document, member string) func(*call) (any, error) {
	return func(c *call) (any, error) {
		return void{}, c.api.Containers.PutDocument(c.ctx, c.account, c.name, d, c.in.text(member))
	}
}

func getStructure(d containers.Document, member string) func(*call) (any, error) {
	return func(c *call) (any, error) {
		text, err := c.api.Containers.Document(c.ctx, c.account, c.name, d)
		return map[string]json.RawMessage{member: json.RawMessage(text)}, err
	}
}

func putStructure(d containers.Document, member string) func(*call) (any, error) {
	return func(c *call) (any, error) {
		text, err := c.in.document(member)
		if err != nil {
			return nil, err
		}
		return void{}, c.api.Containers.PutDocument(c.ctx, c.account, c.name, d, text)
	}
}

func deleteDocument(d containers.Document) func(*call) (any, error) {
	return func(c *call) (any, error) {
		return void{}, c.api.Containers.DeleteDocument(c.ctx, c.account, c.name, d)
	}
}
