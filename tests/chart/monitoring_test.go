package chart

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What stands for something of the release in files/alerts.yaml.
var placeholders = regexp.MustCompile(`\b(JOB|NAMESPACE|FULLNAME|RELEASE)\b`)

func TestAlertsAndDashboardAskForSeriesThatThereAre(t *testing.T) {
	known, words := series(t), vocabulary(t)
	check := func(where, expression string) {
		if len(selectors(expression)) == 0 {
			t.Errorf("%s asks for nothing: %s", where, expression)
		}
		for _, fault := range unknownIn(expression, known, words) {
			t.Errorf("%s asks for %s, which the operator does not have", where, fault)
		}
	}
	objects := parse(t, template(t, "--set", "metrics.serviceMonitor.create=true,metrics.prometheusRule.create=true,metrics.dashboard.create=true"))
	rules := alerts(t, objects)
	for _, alert := range rules {
		check(text(alert, "alert"), text(alert, "expr"))
	}
	if len(rules) < 11 {
		t.Errorf("there are %d alerts", len(rules))
	}
	var dashboard map[string]any
	stored := text(only(t, objects, "ConfigMap", release+"-dashboard"), "data", "saga-operator.json")
	if err := json.Unmarshal([]byte(stored), &dashboard); err != nil {
		t.Fatal(err)
	}
	var asked []string
	for _, panel := range list(dashboard, "panels") {
		for _, target := range list(panel, "targets") {
			check(text(panel, "title"), text(target, "expr"))
			asked = append(asked, text(target, "expr"))
		}
	}
	if !strings.Contains(strings.Join(asked, " "), "saga_resources{") {
		t.Error("no panel shows how many sagas there are")
	}
}

func alerts(t *testing.T, objects []object) []any {
	t.Helper()
	return list(list(only(t, objects, "PrometheusRule", release), "spec", "groups")[0], "rules")
}

// Of several releases none answers for another: a job's name is that of a Service, and there may be one of that name in each namespace.
func TestEveryAlertIsOfOneReleaseAndSaysWhatToDo(t *testing.T) {
	for set, job := range map[string]string{
		"metrics.serviceMonitor.create=true":                              release + "-metrics-headless",
		"metrics.prometheusRule.job=sagas/NAMESPACE":                      "sagas/NAMESPACE",
		"metrics.serviceMonitor.create=true,metrics.prometheusRule.job=a": "a",
	} {
		for _, alert := range alerts(t, parse(t, template(t, "--set", "metrics.prometheusRule.create=true,"+set))) {
			name := text(alert, "alert")
			for _, asked := range selectors(text(alert, "expr")) {
				of := map[string]string{}
				for _, matcher := range asked.matchers {
					of[matcher[1]] = matcher[3]
				}
				if of["job"] != job || of["namespace"] != namespace {
					t.Errorf("%s: %s is of job %q in namespace %q", name, asked.series, of["job"], of["namespace"])
				}
			}
			grouped := strings.Join(found(`\bby \(([^)]*)\)`, text(alert, "expr")), ", ")
			for _, word := range []string{"summary", "description"} {
				said := text(alert, "annotations", word)
				if said == "" || placeholders.MatchString(said) || strings.Contains(said, "deployment/") {
					t.Errorf("%s: its %s is %q", name, word, said)
				}
				for _, label := range found(`\$labels\.(\w+)`, said) {
					if !slices.Contains(strings.Split(grouped, ", "), label) {
						t.Errorf("%s: its %s speaks of a label %s, and its series have none", name, word, label)
					}
				}
			}
		}
	}
}

// A Service with an address of its own would lead the requests of sagas to the operator, whose rules know the addresses of its pods.
func TestNoServiceHidesTheAddressesOfTheOperator(t *testing.T) {
	each(t, func(t *testing.T, _ string, objects []object) {
		for _, one := range objects {
			if one.kind() == "Service" && text(one, "spec", "clusterIP") != "None" {
				t.Errorf("Service %s is not headless", one.name())
			}
		}
	})
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
				service := only(t, objects, "Service", one.name()+"-metrics-headless")
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
