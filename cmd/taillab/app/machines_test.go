package app

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMachinePanels(t *testing.T) {
	t.Parallel()
	const head = "t_s,source,gpu,util,power_w,sm_clock_mhz,cpu_cores\n"
	got := machinePanels("p2c", []byte(head+
		"-0.100,dcgm a,0,0.5,100,1900,\n"+
		"-0.100,dcgm a,1,0.7,200,1800,\n"+
		"0.000,client,,,,,0.25\n"+
		"0.000,dcgm b,0,0.9,50,,\n"+
		"1.000,dcgm a,0,0.1,10,1000,\n"+
		"1.000,dcgm b,0,,70,,\n"))
	require.Len(t, got, 4)
	for i, want := range []struct {
		name string
		x, y []float64
	}{
		{"GPU use, mean share", []float64{-0.1, 0, 1}, []float64{0.6, 0.7, 0.5}},
		{"SM clock, lowest GPU, MHz", []float64{-0.1, 1}, []float64{1800, 1000}},
		{"GPU power, all, W", []float64{-0.1, 0, 1}, []float64{300, 350, 80}},
		{"client CPU, cores", []float64{0}, []float64{0.25}},
	} {
		require.Equal(t, want.name, got[i].Name)
		require.Equal(t, "p2c", got[i].Series[0].Label)
		require.Equal(t, want.x, got[i].Series[0].X)
		require.InDeltaSlice(t, want.y, got[i].Series[0].Y, 1e-12)
	}
	require.Empty(t, machinePanels("p2c", nil))
	require.Empty(t, machinePanels("p2c", []byte("t_s,source\n1,client\n")))
	require.Empty(t, machinePanels("p2c", []byte(head+"NaN\n\"")))
}
