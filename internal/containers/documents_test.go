package containers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/containers"
	"headwater/internal/mediastore"
)

// documents are valid ones with blanks that must survive.
var documents = map[containers.Document]string{
	containers.ContainerPolicy: "\n{ \"Version\" : \"2012-10-17\",\t\"Statement\": [ {\"Effect\":\"Allow\", \"Principal\":\"*\", \"Action\":\"mediastore:GetObject\", \"Resource\":\"*\"} ] }\r\n",
	containers.CorsPolicy:      ` [ {"AllowedOrigins":["*"],  "AllowedMethods":["GET"], "AllowedHeaders":[]} ] `,
	containers.LifecyclePolicy: "{\n \"rules\": [ {\"definition\": {\"path\":[{\"prefix\":\"\"}], \"days_since_create\":[{\"numeric\":[\">\",1]}]}, \"action\":\"EXPIRE\"} ]\n}\n",
	containers.MetricPolicy:    `{ "ContainerLevelMetrics" : "ENABLED" }`,
}

func TestDocuments(t *testing.T) {
	for d, text := range documents {
		e := newEngine(t)
		s := newService(t, e)
		before := active(t, e, "movies")
		absent := mediastore.KindPolicyNotFound
		if d == containers.CorsPolicy {
			absent = mediastore.KindCorsPolicyNotFound
		}
		_, err := s.Document(t.Context(), account, "movies", d)
		wantKind(t, "reading an absent document", err, absent)
		wantKind(t, "deleting an absent document", s.DeleteDocument(t.Context(), account, "movies", d), absent)

		for _, text := range []string{text, text + " ", text} {
			must(t, s.PutDocument(t.Context(), account, "movies", d, text))
			if got, err := s.Document(t.Context(), account, "movies", d); err != nil || got != text {
				t.Errorf("document %d: put %q, got %q, %v", d, text, got, err)
			}
		}
		for _, bad := range []string{"", " ", "null", "{}", "[]", "garbage", text + text} {
			wantKind(t, "storing "+bad, s.PutDocument(t.Context(), account, "movies", d, bad), mediastore.KindInvalid)
		}
		if got, err := s.Document(t.Context(), account, "movies", d); err != nil || got != text {
			t.Errorf("document %d: one that was refused replaced it: %q, %v", d, got, err)
		}

		must(t, s.DeleteDocument(t.Context(), account, "movies", d))
		if diff := cmp.Diff(before, describe(t, s, "movies")); diff != "" {
			t.Errorf("document %d: put and deleted, it left its mark (-want +got):\n%s", d, diff)
		}
	}
}

// TestDocumentsAreApart: each has a place of its own.
func TestDocumentsAreApart(t *testing.T) {
	e := newEngine(t)
	s := newService(t, e)
	active(t, e, "movies")
	active(t, e, "other")
	for d, text := range documents {
		must(t, s.PutDocument(t.Context(), account, "movies", d, text))
	}
	for d, text := range documents {
		if got, err := s.Document(t.Context(), account, "movies", d); err != nil || got != text {
			t.Errorf("document %d is %q, %v; want %q", d, got, err, text)
		}
		if _, err := s.Document(t.Context(), account, "other", d); err == nil {
			t.Errorf("document %d is in another container, too", d)
		}
	}
}

func TestMetricRuleQuota(t *testing.T) {
	e := newEngine(t)
	s := newService(t, e)
	active(t, e, "movies")
	const begin, end = `{"ContainerLevelMetrics":"DISABLED","MetricPolicyRules":[`, `]}`
	const a, b, c = `{"ObjectGroup":"a/*","ObjectGroupName":"a"}`, `,{"ObjectGroup":"b/*","ObjectGroupName":"b"}`, `,{"ObjectGroup":"c/*","ObjectGroupName":"c"}`
	must(t, s.PutDocument(t.Context(), account, "movies", containers.MetricPolicy, begin+a+b+end))
	err := s.PutDocument(t.Context(), account, "movies", containers.MetricPolicy, begin+a+b+c+end)
	wantKind(t, "one rule more than the quota", err, mediastore.KindInvalid)
}
