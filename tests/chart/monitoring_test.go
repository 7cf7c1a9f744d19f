package chart

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// metrics are the names under which the operator's series are scraped, as its source registers them.
func metrics(t *testing.T) []string {
	t.Helper()
	source, err := os.ReadFile(repository + "/src/service/metrics.rs")
	if err != nil {
		t.Fatal(err)
	}
	circuits, err := os.ReadFile(repository + "/src/service/circuits.rs")
	if err != nil {
		t.Fatal(err)
	}
	found := []string{"up"}
	for _, one := range regexp.MustCompile(`register\(\s*"([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		// By their kind: a gauge, a counter, an info.
		found = append(found, one[1], one[1]+"_total", one[1]+"_info")
	}
	for _, one := range regexp.MustCompile(`register_with_unit\("([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		found = append(found, one[1]+"_seconds_bucket", one[1]+"_seconds_count", one[1]+"_seconds_sum")
	}
	for _, one := range regexp.MustCompile(`encode_descriptor\("([a-z_]+)"`).FindAllStringSubmatch(string(circuits), -1) {
		found = append(found, one[1])
	}
	if len(found) < 20 {
		t.Fatalf("only these were found: %v", found)
	}
	return found
}

// queried are the names of series in an expression: what stands before a brace.
func queried(expression string) []string {
	var found []string
	for _, one := range regexp.MustCompile(`([a-z_]+)\{`).FindAllStringSubmatch(expression, -1) {
		found = append(found, one[1])
	}
	return found
}

func TestAlertsAndDashboardAskForSeriesThatThereAre(t *testing.T) {
	known := metrics(t)
	check := func(where, expression string) {
		asked := queried(expression)
		if len(asked) == 0 {
			t.Errorf("%s asks for nothing: %s", where, expression)
		}
		for _, name := range asked {
			if !slices.Contains(known, name) {
				t.Errorf("%s asks for %s, which the operator does not have", where, name)
			}
		}
		for _, label := range []string{"JOB", "NAMESPACE", "FULLNAME"} {
			if strings.Contains(expression, label) {
				t.Errorf("%s: nothing stands for %s", where, label)
			}
		}
	}
	objects := parse(t, template(t, "--set", "metrics.prometheusRule.create=true,metrics.dashboard.create=true"))
	alerts := list(list(only(t, objects, "PrometheusRule", release), "spec", "groups")[0], "rules")
	for _, alert := range alerts {
		check(text(alert, "alert"), text(alert, "expr"))
		for _, word := range []string{"summary", "description"} {
			if text(alert, "annotations", word) == "" {
				t.Errorf("%s has no %s", text(alert, "alert"), word)
			}
		}
	}
	if len(alerts) < 9 {
		t.Errorf("there are %d alerts", len(alerts))
	}
	var dashboard map[string]any
	stored := text(only(t, objects, "ConfigMap", release+"-dashboard"), "data", "saga-operator.json")
	if err := json.Unmarshal([]byte(stored), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range list(dashboard, "panels") {
		for _, target := range list(panel, "targets") {
			check(text(panel, "title"), text(target, "expr"))
		}
	}
}

// The selector of a Service, a monitor, a budget or a policy that fits no pod is never noticed until it is needed.
func TestEverySelectorFindsTheOperatorsPodAndNoOther(t *testing.T) {
	each(t, func(t *testing.T, _ string, objects []object) {
		var operator, test any
		for _, one := range objects {
			if one.kind() == "Deployment" {
				operator = at(one, "spec", "template", "metadata", "labels")
			}
			if one.kind() == "Pod" {
				test = at(one, "metadata", "labels")
			}
		}
		for _, one := range objects {
			var selector any
			switch one.kind() {
			case "Service":
				selector = at(one, "spec", "selector")
			case "PodDisruptionBudget", "Deployment":
				selector = at(one, "spec", "selector", "matchLabels")
			case "NetworkPolicy":
				selector = at(one, "spec", "podSelector", "matchLabels")
			case "ServiceMonitor":
				service := only(t, objects, "Service", one.name()+"-metrics")
				if !fits(at(one, "spec", "selector", "matchLabels"), at(service, "metadata", "labels")) {
					t.Errorf("ServiceMonitor %s does not find the Service", one.name())
				}
				continue
			default:
				continue
			}
			if !fits(selector, operator) || test != nil && fits(selector, test) {
				t.Errorf("%s %s selects %v", one.kind(), one.name(), selector)
			}
		}
	})
}

func fits(selector, labels any) bool {
	wanted, _ := selector.(map[string]any)
	for key, value := range wanted {
		if at(labels, key) != value {
			return false
		}
	}
	return len(wanted) > 0
}
