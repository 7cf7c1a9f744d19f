package gitops

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// Set to anything, what is generated is written instead of compared.
const write = "SAGA_WRITE_GOLDEN"

const settings = "../../argocd/argocd-cm.yaml"

func indented(text string, by int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for place, line := range lines {
		if line != "" {
			lines[place] = strings.Repeat(" ", by) + line
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// The scripts as one patch of Argo CD's ConfigMap.
func patch(t *testing.T) string {
	t.Helper()
	definitions := "discovery.lua: |\n" + indented(script(t, "actions/discovery.lua"), 2) + "definitions:\n"
	for _, action := range actions(t) {
		definitions += "- name: " + action + "\n  action.lua: |\n" + indented(script(t, "actions/"+action+"/action.lua"), 4)
	}
	return "# Made of the scripts beside it by `make generate`: do not edit.\n" +
		"# kubectl --namespace argocd patch configmap argocd-cm --patch-file argocd/argocd-cm.yaml\n" +
		"data:\n" +
		"  resource.customizations.health.saga.dev_Saga: |\n" + indented(script(t, "health.lua"), 4) +
		"  resource.customizations.actions.saga.dev_Saga: |\n" + indented(definitions, 4)
}

func TestThePatchOfArgoCDsSettingsHoldsTheScripts(t *testing.T) {
	wanted := patch(t)
	if os.Getenv(write) != "" {
		if err := os.WriteFile(settings, []byte(wanted), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found, err := os.ReadFile(settings)
	if err != nil || string(found) != wanted {
		t.Fatalf("%s is stale: run `make generate` and commit (%v)", settings, err)
	}
	// As Argo CD reads it.
	var config struct{ Data map[string]string }
	var customized struct {
		Discovery   string `json:"discovery.lua"`
		Definitions []struct {
			Name string `json:"name"`
			Lua  string `json:"action.lua"`
		} `json:"definitions"`
	}
	if err := yaml.UnmarshalStrict(found, &config); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict([]byte(config.Data["resource.customizations.actions.saga.dev_Saga"]), &customized); err != nil {
		t.Fatal(err)
	}
	if config.Data["resource.customizations.health.saga.dev_Saga"] != script(t, "health.lua") || len(config.Data) != 2 {
		t.Error("the health is not what the script says")
	}
	if customized.Discovery != script(t, "actions/discovery.lua") || len(customized.Definitions) != len(actions(t)) {
		t.Error("the buttons are not what the script says")
	}
	for _, definition := range customized.Definitions {
		if definition.Lua != script(t, "actions/"+definition.Name+"/action.lua") {
			t.Errorf("%s is not what the script says", definition.Name)
		}
	}
}
