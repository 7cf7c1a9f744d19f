package chart

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The verbs that a person needs on sagas to ask for something by annotation.
var requests = []string{"retry", "skip", "settle", "compensate", "pause", "resume", "cancel", "approve", "reject"}

// rules are those of every role, with the role that holds each.
func rules(objects []object, test func(role object, rule any)) {
	for _, one := range objects {
		if one.kind() == "Role" || one.kind() == "ClusterRole" {
			for _, rule := range list(one, "rules") {
				test(one, rule)
			}
		}
	}
}

func TestNoRightIsAWildcardOrReadsSecrets(t *testing.T) {
	each(t, func(t *testing.T, _ string, objects []object) {
		rules(objects, func(role object, rule any) {
			for _, field := range []string{"apiGroups", "resources", "verbs", "resourceNames", "nonResourceURLs"} {
				for _, word := range words(rule, field) {
					if strings.Contains(word, "*") {
						t.Errorf("%s %s: %s holds %q", role.kind(), role.name(), field, word)
					}
				}
			}
			for _, resource := range words(rule, "resources") {
				if strings.HasPrefix(resource, "secrets") || strings.HasPrefix(resource, "roles") || strings.HasPrefix(resource, "clusterroles") {
					t.Errorf("%s %s: a right on %s", role.kind(), role.name(), resource)
				}
			}
			for _, verb := range words(rule, "verbs") {
				if verb == "escalate" || verb == "bind" {
					t.Errorf("%s %s: the verb %s", role.kind(), role.name(), verb)
				}
			}
		})
	})
}

// Impersonation is of ServiceAccounts alone, and, unless the cluster as a whole is asked for, bound namespace by namespace.
func TestTheOperatorActsAsServiceAccountsAndOnlyWhereItWasTold(t *testing.T) {
	each(t, func(t *testing.T, name string, objects []object) {
		var impersonators []string
		rules(objects, func(role object, rule any) {
			if !slices.Contains(words(rule, "verbs"), "impersonate") {
				return
			}
			impersonators = append(impersonators, role.name())
			if !same(words(rule, "verbs"), []string{"impersonate"}) || !same(words(rule, "resources"), []string{"serviceaccounts"}) ||
				!same(words(rule, "apiGroups"), []string{""}) {
				t.Errorf("%s holds %v", role.name(), rule)
			}
		})
		var clusterWide []string
		for _, one := range objects {
			if one.kind() == "ClusterRoleBinding" && slices.Contains(impersonators, text(one, "roleRef", "name")) {
				clusterWide = append(clusterWide, one.name())
			}
		}
		if asked := name == "cluster-wide-impersonation"; asked != (len(clusterWide) > 0) {
			t.Errorf("bound in the whole cluster by %v", clusterWide)
		}
	})
	objects := parse(t, template(t))
	for _, one := range objects {
		if one.kind() == "RoleBinding" && !one.isTest() && strings.HasSuffix(text(one, "roleRef", "name"), "-impersonator") {
			t.Errorf("by default %s lets it impersonate in %s", one.name(), text(one, "metadata", "namespace"))
		}
	}
}

func TestInNamedNamespacesTheOperatorHasNoRightsBeyond(t *testing.T) {
	objects := parse(t, template(t, "--values", "values/namespaced.yaml"))
	everywhere := parse(t, template(t))
	for _, watched := range []string{"shop", "shipping"} {
		var found bool
		for _, one := range objects {
			if one.kind() == "Role" && one.name() == release && text(one, "metadata", "namespace") == watched {
				found = true
				if !same(one["rules"], only(t, everywhere, "ClusterRole", release)["rules"]) {
					t.Errorf("the Role in %s and the ClusterRole differ", watched)
				}
			}
		}
		if !found {
			t.Errorf("there is no Role in %s", watched)
		}
	}
	for _, one := range objects {
		if strings.HasPrefix(one.kind(), "Cluster") || one.kind() == "Namespace" || one.kind() == "CustomResourceDefinition" {
			t.Errorf("%s %s lies outside of namespaces", one.kind(), one.name())
		}
		if in := text(one, "metadata", "namespace"); !slices.Contains([]string{"shop", "shipping", namespace}, in) {
			t.Errorf("%s %s is in %q", one.kind(), one.name(), in)
		}
	}
	account := only(t, objects, "Role", release+"-impersonator")
	if names := words(list(account, "rules")[0], "resourceNames"); !same(names, []string{"order-saga"}) {
		t.Errorf("it may act as %v", names)
	}
}

