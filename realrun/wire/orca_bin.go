package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of xds.data.orca.v3.OrcaLoadReport (orca_load_report.proto of cncf/xds):
// three maps from string to double, doubles, and the count rps that rps_fractional
// replaced.
const (
	fieldCPU          = 1
	fieldMemory       = 2
	fieldRPS          = 3
	fieldRequestCost  = 4
	fieldUtilization  = 5
	fieldRPSFraction  = 6
	fieldEPS          = 7
	fieldNamedMetrics = 8
	fieldApplication  = 9
)

var errBinary = errors.New("a load report's BIN cannot be read")

// binary reads the form BIN: the report in protobuf, in base64. Fields of later
// versions are passed over.
func (r *Report) binary(text string) error {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "="))
	if err != nil {
		return fmt.Errorf("%w: it is not base64", errBinary)
	}
	if len(b) == 0 {
		return fmt.Errorf("%w: it is empty", errBinary)
	}
	return fields(b, func(n protowire.Number, kind protowire.Type, v []byte, bits uint64) error {
		name := fieldName(n)
		switch {
		case n == fieldRequestCost || n == fieldUtilization || n == fieldNamedMetrics:
			if kind != protowire.BytesType {
				return fmt.Errorf("%w: %s is no map", errBinary, name)
			}
			return r.entry(v, n == fieldNamedMetrics)
		case n == fieldRPS && kind == protowire.VarintType:
			return nil // a count cannot be wrong
		case name == "":
			return nil
		case kind != protowire.Fixed64Type:
			return fmt.Errorf("%w: %s is no number", errBinary, name)
		}
		return r.set(name, math.Float64frombits(bits), false)
	})
}

// fieldName is the field's name in the other forms, "" for one of a later version.
func fieldName(n protowire.Number) string {
	names := [...]string{fieldCPU: "cpu_utilization", fieldMemory: "mem_utilization", fieldRPS: "rps", fieldRequestCost: "request_cost",
		fieldUtilization: "utilization", fieldRPSFraction: "rps_fractional", fieldEPS: "eps", fieldNamedMetrics: "named_metrics",
		fieldApplication: "application_utilization"}
	if int(n) < len(names) {
		return names[n]
	}
	return ""
}

// entry reads one entry of a map: its key is field 1, its value field 2; one that is
// left out is empty or 0.
func (r *Report) entry(b []byte, named bool) error {
	key, value := "", 0.0
	err := fields(b, func(n protowire.Number, kind protowire.Type, v []byte, bits uint64) error {
		switch {
		case n == 1 && kind == protowire.BytesType:
			key = string(v)
		case n == 2 && kind == protowire.Fixed64Type:
			value = math.Float64frombits(bits)
		default:
			return fmt.Errorf("%w: a map of other than numbers", errBinary)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.set(key, value, named)
}

// fields hands out the fields of a message: v of the wire type bytes, bits of a
// double.
func fields(b []byte, each func(n protowire.Number, kind protowire.Type, v []byte, bits uint64) error) error {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return fmt.Errorf("%w: %w", errBinary, protowire.ParseError(size))
		}
		b = b[size:]
		var v []byte
		var bits uint64
		switch kind {
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		case protowire.Fixed64Type:
			bits, size = protowire.ConsumeFixed64(b)
		default:
			size = protowire.ConsumeFieldValue(n, kind, b)
		}
		if size < 0 {
			return fmt.Errorf("%w: %w", errBinary, protowire.ParseError(size))
		}
		b = b[size:]
		if err := each(n, kind, v, bits); err != nil {
			return err
		}
	}
	return nil
}
