package chart

import (
	"regexp"
	"strings"
	"testing"
)

// What Kubernetes takes for a name: of most objects, of a namespace, of a Service, and a label's value.
var (
	subdomain  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	label      = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	service    = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	labelValue = regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`)
)

const everySort = "replicas=2,metrics.serviceMonitor.create=true,metrics.prometheusRule.create=true,metrics.dashboard.create=true," +
	"networkPolicy.create=true,admission.fourEyes=true,admission.deniedNamespaces={vault}"

// Names that are legal, and that YAML takes for numbers or truths where they are not quoted, or that are no names any more once they are cut.
func TestLegalNamesMakeValidObjects(t *testing.T) {
	check := judge(t)
	for _, installed := range []struct{ release, namespace, set, words string }{
		{"123", "4711", "", "serviceAccount.name=77,leaseNamespace=0x1f,priorityClassName=1e3,caBundle.configMap=on,caBundle.key=off"},
		{"1e3", "1e3", "", "watchNamespaces={on,0123,1e5},impersonation.namespaces={on,1e5},impersonation.serviceAccountNames={on,77}"},
		{"saga", "on", "impersonation.clusterWide=true", "tests.namespace=007,image.repository=1,image.tag=20,imagePullSecrets[0].name=12"},
		{"on", "y", "", "fullnameOverride=77,nameOverride=1,commonLabels.team=on,podLabels.team=12,serviceAccount.annotations.a=off"},
		{"12", "null", "", "nameOverride=2"},
		{"shop.v1.2", "shop", "", ""},
		{strings.Repeat("a", 39) + ".b", "shop", "", ""},
		{strings.Repeat("a", 38) + "---b", "shop", "", ""},
		{"1" + strings.Repeat("a", 52), "shop", "", "nameOverride=" + strings.Repeat("b", 61) + "-c"},
	} {
		t.Run(installed.release, func(t *testing.T) {
			rendered := templateAs(t, installed.release, installed.namespace,
				"--set", everySort, "--set", "crds.install=false,"+installed.set, "--set-string", installed.words)
			if valid, complaints := check(rendered); len(complaints) > 0 || valid < 10 {
				t.Errorf("%d are valid; %s", valid, strings.Join(complaints, "\n"))
			}
			for _, one := range parse(t, rendered) {
				namesIn(t, one.kind()+" "+one.name(), map[string]any(one))
				pattern := subdomain
				switch one.kind() {
				case "Namespace":
					pattern = label
				case "Service":
					pattern = service
				}
				if !pattern.MatchString(one.name()) {
					t.Errorf("%q is no name of a %s", one.name(), one.kind())
				}
			}
		})
	}
}

// namesIn holds every name, namespace and label in an object against what it must be.
func namesIn(t *testing.T, where string, value any) {
	t.Helper()
	legal := func(key string, value any, pattern *regexp.Regexp) {
		if word, is := value.(string); !is || !pattern.MatchString(word) {
			t.Errorf("%s: %s is %v (%T)", where, key, value, value)
		}
	}
	several, _ := value.([]any)
	for _, inner := range several {
		namesIn(t, where, inner)
	}
	mapping, _ := value.(map[string]any)
	for key, inner := range mapping {
		switch key {
		case "name", "serviceAccountName", "priorityClassName", "policyName":
			if _, is := inner.(string); !is {
				t.Errorf("%s: %s is %v (%T)", where, key, inner, inner)
			}
		case "namespace":
			legal(key, inner, label)
		case "matchNames":
			for _, one := range list(mapping, key) {
				legal(key, one, label)
			}
		case "labels", "matchLabels":
			labels, _ := inner.(map[string]any)
			for name, value := range labels {
				legal(name, value, labelValue)
			}
		default:
			namesIn(t, where, inner)
		}
	}
}