// What a RoleBinding refers to cannot be changed: an upgrade that goes over to named namespaces, or back, makes another one.
func TestBindingsThatReferToSomethingElseHaveAnotherName(t *testing.T) {
	references := map[string]string{}
	for _, set := range []string{"replicas=1", "watchNamespaces={shop}"} {
		for _, one := range parse(t, template(t, "--set", "impersonation.namespaces={shop},tests.create=false,"+set)) {
			if !strings.HasSuffix(one.kind(), "RoleBinding") {
				continue
			}
			key := one.kind() + " " + text(one, "metadata", "namespace") + "/" + one.name()
			reference := text(one, "roleRef", "kind") + " " + text(one, "roleRef", "name")
			if known, twice := references[key]; twice && known != reference {
				t.Errorf("%s refers to %s and to %s", key, known, reference)
			}
			references[key] = reference
		}
	}
	if references["RoleBinding shop/saga-operator-impersonator"] == "" || references["RoleBinding shop/saga-operator-impersonator-own"] == "" {
		t.Errorf("there are %v", references)
	}
}

// A second release sees the policies of the first, unless nothing of it is to lie outside of namespaces.
func TestTheOperatorMayLookForThePoliciesWhosesoeverTheyAre(t *testing.T) {
	for set, wanted := range map[string]bool{
		"admission.enabled=true":                         true,
		"admission.enabled=false":                        true,
		"watchNamespaces={shop}":                         true,
		"admission.enabled=false,watchNamespaces={shop}": false,
		"rbac.create=false":                              false,
	} {
		var found bool
		for _, one := range parse(t, template(t, "--set", set)) {
			found = found || one.kind() == "ClusterRole" && one.name() == release+"-admission"
		}
		if found != wanted {
			t.Errorf("%s: %v", set, found)
		}
	}
}

// The Roles of a namespace go before its sagas do. What is left then lets the operator take the finalizer off, and write nowhere else.
func TestANamespaceThatGoesIsLetGo(t *testing.T) {
	objects := parse(t, template(t, "--set", "watchNamespaces={shop,shipping}"))
	var clusterRoles []string
	for _, one := range objects {
		if one.kind() == "ClusterRoleBinding" {
			clusterRoles = append(clusterRoles, text(one, "roleRef", "name"))
		}
	}
	if !same(clusterRoles, []string{release + "-admission", release + "-terminating"}) {
		t.Errorf("bound in the whole cluster: %v", clusterRoles)
	}
	written := map[string]bool{}
	for _, rule := range list(only(t, objects, "ClusterRole", release+"-terminating"), "rules") {
		for _, resource := range words(rule, "resources") {
			for _, verb := range words(rule, "verbs") {
				if verb != "get" {
					written[resource] = true
				}
			}
			if resource == "namespaces" && !same(words(rule, "resourceNames"), []string{"shop", "shipping"}) {
				t.Errorf("it reads the namespaces %v", words(rule, "resourceNames"))
			}
		}
	}
	policy := only(t, objects, "ValidatingAdmissionPolicy", release+"-terminating")
	confined := words(list(policy, "spec", "matchConstraints", "resourceRules")[0], "resources")
	if len(written) != 2 || len(confined) != len(written) || !written[confined[0]] || !written[confined[1]] {
		t.Errorf("it may write %v, and the policy is about %v", written, confined)
	}
	selector := list(policy, "spec", "matchConstraints", "namespaceSelector", "matchExpressions")[0]
	if !same(words(selector, "values"), []string{"shop", "shipping"}) || text(selector, "operator") != "NotIn" {
		t.Errorf("the policy leaves out %v", selector)
	}
	if user := text(list(policy, "spec", "matchConditions")[0], "expression"); !strings.Contains(user, `"system:serviceaccount:saga-system:saga-operator"`) {
		t.Errorf("the policy is about %s", user)
	}
}

