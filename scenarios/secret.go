package scenarios

import (
	"fmt"
	"log/slog"
)

// Secret is a text that no print, log or JSON shows. The zero Secret is none.
// It holds a pointer, so that even printing a struct around it by reflection
// shows an address and not the text.
type Secret struct{ text *string }

// NewSecret keeps a text.
func NewSecret(s string) Secret { return Secret{&s} }

// Reveal returns the text, for the one place that sends it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Set says whether there is a text at all.
func (s Secret) Set() bool { return s.text != nil && *s.text != "" }

// String stands for the text.
func (s Secret) String() string {
	if !s.Set() {
		return ""
	}
	return "[hidden]"
}

// Format implements fmt.Formatter: every verb prints what String gives.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON implements json.Marshaler.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
