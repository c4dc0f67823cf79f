package policy

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	owner    = "111122223333"
	other    = "444455556666"
	stranger = "777788889999"

	container = "arn:aws:mediastore:us-west-2:111122223333:container/live"
	segment   = container + "/news/1080p/seg_0001.ts"
)

// mustParse is for documents that a test takes for granted.
func mustParse(t testing.TB, document string) *Document {
	t.Helper()
	d, err := Parse([]byte(document))
	if err != nil {
		t.Fatalf("Parse: %v\n%s", err, document)
	}
	return d
}

// request is an anonymous read over HTTPS, changed by what is given.
func request(changes ...func(*Request)) *Request {
	r := &Request{
		Principal: Anonymous(),
		Action:    "mediastore:GetObject",
		Resource:  segment,
		Context: Context{
			SourceIP:        netip.MustParseAddr("198.51.100.7"),
			SecureTransport: true,
			UserAgent:       "Lavf/61.7.100",
			CurrentTime:     time.Date(2025, 11, 13, 8, 30, 0, 999, time.UTC),
			RequestedRegion: "us-west-2",
		},
	}
	for _, change := range changes {
		change(r)
	}
	return r
}

func by(p Principal) func(*Request)      { return func(r *Request) { r.Principal = p } }
func action(name string) func(*Request)  { return func(r *Request) { r.Action = "mediastore:" + name } }
func resource(arn string) func(*Request) { return func(r *Request) { r.Resource = arn } }
func from(addr string) func(*Request) {
	return func(r *Request) { r.Context.SourceIP = netip.MustParseAddr(addr) }
}
func referer(s string) func(*Request)           { return func(r *Request) { r.Context.Referer = s } }
func agent(s string) func(*Request)             { return func(r *Request) { r.Context.UserAgent = s } }
func plainHTTP(r *Request)                      { r.Context.SecureTransport = false }
func with(k string, v ...string) func(*Request) { return func(r *Request) { r.Context.Add(k, v...) } }

const (
	defaultPolicy = `{"Version": "2012-10-17", "Statement": [{
		"Sid": "MediaStoreFullAccess",
		"Action": ["mediastore:*"],
		"Principal": {"AWS": "arn:aws:iam::111122223333:root"},
		"Effect": "Allow",
		"Resource": "` + container + `/*",
		"Condition": {"Bool": {"aws:SecureTransport": "true"}}}]}`

	publicReadOverHTTPS = `{"Version": "2012-10-17", "Statement": [{
		"Sid": "PublicReadOverHttps",
		"Effect": "Allow",
		"Action": ["mediastore:GetObject", "mediastore:DescribeObject"],
		"Principal": "*",
		"Resource": "` + container + `/*",
		"Condition": {"Bool": {"aws:SecureTransport": "true"}}}]}`

	publicRead = `{"Version": "2012-10-17", "Statement": [{
		"Sid": "PublicReadOverHttpOrHttps",
		"Effect": "Allow",
		"Action": ["mediastore:GetObject", "mediastore:DescribeObject"],
		"Principal": "*",
		"Resource": "` + container + `/*",
		"Condition": {"Bool": {"aws:SecureTransport": ["true", "false"]}}}]}`

	crossAccountRead = `{"Version": "2012-10-17", "Statement": [{
		"Sid": "CrossAccountRead",
		"Effect": "Allow",
		"Action": ["MediaStore:GetObject", "mediastore:describeobject"],
		"Principal": {"AWS": "arn:aws:iam::444455556666:root"},
		"Resource": "` + container + `/*"}]}`

	crossAccountUser = `{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow",
		"Action": "mediastore:*",
		"Principal": {"AWS": ["arn:aws:iam::444455556666:user/live/anna", "arn:aws:sts::444455556666:assumed-role/ops/bob"]},
		"Resource": "` + container + `/*"}]}`

	crossAccountRole = `{"Version": "2012-10-17", "Statement": [{
		"Sid": "RolePutOverHttps",
		"Effect": "Allow",
		"Action": "mediastore:PutObject",
		"Principal": {"AWS": "arn:aws:iam::444455556666:role/live/publisher"},
		"Resource": "` + container + `/*",
		"Condition": {"Bool": {"aws:SecureTransport": "true"}}
	}, {
		"Sid": "RoleEverythingElse",
		"Effect": "Allow",
		"NotAction": "mediastore:PutObject",
		"Principal": {"AWS": "arn:aws:iam::444455556666:role/live/publisher"},
		"Resource": "` + container + `/*"}]}`

	addressRange = `{"Version": "2012-10-17", "Statement": [{
		"Sid": "ByAddress",
		"Effect": "Allow",
		"Action": ["mediastore:GetObject", "mediastore:DescribeObject"],
		"Principal": "*",
		"Resource": "` + container + `/*",
		"Condition": {
			"IpAddress": {"aws:SourceIp": ["198.51.100.0/24", "2001:db8:12::/48"]},
			"NotIpAddress": {"aws:sourceip": "198.51.100.188/32"}}}]}`

	agentAndReferer = `{"Version": "2012-10-17", "Statement": [{
		"Sid": "Player",
		"Effect": "Allow",
		"Action": "mediastore:GetObject",
		"Principal": "*",
		"Resource": "` + container + `/*",
		"Condition": {"StringLike": {"aws:UserAgent": "Lavf/*"}}
	}, {
		"Sid": "Cdn",
		"Effect": "Allow",
		"Action": "mediastore:GetObject",
		"Principal": {"AWS": "*"},
		"Resource": "` + container + `/*",
		"Condition": {"StringEquals": {"aws:Referer": "s3cret"}, "Bool": {"aws:SecureTransport": true}}}]}`

	denyPlainHTTP = `{"Version": "2012-10-17", "Statement": [{
		"Sid": "Open",
		"Effect": "Allow",
		"Action": "*",
		"Principal": "*",
		"Resource": "*"
	}, {
		"Sid": "NoPlainHttp",
		"Effect": "Deny",
		"Action": "mediastore:*",
		"Principal": "*",
		"Resource": ["` + container + `", "` + container + `/*"],
		"Condition": {"Bool": {"aws:SecureTransport": "false"}}
	}, {
		"Sid": "Late",
		"Effect": "Allow",
		"Action": "*",
		"Principal": "*",
		"Resource": "*"}]}`
)

