// Package chart tells what the chart charts/saga-operator installs, without a cluster: it renders the chart with Helm, for each of the files
// in values/, and looks at the result.
//
// Contract: `go test` needs Helm in build/tools or on the PATH, and nothing from the network but Go modules. `go test -run Golden -update`
// writes golden/ anew.
package chart

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	repository = "../.."
	chart      = repository + "/charts/saga-operator"
	release    = "saga-operator"
	namespace  = "saga-system"
	// image sets the one value that has no default.
	image = "image.yaml"
)

// object is a rendered object, as JSON has it.
type object map[string]any

// scenarios are the ways of installing the chart that are looked at: the files in values/, by their names.
func scenarios(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("values/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("values/ holds %d files (%v)", len(files), err)
	}
	found := map[string]string{}
	for _, file := range files {
		found[strings.TrimSuffix(filepath.Base(file), ".yaml")] = file
	}
	return found
}

// each runs a test for every scenario, with what is rendered there.
func each(t *testing.T, test func(t *testing.T, name string, objects []object)) {
	t.Helper()
	for name, file := range scenarios(t) {
		t.Run(name, func(t *testing.T) { test(t, name, parse(t, template(t, "--values", file))) })
	}
}

// helm runs Helm, and returns what it prints on stdout and stderr.
func helm(t *testing.T, arguments ...string) (stdout, stderr string, err error) {
	t.Helper()
	binary, failure := filepath.Abs(repository + "/build/tools/helm")
	if failure != nil {
		t.Fatal(failure)
	}
	if _, failure := os.Stat(binary); failure != nil {
		if binary, failure = exec.LookPath("helm"); failure != nil {
			t.Fatal("there is no Helm: run `make tools`")
		}
	}
	var out, complaints bytes.Buffer
	command := exec.Command(binary, arguments...)
	command.Stdout, command.Stderr = &out, &complaints
	// No cluster has a say.
	command.Env = append(os.Environ(), "KUBECONFIG=/dev/null")
	err = command.Run()
	return out.String(), complaints.String(), err
}

// template renders the chart.
func template(t *testing.T, arguments ...string) string {
	t.Helper()
	return templateAs(t, release, namespace, arguments...)
}

// templateAs renders the chart under another name, or in another namespace.
func templateAs(t *testing.T, release, namespace string, arguments ...string) string {
	t.Helper()
	stdout, stderr, err := helm(t, append([]string{"template", release, chart, "--namespace", namespace, "--values", image}, arguments...)...)
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, stderr)
	}
	return stdout
}

// notes are what Helm says after an installation with these values.
func notes(t *testing.T, arguments ...string) string {
	t.Helper()
	return notesIn(t, namespace, arguments...)
}

func notesIn(t *testing.T, namespace string, arguments ...string) string {
	t.Helper()
	stdout, stderr, err := helm(t, append([]string{"install", release, chart, "--namespace", namespace, "--dry-run=client", "--values", image}, arguments...)...)
	if err != nil {
		t.Fatalf("helm install: %v\n%s", err, stderr)
	}
	_, notes, _ := strings.Cut(stdout, "\nNOTES:\n")
	return notes
}

// refusal is what Helm says when it does not render the chart.
func refusal(t *testing.T, arguments ...string) string {
	t.Helper()
	_, stderr, err := helm(t, append([]string{"template", release, chart, "--namespace", namespace, "--values", image}, arguments...)...)
	if err == nil {
		t.Fatalf("helm template %s was not refused", strings.Join(arguments, " "))
	}
	return stderr
}

func parse(t *testing.T, text string) []object {
	t.Helper()
	var found []object
	for _, document := range strings.Split("\n"+text, "\n---\n") {
		var one object
		if err := yaml.UnmarshalStrict([]byte(document), &one); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(one) > 0 {
			found = append(found, one)
		}
	}
	if len(found) == 0 {
		t.Fatal("nothing was rendered")
	}
	return found
}

func (o object) kind() string { return text(o, "kind") }
func (o object) name() string { return text(o, "metadata", "name") }

// isTest says whether it is there for `helm test` alone.
func (o object) isTest() bool { return text(o, "metadata", "annotations", "helm.sh/hook") == "test" }

// at is the value at a path of an object, nil where there is none.
func at(value any, path ...string) any {
	for _, key := range path {
		mapping, _ := value.(map[string]any)
		if typed, ok := value.(object); ok {
			mapping = typed
		}
		value = mapping[key]
	}
	return value
}

func text(value any, path ...string) string {
	found, _ := at(value, path...).(string)
	return found
}

// list is the list at a path; empty where there is none.
func list(value any, path ...string) []any {
	found, _ := at(value, path...).([]any)
	return found
}

// words is a list of strings.
func words(value any, path ...string) []string {
	var found []string
	for _, one := range list(value, path...) {
		word, _ := one.(string)
		found = append(found, word)
	}
	return found
}

// only is the one object of a kind and name; a test fails where there are more, or none.
func only(t *testing.T, objects []object, kind, name string) object {
	t.Helper()
	var found []object
	for _, one := range objects {
		if one.kind() == kind && one.name() == name {
			found = append(found, one)
		}
	}
	if len(found) != 1 {
		t.Fatalf("there are %d of %s %s", len(found), kind, name)
	}
	return found[0]
}
