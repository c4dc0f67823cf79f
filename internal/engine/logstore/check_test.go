package logstore

import (
	"context"
	"errors"
)

// check reports what is wrong as one error.
func (e *Engine) check(bodies bool) error {
	var problems []error
	err := e.Check(context.Background(), bodies, func(p Problem) { problems = append(problems, errors.New(p.What)) })
	return errors.Join(append(problems, err)...)
}