func TestDocumentedPolicies(t *testing.T) {
	none := Result{Statement: -1}
	allow := func(i int, sid string) Result { return Result{Allow, i, sid} }
	publisher := AssumedRole(other, "live/publisher", "AROA1", "encoder7")
	tests := []struct {
		name     string
		document string
		request  *Request
		want     Result
	}{
		{"default: root", defaultPolicy, request(by(Root(owner)), action("PutObject")), allow(0, "MediaStoreFullAccess")},
		{"default: user of the account", defaultPolicy, request(by(User(owner, "anna", "AIDA1"))), allow(0, "MediaStoreFullAccess")},
		{"default: session in the account", defaultPolicy, request(by(AssumedRole(owner, "ops", "AROA2", "x"))), allow(0, "MediaStoreFullAccess")},
		{"default: over HTTP", defaultPolicy, request(by(Root(owner)), plainHTTP), none},
		{"default: another account", defaultPolicy, request(by(Root(other))), none},
		{"default: anonymous", defaultPolicy, request(), none},
		{"default: the container itself", defaultPolicy, request(by(Root(owner)), resource(container)), none},

		{"public https: anonymous", publicReadOverHTTPS, request(), allow(0, "PublicReadOverHttps")},
		{"public https: anybody", publicReadOverHTTPS, request(by(Root(stranger))), allow(0, "PublicReadOverHttps")},
		{"public https: describe", publicReadOverHTTPS, request(action("DescribeObject")), allow(0, "PublicReadOverHttps")},
		{"public https: over HTTP", publicReadOverHTTPS, request(plainHTTP), none},
		{"public https: put", publicReadOverHTTPS, request(action("PutObject")), none},
		{"public https: list", publicReadOverHTTPS, request(action("ListItems")), none},
		{"public https: other container", publicReadOverHTTPS, request(resource(container + "2/a.ts")), none},
		{"public: over HTTPS", publicRead, request(), allow(0, "PublicReadOverHttpOrHttps")},
		{"public: over HTTP", publicRead, request(plainHTTP), allow(0, "PublicReadOverHttpOrHttps")},

		{"cross-account: its root", crossAccountRead, request(by(Root(other))), allow(0, "CrossAccountRead")},
		{"cross-account: its user", crossAccountRead, request(by(User(other, "carl", "AIDA2"))), allow(0, "CrossAccountRead")},
		{"cross-account: action in another case", crossAccountRead, request(by(Root(other)), action("DescribeObject")), allow(0, "CrossAccountRead")},
		{"cross-account: owner", crossAccountRead, request(by(Root(owner))), none},
		{"cross-account: anonymous", crossAccountRead, request(), none},

		{"user: the one", crossAccountUser, request(by(User(other, "live/anna", "AIDA1"))), allow(0, "")},
		{"user: its path counts", crossAccountUser, request(by(User(other, "anna", "AIDA1"))), none},
		{"user: in another account", crossAccountUser, request(by(User(stranger, "live/anna", "AIDA1"))), none},
		{"user: its account's root", crossAccountUser, request(by(Root(other))), none},
		{"session: the one", crossAccountUser, request(by(AssumedRole(other, "team/ops", "AROA2", "bob"))), allow(0, "")},
		{"session: another of the role", crossAccountUser, request(by(AssumedRole(other, "team/ops", "AROA2", "eve"))), none},

		{"role: put", crossAccountRole, request(by(publisher), action("PutObject")), allow(0, "RolePutOverHttps")},
		{"role: put over HTTP", crossAccountRole, request(by(publisher), action("PutObject"), plainHTTP), none},
		{"role: delete over HTTP", crossAccountRole, request(by(publisher), action("DeleteObject"), plainHTTP), allow(1, "RoleEverythingElse")},
		{"role: another role", crossAccountRole, request(by(AssumedRole(other, "publisher", "AROA1", "x"))), none},

		{"address: in range", addressRange, request(), allow(0, "ByAddress")},
		{"address: mapped into IPv6", addressRange, request(from("::ffff:198.51.100.7")), allow(0, "ByAddress")},
		{"address: IPv6", addressRange, request(from("2001:db8:12::1")), allow(0, "ByAddress")},
		{"address: the exception", addressRange, request(from("198.51.100.188")), none},
		{"address: out of range", addressRange, request(from("198.51.101.7")), none},

		{"agent: the player", agentAndReferer, request(), allow(0, "Player")},
		{"agent: another", agentAndReferer, request(agent("curl/8")), none},
		{"agent: none", agentAndReferer, request(agent("")), none},
		{"referer: right", agentAndReferer, request(agent(""), referer("s3cret")), allow(1, "Cdn")},
		{"referer: wrong", agentAndReferer, request(agent(""), referer("S3cret")), none},
		{"referer: right over HTTP", agentAndReferer, request(agent(""), referer("s3cret"), plainHTTP), none},

		{"deny: over HTTPS", denyPlainHTTP, request(), allow(0, "Open")},
		{"deny: over HTTP", denyPlainHTTP, request(plainHTTP), Result{ExplicitDeny, 1, "NoPlainHttp"}},
		{"deny: over HTTP as root", denyPlainHTTP, request(plainHTTP, by(Root(owner))), Result{ExplicitDeny, 1, "NoPlainHttp"}},
		{"deny: another service", denyPlainHTTP, request(plainHTTP, func(r *Request) { r.Action = "iam:GetUser" }), allow(0, "Open")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := mustParse(t, test.document).Evaluate(test.request)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Evaluate (-want +got):\n%s", diff)
			}
		})
	}
}

