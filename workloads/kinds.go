package workloads

// Key is one parameter of a kind: the key a user writes and the Go field of
// Arrivals or Dist that it fills.
type Key struct {
	Name  string // as in the scenario
	Field string // Go field name
	About string // meaning, unit, range
}

// Kind describes one arrival process or distribution for the decoder, the
// schema and `explain`.
type Kind struct {
	Name  string
	About string
	Keys  []Key
}

var rateKey = Key{"rate", "Rate", "arrivals per second, above 0, at most 1e9; not given: the load sets it"}

// ArrivalKinds lists the arrival processes in the order of the documentation.
func ArrivalKinds() []Kind {
	cv := Key{"cv", "CV", "coefficient of variation of the gaps, above 0, at most 50; default 1"}
	return []Kind{
		{"poisson", "exponential gaps", []Key{rateKey}},
		{"constant", "equal gaps", []Key{rateKey, {"phase", "Phase", "delay of the first gap, a duration"}}},
		{"gamma", "renewal process with gamma gaps", []Key{rateKey, cv}},
		{"weibull", "renewal process with Weibull gaps", []Key{rateKey, cv}},
		{"mmpp", "Poisson whose rate follows a Markov chain", []Key{
			{"states", "States", "at least two of {rate, mean_sojourn}"},
			{"transition", "Transition", "matrix of jump probabilities; default uniform over the other states"},
		}},
		{"onoff", "Poisson while on, silent while off", []Key{
			{"on_rate", "OnRate", "arrivals per second while on"},
			{"on_mean", "OnMean", "mean time on, a duration"},
			{"off_mean", "OffMean", "mean time off, a duration"},
		}},
		{"diurnal", "Poisson with a sinusoidal rate", []Key{
			rateKey,
			{"amplitude", "Amplitude", "share of the rate, [0, 1)"},
			{"period", "Period", "a duration; default 24h"},
			{"phase", "Turn", "share of the period by which the wave is ahead"},
		}},
		{"trace", "arrivals and sizes of a file", []Key{{"…", "Trace", "see the keys of a trace"}}},
	}
}

// DistKinds lists the distributions in the order of the documentation. Every
// kind but constant also takes min and max.
func DistKinds() []Kind {
	bounds := []Key{{"min", "Min", "smallest value; default 1 for tokens"}, {"max", "Max", "largest value"}}
	with := func(ks ...Key) []Key { return append(ks, bounds...) }
	mean := Key{"mean", "Mean", "mean, above 0"}
	return []Kind{
		{"constant", "always the same value", []Key{{"value", "Value", "the value"}}},
		{"exponential", "exponential", with(mean)},
		{"lognormal", "lognormal, by mean and cv or by mu and sigma", with(mean,
			Key{"cv", "CV", "coefficient of variation, above 0"},
			Key{"mu", "Mu", "mean of the logarithm (of seconds for a duration)"},
			Key{"sigma", "Sigma", "standard deviation of the logarithm, above 0"})},
		{"pareto", "power-law tail", with(mean,
			Key{"xm", "Xm", "smallest value, in place of mean"},
			Key{"alpha", "Alpha", "tail index, above 1"},
			Key{"cap", "Cap", "values above are set to it"})},
		{"bimodal", "mixture of values or distributions", with(Key{"parts", "Parts", "list of {p, value} or {p, KIND: …}; p sums to 1"})},
		{"quantiles", "inverse of a table of percentiles, or a preset's name", with(Key{"…", "Points", "{percent: value}, at least two"})},
		{"empirical", "drawn with replacement from a file's column or a histogram", with(
			Key{"file", "File", "CSV or JSONL file"},
			Key{"column", "Column", "its column or key; durations in seconds"},
			Key{"histogram", "Histogram", "{value: weight}"})},
	}
}
