package realrun

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/scenarios"
)

// stage is a pair of backends and the file that lists those that are members. Each step
// changes the file once a backend has served so many requests more.
type stage struct {
	file  string
	urls  [2]string
	steps []turnover

	mu     sync.Mutex
	served []int // in order, by backend
	since  int   // requests at the backend that the step waits for
}

type turnover struct {
	backend, requests int
	members           []int
}

func newStage(t *testing.T, steps []turnover) *stage {
	t.Helper()
	s := &stage{file: filepath.Join(t.TempDir(), "members.txt"), steps: steps}
	for i := range s.urls {
		b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				s.serve(t, i)
			}
			fmt.Fprint(w, "{}")
		}))
		t.Cleanup(b.Close)
		s.urls[i] = b.URL
	}
	s.list(t, 0)
	return s
}

func (s *stage) list(t *testing.T, members ...int) {
	text := "# members\n"
	for _, i := range members {
		text += s.urls[i] + "\n"
	}
	if err := os.WriteFile(s.file+".new", []byte(text), 0o600); err != nil {
		t.Error(err)
	}
	if err := os.Rename(s.file+".new", s.file); err != nil {
		t.Error(err)
	}
}

func (s *stage) serve(t *testing.T, i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served = append(s.served, i)
	if len(s.steps) == 0 || s.steps[0].backend != i {
		return
	}
	if s.since++; s.since == s.steps[0].requests {
		s.list(t, s.steps[0].members...)
		s.since, s.steps = 0, s.steps[1:]
	}
}

// targets are those of the file, and the members that it lists now.
func (s *stage) targets(t *testing.T) *scenarios.Targets {
	t.Helper()
	targets := at()
	svc := &targets.Services[0]
	svc.Reporter = scenarios.ReporterInferred
	svc.Source = scenarios.MemberSource{Kind: scenarios.SourceFile, File: s.file, Every: 5 * time.Millisecond}
	_, err := Resolve(t.Context(), targets)
	require.NoError(t, err)
	return targets
}

// Who the file of members names is followed during the run: a new one serves, one that
// has gone gets nothing more and loses nothing, one that comes back lives again. The
// tapes hold all of it.
func TestMembersAreFollowed(t *testing.T) { // not beside others: it goes by real time
	s := newStage(t, []turnover{{0, 50, []int{0, 1}}, {1, 50, []int{1}}, {1, 100, []int{1, 0}}})
	targets := s.targets(t)
	c := cellOf(t, 1, 1, 900, 300, policy("jiq"))
	k, err := against(t, targets, c)
	require.NoError(t, err)
	require.Empty(t, conserved(t, &k.keep))
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Empty(t, s.steps, "all changes were made")
	notes := strings.Join(k.notes, "\n")
	for _, want := range []string{s.urls[1] + " joins main as replica 1", s.urls[0] + " leaves: replica 0 of main drains", s.urls[0] + " joins main as replica 0"} {
		require.Contains(t, notes, want)
	}
	require.Equal(t, 0, s.served[0])
	alone, both := 0, 0 // the longest stretch of one backend, and how often it was another's turn
	for i, run := 1, 1; i < len(s.served); i++ {
		if s.served[i] != s.served[i-1] {
			run, both = 0, both+1
		}
		if run++; s.served[i] == 1 {
			alone = max(alone, run)
		}
	}
	require.Positive(t, alone, "the first backend gets nothing while it is gone")
	require.Positive(t, both)

	table, seed := Table(&targets.Services[0]), chance.RunSeed(1, 0)
	require.Equal(t, 17, table.N)
	require.Equal(t, 16, table.Later)
	fe := flow.New(flow.Config{Count: 1, Services: []flow.Service{{Name: "main", Balancer: c.Balancers[0].Make(), Table: table, Dice: chance.NewDice(seed, "balance/main/0")}}})
	res, err := flow.Replay(k.tapes["frontend/0.1"], flow.Replayed{FrontEnd: fe})
	require.NoError(t, err)
	require.Nil(t, res.First)
	dice := make([]rand.PCG, table.N)
	for r := range dice {
		dice[r] = chance.Stream(seed, fmt.Sprintf("reporter/main/%d", r))
	}
	res, err = flow.Replay(k.tapes["replicas/main"], flow.Replayed{Replicas: flow.NewReplicas(c.Balancers[0].Make(), 0, 1, dice, nil)})
	require.NoError(t, err)
	require.Nil(t, res.First)
}

// A source that cannot be read changes nothing and is complained of once; a member that
// is not ready stays out, and so do those beyond the room there is.
func TestMembersThatStayOut(t *testing.T) { // not beside others: it goes by real time
	s := newStage(t, nil)
	targets := s.targets(t)
	silent := nobody(t)
	crowd := s.urls[0] + "\n" + silent + "\n"
	for i := range 20 {
		crowd += fmt.Sprintf("http://127.0.0.1:1/%d\n", i)
	}
	require.NoError(t, os.WriteFile(s.file, []byte(crowd), 0o600))
	k, err := against(t, targets, cellOf(t, 1, 1, 100, 200, policy("p2c")))
	require.NoError(t, err)
	require.Empty(t, conserved(t, &k.keep))
	notes := strings.Join(k.notes, "\n")
	require.NotContains(t, notes, "joins")
	require.Equal(t, 5, strings.Count(notes, "there is room for 17 members"))

	require.NoError(t, os.WriteFile(s.file, []byte("nowhere\n"), 0o600))
	k, err = against(t, targets, cellOf(t, 1, 1, 100, 200, policy("p2c")))
	require.NoError(t, err)
	require.Empty(t, conserved(t, &k.keep))
	require.Equal(t, 1, strings.Count(strings.Join(k.notes, "\n"), "the members of main stay as they are"))
}
