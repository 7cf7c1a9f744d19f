// Package gitops holds what the operator writes against what GitOps tools read: the real kstatus library, and Argo CD's scripts in a Lua
// machine that offers what Argo CD's does. The golden sagas are written by the engine's tests.
package gitops

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.UnmarshalStrict(text, into)
	}
	if err != nil {
		t.Fatal(path, err)
	}
}

// golden is the saga in a state, as a client reads it.
func golden(t *testing.T, state string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("golden", state+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text, err = yaml.YAMLToJSON(text)
	object := &unstructured.Unstructured{}
	if err == nil {
		err = object.UnmarshalJSON(text)
	}
	if err != nil {
		t.Fatal(state, err)
	}
	return object.Object
}

// A row of the table in the page about GitOps.
type row struct{ ready, kstatus, argo string }

// table reads the page's table of states, state by state.
func table(t *testing.T) map[string]row {
	t.Helper()
	page, err := os.ReadFile("../../docs/gitops.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "| the saga is | `Ready` | kstatus | Argo CD |\n|---|---|---|---|\n")
	if !found {
		t.Fatal("docs/gitops.md has no table of states")
	}
	rows := map[string]row{}
	for line := range strings.Lines(rest) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 {
			break
		}
		for place := range cells {
			cells[place] = strings.ReplaceAll(strings.TrimSpace(cells[place]), "`", "")
		}
		for state := range strings.SplitSeq(cells[0], ", ") {
			rows[strings.ReplaceAll(state, " ", "-")] = row{cells[1], cells[2], cells[3]}
		}
	}
	return rows
}

func TestEveryStateReadsAsThePageSays(t *testing.T) {
	rows := table(t)
	files, err := filepath.Glob("golden/*.yaml")
	if err != nil || len(files) < 25 || len(rows) != len(files) {
		t.Errorf("%d golden sagas, %d states in the page, %v", len(files), len(rows), err)
	}
	for _, file := range files {
		state := strings.TrimSuffix(filepath.Base(file), ".yaml")
		object := golden(t, state)
		found := row{ready(object), kstatus(t, object), argo(t, object)}
		if found != rows[state] {
			t.Errorf("%s reads as %v; the page says %v", state, found, rows[state])
		}
	}
}

func ready(object map[string]any) string {
	conditions, _, _ := unstructured.NestedSlice(object, "status", "conditions")
	for _, condition := range conditions {
		if condition := condition.(map[string]any); condition["type"] == "Ready" {
			return condition["status"].(string) + " " + condition["reason"].(string)
		}
	}
	return "none"
}

func kstatus(t *testing.T, object map[string]any) string {
	t.Helper()
	result, err := status.Compute(&unstructured.Unstructured{Object: object})
	if err != nil {
		t.Fatal(err)
	}
	return result.Status.String()
}

// argo is the health that Argo CD shows. It asks no script about what is being deleted, but where its own finalizer stands on a hook.
func argo(t *testing.T, object map[string]any) string {
	t.Helper()
	saga := &unstructured.Unstructured{Object: object}
	hook := false
	for _, finalizer := range saga.GetFinalizers() {
		hook = hook || finalizer == "argocd.argoproj.io/hook-finalizer"
	}
	if saga.GetDeletionTimestamp() != nil && !hook {
		return "Progressing"
	}
	found, err := run(script(t, "health.lua"), object, nil)
	if err != nil {
		t.Fatal(err)
	}
	health := found.(map[string]any)
	if health["message"] == "" {
		t.Errorf("%v says nothing", health)
	}
	return health["status"].(string)
}

// What the operator says of a failure is what stands in the tools.
func TestAFailureIsToldInTheOperatorsWords(t *testing.T) {
	object := golden(t, "failed")
	told, _, _ := unstructured.NestedString(object, "status", "message")
	result, err := status.Compute(&unstructured.Unstructured{Object: object})
	if err != nil || result.Message != told || !strings.Contains(told, "step charge-card failed") {
		t.Errorf("kstatus says %q, %v", result.Message, err)
	}
	health, err := run(script(t, "health.lua"), object, nil)
	if err != nil || health.(map[string]any)["message"] != "StepFailed: "+told {
		t.Errorf("Argo CD says %v, %v", health, err)
	}
}
