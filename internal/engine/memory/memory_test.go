package memory_test

import (
	"testing"

	"headwater/internal/engine"
	"headwater/internal/engine/enginetest"
	"headwater/internal/engine/memory"
)

func TestConformance(t *testing.T) {
	enginetest.Run(t, func(*testing.T) engine.Engine { return memory.New() })
}
