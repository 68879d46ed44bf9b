// Package presets holds the GPU profiles that come with the program, one YAML file
// each, named after the profile. It decodes nothing: package scenarios does, onto
// gpu.Profile. A new preset is one more file with its source.
package presets

import "embed"

// FS holds the files, at its root.
//
//go:embed *.yaml
var FS embed.FS
