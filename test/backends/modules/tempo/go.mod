// Tempo as a Go program. Tempo's 2.x tags are no valid Go versions (its module path has no /v2), so a commit is named; this
// one is of 29 May 2025, between 2.8.0-rc.0 and 2.8.0, the newest that the Go module proxy hands out.
module whodns/test/backends/tempo

go 1.26.5

require github.com/grafana/tempo v1.5.1-0.20250529124718-87c2dc380cec

// Tempo's own replace directives, which do not apply to a dependency.
replace (
	github.com/hashicorp/memberlist => github.com/grafana/memberlist v0.3.1-0.20220708130638-bd88e10a3d91
	k8s.io/api => k8s.io/api v0.25.0
	k8s.io/client-go => k8s.io/client-go v0.25.0
)
