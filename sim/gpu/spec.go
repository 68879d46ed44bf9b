package gpu

import "time"

// Kind names a latency model.
type Kind string

// The latency models.
const (
	Service      Kind = "service"       // the request brings its demand
	Affine       Kind = "affine"        // t(B) = a + b·B
	AffineTokens Kind = "affine-tokens" // t = a + b·tokens + c·Σ S²
	Hinge        Kind = "hinge"         // t(n) = f + s·max(0, n − k), n tokens
	SmoothMax    Kind = "smooth-max"    // t(n) = (f^p + (o + s·n)^p)^(1/p), n tokens
	TableKind    Kind = "table"         // interpolation of measured points
	Tokens       Kind = "tokens"        // prefill(input) + output × step(running)
)

// Kinds lists the latency models in the order of the documents.
func Kinds() []Kind {
	return []Kind{Service, Affine, AffineTokens, Hinge, SmoothMax, TableKind, Tokens}
}

// The queue disciplines.
const (
	FCFS     = "fcfs"     // order of arrival
	LIFO     = "lifo"     // the newest first
	PS       = "ps"       // no queue: all share the slots evenly
	Priority = "priority" // the highest Item.Priority first
	EDF      = "edf"      // the earliest deadline first, those without one last
	SJF      = "sjf"      // the least true work first; needs Oracle
)

// Disciplines lists the queue disciplines.
func Disciplines() []string { return []string{FCFS, LIFO, PS, Priority, EDF, SJF} }

// NoLimit as QueueLimit lets the queue grow without bound.
const NoLimit = -1

// Spec holds the decoded parameters of a model. Start from Defaults, because 0
// is a value; New tells what is wrong with the rest.
type Spec struct {
	Kind Kind `yaml:"kind" about:"latency model" enum:"service|affine|affine-tokens|hinge|smooth-max|table|tokens"`

	A Nanos `yaml:"a,omitempty" about:"affine, affine-tokens: time of an empty batch" min:"0" max:"100s"`
	B Nanos `yaml:"b,omitempty" about:"affine: time per item; affine-tokens: time per token" min:"0" max:"100s"`
	C Nanos `yaml:"c,omitempty" about:"affine-tokens: time per squared token of a request" min:"0"`

	F Nanos   `yaml:"f,omitempty" about:"hinge, smooth-max: floor" min:"0" max:"100s"`
	S Nanos   `yaml:"s,omitempty" about:"hinge: time per token beyond the knee; smooth-max: time per token" min:"0"`
	K float64 `yaml:"k,omitempty" about:"hinge: knee in tokens" min:"0"`
	O Nanos   `yaml:"o,omitempty" about:"smooth-max: what a batch takes beside its tokens, where they rule" min:"0" max:"100s"`
	P float64 `yaml:"p,omitempty" about:"smooth-max: sharpness of the bend; default 4" min:"1" max:"64"`

	Table Table `yaml:"table,omitempty" about:"table: the measured points"`

	Prefill Prefill `yaml:"prefill,omitempty" about:"tokens: time of a prompt before the first step"`
	Step    Step    `yaml:"step,omitempty" about:"tokens: time of one step of all running sequences"`
	Prompts string  `yaml:"prompts,omitempty" about:"tokens: whether a prompt stops the steps" enum:"inline|parallel"`

	Slots    int           `yaml:"slots" about:"concurrent batches (tokens: requests) of a replica" min:"1" max:"4096"`
	MaxBatch int           `yaml:"max_batch" about:"most requests in a batch" min:"1" max:"4096"`
	MaxDelay time.Duration `yaml:"max_delay" about:"longest wait of the oldest request for a fuller batch" min:"0s" max:"10s"`

	Queue        string        `yaml:"queue" about:"queue discipline" enum:"fcfs|lifo|ps|priority|edf|sjf"`
	QueueLimit   int           `yaml:"queue_limit" about:"most requests waiting; -1 = no limit, 0 = only free slots" min:"-1"`
	QueueTimeout time.Duration `yaml:"queue_timeout" about:"longest wait in the replica's queue; 0 = none" min:"0s"`
	Oracle       bool          `yaml:"oracle" about:"permits a discipline that knows the true work"`

	Noise     Noise     `yaml:"noise" about:"lognormal factor of mean 1"`
	Straggler Straggler `yaml:"straggler" about:"rare slowness"`

	MaxModelLen uint32 `yaml:"max_model_len,omitempty" about:"most input + output tokens; 0 = no bound" min:"0"`
	Extrapolate string `yaml:"extrapolate" about:"what a point outside a table's grid does" enum:"warn|error"`
}

