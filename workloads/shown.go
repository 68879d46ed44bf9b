package workloads

// Shown numbers what a report shows: each tenant by name when there are at most n,
// else the n with the largest share of the schedule's work and, last, "other" for
// the rest. of holds the number by tenant. It is the same for every policy and seed.
func (c *Compiled) Shown(n int) (names []string, of []uint16) {
	all := c.Tenants()
	of = make([]uint16, len(all))
	if len(all) <= n {
		for i := range of {
			of[i] = uint16(i)
		}
		return all, of
	}
	for i := range of {
		of[i] = uint16(n)
	}
	for k, t := range c.TopTenants(n) {
		names = append(names, all[t])
		of[t] = uint16(k)
	}
	return append(names, "other"), of
}