// The policy of the operator's account is each release's own, and there wherever anything of the release lies outside of namespaces.
func TestTheAccountOfEachReleaseIsBound(t *testing.T) {
	const name = release + "-own-account"
	for set, wanted := range map[string]bool{
		"replicas=1":                                     true,
		"rbac.create=false":                              true,
		"admission.operatorAccount=false":                false,
		"admission.enabled=false":                        true,
		"admission.enabled=false,watchNamespaces={shop}": true,
		"admission.enabled=false,watchNamespaces={shop},rbac.letNamespacesGo=false": false,
		"admission.enabled=false,watchNamespaces={shop},rbac.create=false":          false,
	} {
		found := map[string]bool{}
		for _, one := range parse(t, template(t, "--set", set)) {
			if one.name() == name {
				found[one.kind()] = true
			}
		}
		if found["ValidatingAdmissionPolicy"] != wanted || found["ValidatingAdmissionPolicyBinding"] != wanted {
			t.Errorf("%s: there are %v", set, found)
		}
	}
	for set, wanted := range map[string]string{
		"replicas=1":                        `["kube-system","kube-public","kube-node-lease","saga-system"]`,
		"admission.operatorNamespace=false": `["kube-system","kube-public","kube-node-lease"]`,
		"admission.deniedNamespaces={vault,kube-system},serviceAccount.name=runner": `["kube-system","kube-public","kube-node-lease","vault","saga-system"]`,
		"admission.systemNamespaces=false":                                          `["saga-system"]`,
		// Sagas may be in the namespace of the release there, and so may their pods.
		"admission.enabled=false,watchNamespaces={saga-system}":              `["kube-system","kube-public","kube-node-lease"]`,
		"admission.systemNamespaces=false,admission.operatorNamespace=false": "",
	} {
		policy := only(t, parse(t, template(t, "--set", set)), "ValidatingAdmissionPolicy", name)
		rules := list(policy, "spec", "validations")
		account, denied := "system:serviceaccount:saga-system:"+release, ""
		if strings.Contains(set, "runner") {
			account = "system:serviceaccount:saga-system:runner"
		}
		if len(rules) == 3 {
			_, denied, _ = strings.Cut(text(rules[0], "expression"), "request.namespace in ")
		}
		if strings.TrimSuffix(denied, ")") != wanted {
			t.Errorf("%s: it denies %s", set, denied)
		}
		if is := text(list(policy, "spec", "matchConditions")[0], "expression"); is != "request.userInfo.username == '"+account+"'" {
			t.Errorf("%s: it is about %s", set, is)
		}
	}
}

// The policy about fields is in force by default, and asks those who have the role edit for nothing that they lack.
func TestWhoMayEditMayChangeEveryField(t *testing.T) {
	objects := parse(t, template(t))
	var given []string
	for _, rule := range list(only(t, objects, "ClusterRole", release+"-edit"), "rules") {
		given = append(given, words(rule, "verbs")...)
	}
	var asked int
	for _, rule := range list(only(t, objects, "ValidatingAdmissionPolicy", "fields.sagas.saga.dev"), "spec", "validations") {
		for _, found := range regexp.MustCompile(`check\('([a-z]+)'\)`).FindAllStringSubmatch(text(rule, "expression"), -1) {
			asked++
			if !slices.Contains(given, found[1]) {
				t.Errorf("%s is asked for, and edit lacks it", found[1])
			}
		}
	}
	if asked < 14 {
		t.Errorf("only %d verbs are asked for", asked)
	}
}

// Each request by annotation is given to exactly one of the roles, and approvals and what passes one go together.
func TestWhoMayAskForWhat(t *testing.T) {
	objects := parse(t, template(t))
	given := map[string][]string{}
	rules(objects, func(role object, rule any) {
		for _, verb := range words(rule, "verbs") {
			if slices.Contains(requests, verb) {
				given[verb] = append(given[verb], role.name())
			}
		}
	})
	for _, verb := range requests {
		wanted := release + "-edit"
		if verb == "skip" || verb == "settle" || verb == "approve" || verb == "reject" {
			wanted = release + "-admin"
		}
		if !same(given[verb], []string{wanted}) {
			t.Errorf("%s is given to %v", verb, given[verb])
		}
	}
	view := only(t, objects, "ClusterRole", release+"-view")
	if !same(list(view, "rules"), []any{map[string]any{
		"apiGroups": []any{"saga.dev"}, "resources": []any{"sagas"}, "verbs": []any{"get", "list", "watch"},
	}}) {
		t.Errorf("who may view may %v", view["rules"])
	}
}

func TestThePodMeetsTheRestrictedStandard(t *testing.T) {
	each(t, func(t *testing.T, _ string, objects []object) {
		for _, one := range objects {
			var pod any = at(one, "spec")
			if one.kind() == "Deployment" {
				pod = at(one, "spec", "template", "spec")
			} else if one.kind() != "Pod" {
				continue
			}
			for _, fault := range faults(pod) {
				t.Errorf("%s %s: %s", one.kind(), one.name(), fault)
			}
		}
	})
}