// statementWith is a document of one statement that allows everything but for
// what is replaced in it.
func statementWith(principal, action, resource string) string {
	return `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", ` + principal + `, ` + action + `, ` + resource + `}}`
}

const (
	anybody    = `"Principal": "*"`
	anyAction  = `"Action": "*"`
	everything = `"Resource": "*"`
)

func TestElements(t *testing.T) {
	anna := by(User(other, "anna", "AIDA1"))
	tests := []struct {
		name                        string
		principal, action, resource string
		request                     *Request
		want                        Effect
	}{
		{"account number", `"Principal": {"AWS": "444455556666"}`, anyAction, everything, request(anna), Allow},
		{"one of several", `"Principal": {"AWS": ["777788889999", "444455556666"]}`, anyAction, everything, request(anna), Allow},
		{"star in a list", `"Principal": {"AWS": ["777788889999", "*"]}`, anyAction, everything, request(), Allow},
		{"a service never calls", `"Principal": {"Service": "cloudfront.amazonaws.com"}`, anyAction, everything, request(anna), ImplicitDeny},
		{"federated never calls", `"Principal": {"Federated": ["*", "accounts.google.com"]}`, anyAction, everything, request(), ImplicitDeny},
		{"not that user", `"NotPrincipal": {"AWS": "arn:aws:iam::444455556666:user/anna"}`, anyAction, everything, request(anna), ImplicitDeny},
		{"not that account", `"NotPrincipal": {"AWS": "444455556666"}`, anyAction, everything, request(anna), ImplicitDeny},
		{"somebody else", `"NotPrincipal": {"AWS": "444455556666"}`, anyAction, everything, request(), Allow},
		{"not nobody", `"NotPrincipal": "*"`, anyAction, everything, request(), ImplicitDeny},

		{"action wildcards", anybody, `"Action": "mediastore:?etO*t"`, everything, request(), Allow},
		{"action of another service", anybody, `"Action": "s3:*"`, everything, request(), ImplicitDeny},
		{"not the action", anybody, `"NotAction": ["mediastore:Put*", "MEDIASTORE:GETOBJECT"]`, everything, request(), ImplicitDeny},
		{"not another action", anybody, `"NotAction": ["mediastore:Put*"]`, everything, request(), Allow},

		{"resource wildcards", anybody, anyAction, `"Resource": "arn:aws:mediastore:*:111122223333:container/li?e/*/seg_????.ts"`, request(), Allow},
		{"resources keep their case", anybody, anyAction, `"Resource": "` + container + `/NEWS/*"`, request(), ImplicitDeny},
		{"not the resource", anybody, anyAction, `"NotResource": "` + container + `/news/*"`, request(), ImplicitDeny},
		{"not another resource", anybody, anyAction, `"NotResource": "` + container + `/sport/*"`, request(), Allow},
		{"incomplete ARN", anybody, anyAction, `"Resource": "arn:aws:mediastore"`, request(), Allow},
		{"incomplete ARN of another service", anybody, anyAction, `"Resource": "arn:aws:s3:*"`, request(), ImplicitDeny},
		{
			"a wildcard stays in its part", anybody, anyAction, `"Resource": "arn:aws:mediastore:*:111122223333:container/live/*"`,
			request(resource("arn:aws:mediastore:us-west-2:777788889999:container/x:111122223333:container/live/a")), ImplicitDeny,
		},
		{"no ARN to match", anybody, anyAction, `"Resource": "arn:aws:mediastore:*"`, request(resource("*")), ImplicitDeny},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			document := statementWith(test.principal, test.action, test.resource)
			if got := mustParse(t, document).Evaluate(test.request).Effect; got != test.want {
				t.Errorf("Evaluate = %v, want %v\n%s", got, test.want, document)
			}
		})
	}
}

