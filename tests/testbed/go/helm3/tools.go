//go:build tools

// Package tools pins the older Helm, which must lint and render the chart too.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
