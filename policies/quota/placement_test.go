package quota_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies/quota"
)

// From 7 to 8 shards: an ideal placement moves an eighth of the groups.
func TestMovedGroups(t *testing.T) {
	t.Parallel()
	const groups = 20_000
	for p, want := range map[quota.Placement]float64{quota.Mod: .88, quota.Jump: .124, quota.Rendezvous: .121} {
		moved := 0
		for i := range groups {
			name := fmt.Sprint("group-", i)
			a, b := p.Shard(name, 7), p.Shard(name, 8)
			require.True(t, a >= 0 && a < 7 && b >= 0 && b < 8)
			if a != b {
				moved++
				if p != quota.Mod {
					require.Equal(t, 7, b, "a group may move to the new shard only")
				}
			}
		}
		share := float64(moved) / groups
		t.Logf("%-10s moved %.1f %%", quota.Placements()[p], 100*share)
		require.InDelta(t, want, share, .01, quota.Placements()[p])
	}
}

// imbalance is the mean and the worst of max/mean load of the shards over many salts.
func imbalance(groups int, zipf float64) (mean, worst float64) {
	const shards, salts = 7, 300
	for salt := range salts {
		load, all := make([]float64, shards), 0.0
		for i := range groups {
			w := math.Pow(float64(i+1), -zipf)
			load[quota.Rendezvous.Shard(fmt.Sprint(salt, "/group-", i), shards)] += w
			all += w
		}
		top := 0.0
		for _, x := range load {
			top = max(top, x)
		}
		top *= shards / all
		mean += top / salts
		worst = max(worst, top)
	}
	return mean, worst
}

func TestImbalance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		groups     int
		zipf, want float64
	}{{50, 0, 1.53}, {500, 0, 1.16}, {50, 1, 2.33}, {500, 1, 1.88}} {
		mean, worst := imbalance(c.groups, c.zipf)
		t.Logf("%3d groups, Zipf %v: max/mean %.2f, worst of 300 salts %.2f", c.groups, c.zipf, mean, worst)
		require.InEpsilon(t, c.want, mean, .05)
	}
}
