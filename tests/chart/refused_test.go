package chart

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// What Helm says, in part, to values that are wrong.
func TestValuesThatAreWrongAreRefusedByName(t *testing.T) {
	for set, sentence := range map[string]string{
		"replica=2":                              "additional properties 'replica' not allowed",
		"image.repo=a":                           "at '/image': additional properties 'repo' not allowed",
		"http.calls.perHost=0":                   "at '/http/calls/perHost': minimum: got 0, want 1",
		"http.circuits.percent=3":                "at '/http/circuits': additional properties 'percent' not allowed",
		"resources.limit.memory=1Gi":             "at '/resources': additional properties 'limit' not allowed",
		"securityContext.privilege=true":         "at '/securityContext': additional properties 'privilege' not allowed",
		"tolerations[0].keys=a":                  "at '/tolerations/0': additional properties 'keys' not allowed",
		"metrics.serviceMonitor.enable=1":        "at '/metrics/serviceMonitor': additional properties 'enable' not allowed",
		"replicas=-1":                            "at '/replicas': minimum: got -1, want 0",
		"replicas=many":                          "at '/replicas': got string, want integer",
		"drainSeconds=301":                       "at '/drainSeconds': maximum: got 301, want 300",
		"log.format=xml":                         "at '/log/format': value must be one of 'json', 'text'",
		"image.digest=sha256:12":                 "at '/image/digest': 'sha256:12' does not match pattern",
		"watchNamespaces={Shop}":                 "at '/watchNamespaces/0': 'Shop' does not match pattern",
		"watchNamespaces=shop":                   "at '/watchNamespaces': got string, want array",
		"aggregatedRoles.requests.edit={delete}": "at '/aggregatedRoles/requests/edit/0': value must be one of 'retry'",
		"metrics.prometheusRule.job=a b":         "at '/metrics/prometheusRule/job': 'a b' does not match pattern",
		`commonLabels.helm\.sh/chart=a`:          "at '/commonLabels/helm.sh~1chart': false schema",
		`podLabels.app\.kubernetes\.io/name=a`:   "at '/podLabels/app.kubernetes.io~1name': false schema",

		"image.repository=": "set image.repository to its repository there, such as registry.example.com/saga-operator",
		"watchNamespaces={shop},impersonation.clusterWide=true":                  "name these in impersonation.namespaces instead",
		"watchNamespaces={shop},impersonation.namespaces={crm}":                  "impersonation.namespaces holds crm, which the operator does not watch",
		"watchNamespaces={shop},tests.namespace=crm":                             "tests.namespace is crm, which the operator does not watch",
		"watchNamespaces={shop,saga-system}":                                     "watchNamespaces holds saga-system, where the operator is installed and",
		"watchNamespaces={saga-system},admission.validationActions={Deny,Audit}": "watchNamespaces holds saga-system",
		"watchNamespaces={shop,kube-system}":                                     "watchNamespaces names kube-system, where admission.systemNamespaces refuses sagas",
		"tests.namespace=kube-public":                                            "tests.namespace names kube-public, where admission.systemNamespaces refuses sagas",
		"watchNamespaces={shop},admission.deniedNamespaces={vault,shop}":         "watchNamespaces names shop, and admission.deniedNamespaces refuses sagas there",
		"admission.deniedNamespaces={Vault}":                                     "at '/admission/deniedNamespaces/0': 'Vault' does not match pattern",
		"tests.namespace=saga-system":                                            "tests.namespace is saga-system, where the operator is installed and",
		"metrics.prometheusRule.create=true":                                     "set metrics.serviceMonitor.create to true, or metrics.prometheusRule.job to the job",
		"metrics.enabled=false,metrics.prometheusRule.create=true":               "metrics.enabled is false",
		"metrics.port=8081":                                                      "metrics.port and health.port are both 8081",
		"metrics.enabled=false,metrics.serviceMonitor.create=true":               "metrics.enabled is false",
		"metrics.service.create=false,metrics.serviceMonitor.create=true":        "set metrics.service.create to true",
		"metrics.prometheusRule.create=true,metrics.prometheusRule.job=a,metrics.prometheusRule.disabled={SagaIsFailing}": "SagaIsFailing, which is no alert; there are SagaOperatorAbsent",
	} {
		if said := refusal(t, "--set", set); !strings.Contains(said, sentence) {
			t.Errorf("%s: it should say %q, and says\n%s", set, sentence, said)
		}
	}
}

