package share

import (
	"time"

	"taillab/policies"
)

// demandWindow is how long demand counts: long against the gaps between requests of a
// tenant, short against the changes that a reclaim should follow. Our choice.
const demandWindow = 5 * time.Second

// Catalog lists the dividers in the order in which they are shown.
func Catalog() policies.Catalog {
	return policies.Catalog{
		policies.Of("fcfs", "no division: whoever comes first takes",
			func() Divider { return &FCFS{} }),
		policies.Of("hard", "each tenant its weighted part; what one leaves is lost",
			func() Divider { return &Hard{} }),
		policies.Of("maxmin", "weighted max-min: what one tenant leaves is lent to the others",
			func() Divider { return &MaxMin{DemandWindow: demandWindow} }).From("Bertsekas, Gallager 1992"),
		policies.Of("drf", "dominant resource fairness in whole units",
			func() Divider { return &DRF{Unit: 1, DemandWindow: demandWindow} }).From("Ghodsi et al. 2011"),
	}
}
