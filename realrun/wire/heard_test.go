package wire

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
)

const zero = time.Duration(0)

var now0 = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

// ear is a policy that keeps what it hears.
type ear struct{ heard []balance.Msg }

func (e *ear) Pick(*balance.Env, *policies.Request) balance.Choice { return balance.None() }

func (e *ear) Heard(_ *balance.Env, _ policies.Ref, m balance.Msg) { e.heard = append(e.heard, m) }

// heardOf puts messages through the pure code that folds them, as a front end that
// knows the replica in this incarnation.
func heardOf(t *testing.T, from Peer, inc uint32, msgs []balance.Msg) []balance.Msg {
	t.Helper()
	e := &ear{}
	table := &balance.Table{N: int(from.N) + 1}
	fe := flow.New(flow.Config{Count: 1, Services: []flow.Service{{Name: "main", Table: table, Balancer: e,
		Dice: chance.NewDice(1, "balance/main/0"), Period: time.Second}}})
	var out flow.Actions
	fe.Start(0, &out)
	fe.Membership(0, 0, balance.Change{Kind: balance.ChangeAdded, Ref: policies.Ref{ID: from.N, Inc: inc}}, &out)
	for _, m := range msgs {
		fe.Heard(0, 0, policies.Ref{ID: from.N, Inc: m.Inc}, m, &out)
	}
	require.NotNil(t, fe.Fleet(0))
	return e.heard
}
