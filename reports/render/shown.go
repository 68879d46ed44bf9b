package render

import "taillab/reports"

// ShownAt is the load (for a summary without loads: the rate) that Table and HTML
// show, for charts that the caller draws beside them; 0 for a summary without cells.
func ShownAt(s *reports.Summary, o Options) float64 { return newView(s, o).at }