// Prefill is the time a prompt of I tokens takes before its first step: floor +
// per_token·max(0, I − knee), or a table over I.
type Prefill struct {
	Floor    Nanos   `yaml:"floor" min:"0" max:"100s"`
	PerToken Nanos   `yaml:"per_token" min:"0" max:"100ms"`
	Knee     float64 `yaml:"knee" about:"tokens" min:"0" max:"1000000"`
	Table    Table   `yaml:"table,omitempty"`
}

// Step is the time of one step of n sequences that hold K tokens between them:
// base + per_seq·n + per_kv·K.
type Step struct {
	Base   Nanos `yaml:"base" above:"0s" max:"100s"`
	PerSeq Nanos `yaml:"per_seq" min:"0" max:"1s"`
	PerKV  Nanos `yaml:"per_kv" about:"per token of context" min:"0" max:"1ms"`
}

// How prompts and steps share an engine.
const (
	Inline   = "inline"   // one prompt at a time, and no sequence steps meanwhile
	Parallel = "parallel" // prompts run beside the steps and slow nobody
)

// Noise multiplies service times by exp(σZ − σ²/2), whose mean is 1.
type Noise struct {
	Sigma float64 `yaml:"sigma" about:"σ of the logarithm; 0 = exact" min:"0" max:"2"`
	Per   string  `yaml:"per" about:"one draw per request, or per batch" enum:"request|batch"`
}

// What one draw of noise belongs to.
const (
	PerRequest = "request" // drawn at arrival by the host, carried in Item.Factor
	PerBatch   = "batch"   // drawn by the replica, from its own stream
)

// Straggler makes rare work slow: with probability Prob it takes Factor times as
// long, per request or per batch as Noise.Per says. With FastFor and SlowFor the
// replica itself alternates instead, for exponential times of these means.
type Straggler struct {
	Prob    float64       `yaml:"prob" min:"0" max:"1"`
	Factor  float64       `yaml:"factor" min:"1" max:"1000"`
	FastFor time.Duration `yaml:"fast_for" about:"mean time at full speed; 0 = never slow for a while" min:"0s"`
	SlowFor time.Duration `yaml:"slow_for" about:"mean time at 1/factor of the speed" min:"0s"`
}

// What a point outside a table's grid does to a run.
const (
	ExtrapolateWarn  = "warn"
	ExtrapolateError = "error"
)

// Defaults returns the parameters that a profile of this kind starts from. The
// models of a GPU carry the noise measured on fixed-shape work (σ .015, between
// .004 and .035 in the sources of the presets); a plain service is exact.
func Defaults(k Kind) Spec {
	s := Spec{
		Kind: k, Slots: 1, MaxBatch: 1, Queue: FCFS, QueueLimit: NoLimit,
		Noise: Noise{Per: PerRequest}, Straggler: Straggler{Factor: 10}, Extrapolate: ExtrapolateWarn,
	}
	if k != Service {
		s.Noise.Sigma = 0.015
	}
	switch k {
	case Tokens:
		s.Prompts = Inline
	case SmoothMax:
		s.P = 4
	}
	return s
}

// Profile is a preset: a Spec with what is known about where it comes from.
type Profile struct {
	Name       string   `yaml:"name" about:"GPU-MODEL" required:"true"`
	Model      string   `yaml:"model" about:"what runs"`
	GPU        string   `yaml:"gpu" about:"what it runs on"`
	Source     string   `yaml:"source" about:"publication the parameters come from" required:"true"`
	Derived    bool     `yaml:"derived" about:"true when the parameters were computed from others, not measured"`
	FittedFrom string   `yaml:"fitted_from" about:"rows that the parameters were fitted to"`
	N          int      `yaml:"n" about:"number of those rows; 0 = not known" min:"0"`
	LOOMAPE    *float64 `yaml:"loo_mape" about:"mean absolute error in percent, each point left out once"`
	About      string   `yaml:"about" about:"what to know before use"`
	Spec       `yaml:",inline"`
}
