module chart

go 1.26.6

require go.yaml.in/yaml/v3 v3.0.4

require (
	github.com/yannh/kubeconform v0.8.0 // indirect
	go.yaml.in/yaml/v2 v2.4.4 // indirect
	sigs.k8s.io/yaml v1.6.0 // indirect
)
