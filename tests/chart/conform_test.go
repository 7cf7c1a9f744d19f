package chart

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/yannh/kubeconform/pkg/validator"
	"sigs.k8s.io/yaml"
)

// Kinds whose schemas come with no module of ours: those of the Prometheus operator. They are skipped by name, and no other kind is.
var skipped = map[string]struct{}{
	"monitoring.coreos.com/v1/ServiceMonitor": {},
	"monitoring.coreos.com/v1/PrometheusRule": {},
}

func TestHelmsLintHasNothingToSay(t *testing.T) {
	for name, file := range scenarios(t) {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, err := helm(t, "lint", "--strict", chart, "--namespace", namespace, "--values", image, "--values", file)
			if err != nil || strings.Contains(stdout, "[WARNING]") {
				t.Errorf("%v\n%s%s", err, stdout, stderr)
			}
		})
	}
}

// kubeconform compares everything with the API of the Kubernetes that tests/cluster runs, and with our own definition; fields that are not
// there are refused.
func TestEverythingConformsToTheSchemasOfKubernetes(t *testing.T) {
	check := judge(t)
	for name, file := range scenarios(t) {
		t.Run(name, func(t *testing.T) {
			valid, complaints := check(template(t, "--values", file))
			if len(complaints) > 0 || valid < 10 {
				t.Errorf("%d are valid; %s", valid, strings.Join(complaints, "\n"))
			}
			valid, complaints = check(sample(t, file))
			if len(complaints) > 0 || valid != 1 {
				t.Errorf("the sample of the notes: %s", strings.Join(complaints, "\n"))
			}
		})
	}
	// The judge is no rubber stamp.
	for _, wrong := range []string{
		"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {port: 80}}",
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: many}}",
		"{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, resources: {limits: {memory: [1]}}}]}}",
		"{apiVersion: saga.dev/v1alpha1, kind: Saga, metadata: {name: a}, spec: {steps: [{name: a, wait: {four: 1s}}]}}",
		"{apiVersion: example.com/v1, kind: Nothing, metadata: {name: a}}",
	} {
		if _, complaints := check(wrong); len(complaints) != 1 {
			t.Errorf("it is taken for valid: %s", wrong)
		}
	}
}

// judge makes a function that says how many of the objects in a text are valid, and what is wrong with the others.
func judge(t *testing.T) func(text string) (valid int, complaints []string) {
	t.Helper()
	options := validator.Opts{Strict: true, SkipKinds: skipped}
	kubeconform, err := validator.New([]string{schemas(t) + "/{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json"}, options)
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) (valid int, complaints []string) {
		for _, result := range kubeconform.Validate("rendered", io.NopCloser(strings.NewReader(text))) {
			switch result.Status {
			case validator.Valid:
				valid++
			case validator.Skipped, validator.Empty:
			default:
				signature, _ := result.Resource.Signature()
				complaints = append(complaints, signature.Kind+" "+signature.Name+": "+result.Err.Error())
			}
		}
		return valid, complaints
	}
}

// sample is the saga in the notes, as somebody copies it.
func sample(t *testing.T, values string) string {
	t.Helper()
	_, after, _ := strings.Cut(notes(t, "--values", values), "<<'SAGA'\n")
	copied, _, found := strings.Cut(after, "\n  SAGA\n")
	if !found {
		t.Fatal("the notes hold no saga")
	}
	return strings.ReplaceAll("\n"+copied, "\n  ", "\n")
}

// schemas writes a JSON schema for each kind of the API, and returns their folder. They refer to the definitions that all share.
func schemas(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	var api struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	read(t, filepath.Join(kubernetes(t), "api/openapi-spec/swagger.json"), &api)
	// Two kinds of values that are written in more than one way.
	const group = "io.k8s.apimachinery.pkg."
	api.Definitions[group+"util.intstr.IntOrString"] = map[string]any{"type": []string{"integer", "string"}}
	api.Definitions[group+"api.resource.Quantity"] = map[string]any{"type": []string{"number", "string"}}
	for name, definition := range api.Definitions {
		shut(definition)
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		for _, kind := range kinds {
			reference := map[string]any{"$ref": "definitions.json#/definitions/" + name}
			write(t, folder, text(kind, "group"), text(kind, "version"), text(kind, "kind"), reference)
		}
	}
	store(t, filepath.Join(folder, "definitions.json"), api)

	var ours object
	read(t, repository+"/crds/sagas.yaml", &ours)
	for _, version := range list(ours, "spec", "versions") {
		schema, _ := at(version, "schema", "openAPIV3Schema").(map[string]any)
		properties, _ := schema["properties"].(map[string]any)
		for _, name := range []string{"apiVersion", "kind", "metadata"} {
			properties[name] = map[string]any{}
		}
		shut(schema)
		write(t, folder, text(ours, "spec", "group"), text(version, "name"), text(ours, "spec", "names", "kind"), schema)
	}
	return folder
}

// kubernetes is the folder of the Kubernetes whose tools the local cluster is made of.
func kubernetes(t *testing.T) string {
	t.Helper()
	command := exec.Command("go", "mod", "download", "-json", "k8s.io/kubernetes")
	command.Dir = repository + "/tests/cluster"
	printed, err := command.Output()
	if err != nil {
		t.Fatalf("go mod download: %v\n%s", err, printed)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(printed, &module); err != nil {
		t.Fatal(err)
	}
	return module.Dir
}

// shut refuses fields that a schema does not name, unless it says that there are others.
func shut(schema any) {
	switch typed := schema.(type) {
	case map[string]any:
		_, named := typed["properties"].(map[string]any)
		_, said := typed["additionalProperties"]
		if named && !said && typed["x-kubernetes-preserve-unknown-fields"] != true {
			typed["additionalProperties"] = false
		}
		for _, inner := range typed {
			shut(inner)
		}
	case []any:
		for _, inner := range typed {
			shut(inner)
		}
	}
}

// write stores the schema of a kind where the pattern of kubeconform looks for it, which knows the core group by its version.
func write(t *testing.T, folder, group, version, kind string, schema any) {
	t.Helper()
	if group == "" {
		group = version
	}
	store(t, filepath.Join(folder, group+"_"+version+"_"+strings.ToLower(kind)+".json"), schema)
}

func store(t *testing.T, path string, value any) {
	t.Helper()
	written, err := json.Marshal(value)
	if err == nil {
		err = os.WriteFile(path, written, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// read decodes a file of YAML or JSON.
func read(t *testing.T, path string, into any) {
	t.Helper()
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decode := yaml.Unmarshal
	if strings.HasSuffix(path, ".json") {
		decode = func(text []byte, into any, _ ...yaml.JSONOpt) error { return json.Unmarshal(text, into) }
	}
	if err := decode(stored, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func same(one, other any) bool { return reflect.DeepEqual(one, other) }

func sorted(words []string) []string {
	sort.Strings(words)
	return words
}
