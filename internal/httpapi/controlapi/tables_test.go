package controlapi

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"testing"

	"headwater/internal/mediastore"
	"headwater/internal/wiremodel"
)

// TestOperationsAreTheModels: there is an implementation for every operation of
// the model, and for no other.
func TestOperationsAreTheModels(t *testing.T) {
	var modelled []string
	for _, op := range wiremodel.ControlPlane().Operations() {
		modelled = append(modelled, op.Name)
	}
	if got := slices.Sorted(maps.Keys(operations)); !slices.Equal(got, modelled) || len(got) != 21 {
		t.Errorf("implemented: %q\nmodelled: %q", got, modelled)
	}
}

// TestEveryKindHasItsAnswer: each kind is in the table, or is one that this
// plane cannot meet and therefore answers as its own fault.
func TestEveryKindHasItsAnswer(t *testing.T) {
	unmet := map[mediastore.Kind]bool{
		mediastore.KindInternal: true, mediastore.KindObjectNotFound: true, mediastore.KindRangeNotSatisfiable: true,
		mediastore.KindPreconditionFailed: true, mediastore.KindNotModified: true, mediastore.KindTimeout: true,
		mediastore.KindMethodNotAllowed: true,
	}
	for _, kind := range mediastore.Kinds() {
		err := &mediastore.Error{Kind: kind, Message: "for the client", Err: errors.New("for the log")}
		got, message := classify(err, "THE-ID")
		if unmet[kind] {
			if got != internal || message != "Internal error. Request ID: THE-ID" {
				t.Errorf("kind %q, which cannot be met here, is answered %v %q", kind, got, message)
			}
			continue
		}
		if got == internal || got.code == "" || http.StatusText(got.status) == "" || message != "for the client" {
			t.Errorf("kind %q is answered %v %q", kind, got, message)
		}
	}
	if len(answers)+len(unmet) != len(mediastore.Kinds()) {
		t.Errorf("the table has %d kinds and %d cannot be met: together they must be %d", len(answers), len(unmet), len(mediastore.Kinds()))
	}
}

// TestDeclaredStatus: an error that the model declares has the model's status.
func TestDeclaredStatus(t *testing.T) {
	declared := map[string]int{}
	for _, op := range wiremodel.ControlPlane().Operations() {
		for _, e := range op.Errors {
			declared[e.Code] = e.Status
		}
	}
	met := map[string]bool{}
	for _, a := range append(slices.Collect(maps.Values(answers)), internal) {
		if status, ok := declared[a.code]; ok {
			met[a.code] = true
			if status != a.status {
				t.Errorf("%s is answered with %d, the model says %d", a.code, a.status, status)
			}
		}
	}
	for code := range declared {
		if !met[code] {
			t.Errorf("no kind is answered with %s", code)
		}
	}
}
