package workloads

import (
	"os"
	"testing"

	"taillab/internal/alarm"
)

func TestMain(m *testing.M) { os.Exit(alarm.Main(m)) }