// faults are the rules of the restricted Pod Security Standard that a pod breaks, and two of our own: nothing is written to its root, and no
// user is root.
func faults(pod any) []string {
	var found []string
	wrong := func(is bool, what string) {
		if is {
			found = append(found, what)
		}
	}
	for _, field := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		wrong(at(pod, field) == true, field)
	}
	shared := at(pod, "securityContext")
	wrong(at(shared, "runAsNonRoot") != true, "runAsNonRoot")
	wrong(fmt.Sprint(at(shared, "runAsUser")) != "65532", "runAsUser")
	wrong(text(shared, "seccompProfile", "type") != "RuntimeDefault", "seccompProfile")
	for _, volume := range list(pod, "volumes") {
		wrong(at(volume, "configMap") == nil, "a volume that is no ConfigMap")
	}
	wrong(len(list(pod, "containers")) != 1, "containers")
	for _, container := range list(pod, "containers") {
		own := at(container, "securityContext")
		wrong(at(own, "allowPrivilegeEscalation") != false, "allowPrivilegeEscalation")
		wrong(at(own, "readOnlyRootFilesystem") != true, "readOnlyRootFilesystem")
		wrong(at(own, "privileged") == true, "privileged")
		wrong(!same(words(own, "capabilities", "drop"), []string{"ALL"}), "capabilities.drop")
		wrong(len(list(own, "capabilities", "add")) > 0, "capabilities.add")
		for _, port := range list(container, "ports") {
			wrong(at(port, "hostPort") != nil, "hostPort")
		}
	}
	return found
}

// Who adds an argument to the operator is told here that the chart does not give it: by a value, or as the pod's own addresses by a variable.
func TestEveryArgumentOfTheOperatorComesFromTheChart(t *testing.T) {
	var known []string
	for _, file := range []string{"args.rs", "args/calls.rs", "args/circuits.rs", "args/egress.rs"} {
		source, err := os.ReadFile(repository + "/src/service/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`env = "SAGA_([A-Z_]+)"`).FindAllStringSubmatch(string(source), -1) {
			known = append(known, "--"+strings.ReplaceAll(strings.ToLower(found[1]), "_", "-"))
		}
	}
	deployment := only(t, parse(t, template(t, "--values", "values/everything.yaml")), "Deployment", "sagas")
	container := list(deployment, "spec", "template", "spec", "containers")[0]
	var given []string
	for _, argument := range words(container, "args")[1:] {
		name, _, _ := strings.Cut(argument, "=")
		given = append(given, name)
	}
	for _, variable := range list(container, "env") {
		if at(variable, "name") == "SAGA_POD_IPS" && at(variable, "valueFrom", "fieldRef", "fieldPath") == "status.podIPs" {
			given = append(given, "--pod-ips")
		}
	}
	if len(known) < 21 || !same(sorted(known), sorted(given)) {
		t.Errorf("the operator knows %v,\nthe chart gives %v", known, given)
	}
}

// The operator refuses to be told how circuits open that there are not.
func TestWithoutCircuitsNothingIsSaidOfThem(t *testing.T) {
	deployment := only(t, parse(t, template(t, "--set", "http.circuits.calls=0")), "Deployment", release)
	var told []string
	for _, argument := range words(list(deployment, "spec", "template", "spec", "containers")[0], "args") {
		if strings.HasPrefix(argument, "--http-circuit-") {
			told = append(told, argument)
		}
	}
	if !same(told, []string{"--http-circuit-calls=0"}) {
		t.Errorf("it is told %v", told)
	}
}

// What two values name is there once, and the nearer one counts.
func TestALabelOfThePodsStandsBeforeThatOfEverything(t *testing.T) {
	set := "commonLabels.team=platform,podLabels.team=sagas,metrics.serviceMonitor.create=true,metrics.serviceMonitor.labels.team=watchers"
	objects := parse(t, template(t, "--set", set))
	deployment, monitor := only(t, objects, "Deployment", release), only(t, objects, "ServiceMonitor", release)
	labels := []string{
		text(deployment, "metadata", "labels", "team"), text(deployment, "spec", "template", "metadata", "labels", "team"),
		text(monitor, "metadata", "labels", "team"),
	}
	if !same(labels, []string{"platform", "sagas", "watchers"}) {
		t.Errorf("they are %v", labels)
	}
}

func TestThePodIsGivenMoreTimeThanItsRequests(t *testing.T) {
	deployment := only(t, parse(t, template(t, "--set", "drainSeconds=300")), "Deployment", release)
	if grace := fmt.Sprint(at(deployment, "spec", "template", "spec", "terminationGracePeriodSeconds")); grace != "320" {
		t.Errorf("the grace period is %s s", grace)
	}
}

func TestOnePodHasNoDisruptionBudgetAndSeveralHave(t *testing.T) {
	for replicas, wanted := range map[string]bool{"0": false, "1": false, "2": true} {
		var found bool
		for _, one := range parse(t, template(t, "--set", "replicas="+replicas)) {
			found = found || one.kind() == "PodDisruptionBudget"
		}
		if found != wanted {
			t.Errorf("%s replicas: %v", replicas, found)
		}
	}
}