// Where nobody is kept from it, a saga may be in the operator's namespace.
func TestTheOperatorsNamespaceIsAsOthersWhereNoPolicyKeepsSagasOutOfIt(t *testing.T) {
	for _, without := range []string{"admission.enabled=false", "admission.operatorNamespace=false", "admission.validationActions={Warn}"} {
		for _, set := range []string{"watchNamespaces={shop,saga-system}", "tests.namespace=saga-system"} {
			template(t, "--set", without+","+set)
		}
	}
	template(t, "--set", "tests.create=false,tests.namespace=saga-system")
}

// Nor is anything said of other namespaces then.
func TestOtherNamespacesAreAsOthersWhereNoPolicyKeepsSagasOutOfThem(t *testing.T) {
	namespaced := "watchNamespaces={shop,kube-system},admission.deniedNamespaces={shop}"
	for _, without := range []string{
		"admission.validationActions={Warn}", "admission.enabled=false,admission.operatorAccount=false", "admission.enabled=false,rbac.letNamespacesGo=false",
	} {
		template(t, "--set", without+","+namespaced)
	}
	template(t, "--set", "watchNamespaces={kube-system},admission.systemNamespaces=false")
	template(t, "--set", "tests.create=false,tests.namespace=kube-system")
}

// What is refused above leaves a way for those whose scrapes are others'.
func TestWhatARefusalAsksForIsLetThrough(t *testing.T) {
	for _, set := range []string{
		"metrics.prometheusRule.create=true,metrics.serviceMonitor.create=true",
		"metrics.prometheusRule.create=true,metrics.prometheusRule.job=pods",
	} {
		template(t, "--set", set)
	}
}

// No key of the chart's own stands twice, whoever gives it: the schema names every one.
func TestEveryLabelOfTheChartIsRefusedInThoseOfTheUser(t *testing.T) {
	own := map[string]bool{}
	collect := func(labels any) {
		of, _ := labels.(map[string]any)
		for key := range of {
			own[strings.ReplaceAll(key, ".", `\.`)] = true
		}
	}
	for _, one := range parse(t, template(t, "--set", everySort+",crds.install=false")) {
		// Where the label is Grafana's, the user's stands in its place.
		if one.name() != release+"-dashboard" {
			collect(at(one, "metadata", "labels"))
		}
	}
	if len(own) < 10 {
		t.Errorf("only these were found: %v", own)
	}
	for key := range own {
		if said := refusal(t, "--set", "commonLabels."+key+"=a"); !strings.Contains(said, "at '/commonLabels/") {
			t.Errorf("%s: it says\n%s", key, said)
		}
	}
}

// A cluster that cannot stamp who created a saga is not told that it does.
func TestFourEyesAreRefusedWhereTheClusterCannotSeeThem(t *testing.T) {
	said := refusal(t, "--set", "admission.fourEyes=true", "--kube-version", "1.35.0")
	if !strings.Contains(said, "Kubernetes has from 1.36 on, and this is v1.35.0: set it to false") {
		t.Errorf("it says\n%s", said)
	}
}

