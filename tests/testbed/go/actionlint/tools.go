//go:build tools

// Package tools names what .ci/run runs of this module.
package tools

import _ "github.com/rhysd/actionlint/cmd/actionlint"