func TestEffectString(t *testing.T) {
	for effect, want := range map[Effect]string{Allow: "allow", ExplicitDeny: "explicit deny", ImplicitDeny: "implicit deny"} {
		if got := effect.String(); got != want {
			t.Errorf("Effect(%d) = %q, want %q", effect, got, want)
		}
	}
}

func TestIdentityPolicy(t *testing.T) {
	d, err := ParseIdentity([]byte(`{"Version": "2012-10-17", "Statement": {
		"Effect": "Allow", "Action": "mediastore:*", "Resource": "` + container + `/${aws:username}/*"}}`))
	if err != nil {
		t.Fatal(err)
	}
	anna := by(User(owner, "live/anna", "AIDA1"))
	if got := d.Evaluate(request(anna, resource(container+"/anna/a.ts"))).Effect; got != Allow {
		t.Errorf("own folder: %v", got)
	}
	if got := d.Evaluate(request(anna, resource(container+"/bob/a.ts"))).Effect; got != ImplicitDeny {
		t.Errorf("another's folder: %v", got)
	}
	if got := d.Evaluate(request(by(Root(owner)), resource(container+"/anna/a.ts"))).Effect; got != ImplicitDeny {
		t.Errorf("root has no user name: %v", got)
	}
}

func BenchmarkPublicRead(b *testing.B)    { benchmark(b, publicReadOverHTTPS, request()) }
func BenchmarkDenyPlainHTTP(b *testing.B) { benchmark(b, denyPlainHTTP, request()) }
func BenchmarkAddressRange(b *testing.B)  { benchmark(b, addressRange, request()) }
func BenchmarkVariable(b *testing.B) {
	benchmark(b, statementWith(anybody, anyAction, `"Resource": "`+container+`/${aws:username}/*"`),
		request(by(User(owner, "anna", "AIDA1")), resource(container+"/anna/a.ts")))
}

func benchmark(b *testing.B, document string, r *Request) {
	d := mustParse(b, document)
	if d.Evaluate(r).Effect != Allow {
		b.Fatal("the request is not allowed")
	}
	b.ReportAllocs()
	for b.Loop() {
		d.Evaluate(r)
	}
}