// No place in the schema lets a key through that is none, but where keys are the user's own.
func TestTheSchemaIsClosedEverywhere(t *testing.T) {
	stored, err := os.ReadFile(chart + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(stored, &schema); err != nil {
		t.Fatal(err)
	}
	// Objects of Kubernetes, which the API server checks; what Helm hands to charts around this one.
	open := map[string]bool{
		"/global": true, "/extraEnv/*/valueFrom": true,
		"/affinity/nodeAffinity": true, "/affinity/podAffinity": true, "/affinity/podAntiAffinity": true,
		"/topologySpreadConstraints/*/labelSelector": true,
		"/networkPolicy/metricsFrom/*/podSelector":   true, "/networkPolicy/metricsFrom/*/namespaceSelector": true,
		"/networkPolicy/metricsFrom/*/ipBlock": true, "/networkPolicy/egress/allow/*/to/*": true, "/networkPolicy/egress/allow/*/ports/*": true,
	}
	var walk func(path string, rule any)
	walk = func(path string, rule any) {
		properties, _ := at(rule, "properties").(map[string]any)
		for name, inner := range properties {
			walk(path+"/"+name, inner)
		}
		if items := at(rule, "items"); items != nil {
			walk(path+"/*", items)
		}
		if at(rule, "type") != "object" {
			return
		}
		switch additional := at(rule, "additionalProperties"); {
		case open[path]:
			delete(open, path)
		case properties == nil && additional != nil && additional != true: // a map of the user's own keys
		case additional != false:
			t.Errorf("%s lets any key through", path)
		}
	}
	walk("", schema)
	for path := range open {
		t.Errorf("%s is not open any more: take it off the list", path)
	}
}

// A namespace that the test makes has no Secrets to pull its image with: there is no test then, and no installation is kept up by that.
func TestThereIsNoTestWhereItsPodCouldNotPullItsImage(t *testing.T) {
	for set, there := range map[string]bool{
		"tests.create=true":                                         true,
		"imagePullSecrets[0].name=registry":                         false,
		"imagePullSecrets[0].name=registry,tests.namespace=default": true,
		"imagePullSecrets[0].name=registry,watchNamespaces={shop}":  true,
	} {
		hooks := strings.Contains(template(t, "--set", set), "helm.sh/hook: test")
		notes := notes(t, "--set", set)
		if hooks != there || strings.Contains(notes, "helm test saga") != there || strings.Contains(notes, "There is no `helm test`") == there {
			t.Errorf("%s: hooks are there: %v, and the notes are\n%s", set, hooks, notes)
		}
	}
}

// Roles of the whole cluster add up, whichever release brings them.
func TestASecondReleaseIsWarnedOfRolesThatGiveBackWhatTheFirstHoldsBack(t *testing.T) {
	second := "watchNamespaces={shop},crds.install=false,admission.enabled=false"
	for set, warned := range map[string]bool{second: true, second + ",aggregatedRoles.create=false": false, "watchNamespaces={shop}": false} {
		if said := notes(t, "--set", set); strings.Contains(said, "WARNING: aggregatedRoles") != warned {
			t.Errorf("%s: the notes are\n%s", set, said)
		}
	}
}

// The notes after an installation say what it may do, in words that nobody overlooks.
func TestTheNotesSayWhatTheOperatorMayDo(t *testing.T) {
	for name, sentences := range map[string][]string{
		"default": {
			"The operator works in every namespace.", "The operator may create pods in the whole cluster",
			"that the policy saga-operator-own-account does not deny", "aggregatedRoles.create is true: every user with the role edit in a namespace",
			"helm test saga-operator --namespace saga-system", "kind: Saga",
			"It may do so nowhere yet", "--clusterrole saga-operator-impersonator --serviceaccount saga-system:saga-operator",
			"Uninstalling keeps the Saga resource and all sagas",
		},
		"namespaced":                 {"The operator works in shop, shipping, and nowhere else.", "No policy restricts the operator's account", "It may do so in shop alone, as\norder-saga."},
		"rights-only":                {"so no operator runs", "kubectl create token saga-operator --namespace saga-system"},
		"everything":                 {"WARNING: crds.keep is false."},
		"cluster-wide-impersonation": {"WARNING: impersonation.clusterWide is true.", "nearly an administrator of the cluster"},
	} {
		notes := notes(t, "--values", "values/"+name+".yaml")
		for _, sentence := range sentences {
			if !strings.Contains(notes, sentence) {
				t.Errorf("%s: %q is missing in\n%s", name, sentence, notes)
			}
		}
		if strings.Contains(notes, "WARNING: impersonation") != (name == "cluster-wide-impersonation") {
			t.Errorf("%s: the warning is in the wrong place", name)
		}
	}
}

// Whoever leaves out the policy of the operator's account is told what that account is then.
func TestTheNotesSayWhatAnAccountIsThatNothingBinds(t *testing.T) {
	for set, wanted := range map[string]bool{
		"replicas=1":                         false,
		"admission.operatorAccount=false":    true,
		"admission.validationActions={Warn}": true,
		"admission.enabled=false":            false,
		"rbac.create=false":                  false,
	} {
		if said := notes(t, "--set", set); strings.Contains(said, "such a user is as good as cluster-admin") != wanted {
			t.Errorf("%s: they say\n%s", set, said)
		}
	}
}

// What the notes tell people to do they may do.
func TestTheSampleOfTheNotesIsNotRefused(t *testing.T) {
	const placeholder = `namespace: "NAMESPACE"`
	for set, wanted := range map[string]string{
		"replicas=1": placeholder,
		"admission.operatorNamespace=false,admission.deniedNamespaces={default}": placeholder,
		"watchNamespaces={shop}":            `namespace: "shop"`,
		"admission.enabled=false":           `namespace: "default"`,
		"admission.operatorNamespace=false": `namespace: "default"`,
	} {
		if said := notesIn(t, "default", "--set", set); !strings.Contains(said, wanted) {
			t.Errorf("%s: %s is missing in\n%s", set, wanted, said)
		}
	}
	if said := notes(t); strings.Contains(said, placeholder) || strings.Contains(said, "nother user") {
		t.Errorf("they say\n%s", said)
	}
	if said := notes(t, "--set", "admission.fourEyes=true"); !strings.Contains(said, "may not approve it. Another user runs:") {
		t.Errorf("they say\n%s", said)
	}
}

// Who gives the operator its rights by hand is told of no binding that there is not.
func TestTheNotesSpeakOfNoRightsThatAreNotInstalled(t *testing.T) {
	for _, set := range []string{"replicas=1", "replicas=0", "impersonation.clusterWide=true", "impersonation.namespaces={shop}", "watchNamespaces={shop}"} {
		notes := notes(t, "--set", "rbac.create=false,"+set)
		if !strings.Contains(notes, "rbac.create is false: the operator has only the rights that you give to saga-system/saga-operator") {
			t.Errorf("%s: they say\n%s", set, notes)
		}
		for _, wrong := range []string{"may act as", "It may do so", "impersonator", "rights of the operator are"} {
			if strings.Contains(notes, wrong) {
				t.Errorf("%s: %q stands in\n%s", set, wrong, notes)
			}
		}
	}
}

// Helm deletes by name what it is told to delete before it makes it.
func TestANamespaceThatSomebodyElseMadeIsNotDeletedToMakeRoomForTheTest(t *testing.T) {
	longest := strings.Repeat("a", 40)
	objects := parse(t, template(t, "--set", "fullnameOverride="+longest))
	made := only(t, objects, "Namespace", longest+"-saga-helm-test")
	if len(made.name()) > 63 {
		t.Errorf("%s has %d characters", made.name(), len(made.name()))
	}
	if policy := text(made, "metadata", "annotations", "helm.sh/hook-delete-policy"); policy != "hook-succeeded,hook-failed" {
		t.Errorf("the policy is %q", policy)
	}
}

func TestTheTestIsInANamespaceInWhichTheOperatorWorks(t *testing.T) {
	each(t, func(t *testing.T, name string, objects []object) {
		wanted := map[string]string{"namespaced": "shop", "everything": "shipping", "rights-only": ""}
		expected, special := wanted[name]
		if !special {
			expected = "saga-operator-saga-helm-test"
		}
		var found string
		for _, one := range objects {
			if one.isTest() && one.kind() == "Saga" {
				found = text(one, "metadata", "namespace")
			}
			if one.isTest() && one.kind() == "Namespace" && fmt.Sprint(one.name()) != expected {
				t.Errorf("it makes the namespace %s", one.name())
			}
		}
		if found != expected {
			t.Errorf("the saga is in %q", found)
		}
	})
}
