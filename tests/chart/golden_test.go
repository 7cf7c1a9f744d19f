package chart

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"chart/reference"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write golden/ anew")

// What each scenario installs stands in golden/, to be read in a review: all but the definition, which crds/ holds.
func TestGoldenWhatIsInstalledIsWhatWasReviewed(t *testing.T) {
	for name, file := range scenarios(t) {
		t.Run(name, func(t *testing.T) {
			rendered := template(t, "--values", file, "--set", "crds.install=false")
			path := filepath.Join("golden", name+".yaml")
			if *update {
				if err := os.WriteFile(path, []byte(rendered), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			known, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if rendered != string(known) {
				t.Errorf("%s is out of date: run `tests/chart/run.sh --update`, and read the difference", path)
			}
		})
	}
}

func TestTheDefinitionIsThatOfTheOperatorAndKeptByDefault(t *testing.T) {
	stored, err := os.ReadFile(repository + "/crds/sagas.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var known object
	if err := yaml.Unmarshal(stored, &known); err != nil {
		t.Fatal(err)
	}
	objects := parse(t, template(t))
	definition := only(t, objects, "CustomResourceDefinition", "sagas.saga.dev")
	if policy := text(definition, "metadata", "annotations", "helm.sh/resource-policy"); policy != "keep" {
		t.Errorf("the policy is %q", policy)
	}
	if !same(definition["spec"], known["spec"]) {
		t.Error("the chart's definition differs from crds/sagas.yaml: run `make generate`")
	}
	definition = only(t, parse(t, template(t, "--set", "crds.keep=false")), "CustomResourceDefinition", "sagas.saga.dev")
	if policy := text(definition, "metadata", "annotations", "helm.sh/resource-policy"); policy != "" {
		t.Errorf("the policy is %q", policy)
	}
	for _, one := range parse(t, template(t, "--set", "crds.install=false")) {
		if one.kind() == "CustomResourceDefinition" {
			t.Error("it is installed although it was not to be")
		}
	}
}

func TestWhatIsGeneratedIsUpToDate(t *testing.T) {
	files, err := reference.Files(chart)
	if err != nil {
		t.Fatal(err)
	}
	for path, wanted := range files {
		is, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(is) != string(wanted) {
			t.Errorf("%s is out of date: run `make generate`", path)
		}
	}
}
