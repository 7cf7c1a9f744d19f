package chart

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// source is a file of the operator, without its tests; empty where there is none of that name.
func source(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(repository + "/src/" + path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	code, _, _ := strings.Cut(string(text), "#[cfg(test)]")
	return code
}

// found is what a pattern's first group matches, everywhere in a text.
func found(pattern, text string) []string {
	var all []string
	for _, one := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, one[1])
	}
	return all
}

// labelSets are the labels of each struct of labels in a source.
func labelSets(code string) map[string][]string {
	sets := map[string][]string{}
	for _, one := range regexp.MustCompile(`EncodeLabelSet\)\]\s*(?:pub(?:\([a-z]+\))? )?struct (\w+) \{([^}]*)\}`).FindAllStringSubmatch(code, -1) {
		sets[one[1]] = found(`(?m)^\s*(?:pub(?:\([a-z]+\))? )?(\w+):`, one[2])
	}
	return sets
}

// series are the names under which the operator's series are scraped, each with its labels, as the source registers them.
func series(t *testing.T) map[string][]string {
	t.Helper()
	known := map[string][]string{"up": nil}
	code := source(t, "service/metrics.rs")
	sets := labelSets(code)
	families := map[string]string{}
	for _, one := range regexp.MustCompile(`(?m)^\s*(\w+): &?(?:Family|Durations)<(\w+)`).FindAllStringSubmatch(code, -1) {
		families[one[1]] = one[2]
	}
	for _, one := range regexp.MustCompile(`(?s)register(_with_unit)?\(\s*"([a-z_]+)",(.*?);`).FindAllStringSubmatch(code, -1) {
		seconds, name := one[1] != "", one[2]
		labels := sets[strings.Join(found(`Info::new\((\w+)`, one[3]), "")]
		for _, field := range found(`(\w+)\.clone\(\)`, one[3]) {
			labels = append(labels, sets[families[field]]...)
		}
		endings := []string{"", "_total", "_info"}
		if seconds {
			endings = []string{"_seconds_bucket", "_seconds_count", "_seconds_sum"}
		}
		// By their kind: a gauge, a counter, an info; or the three of a histogram.
		for _, ending := range endings {
			known[name+ending] = labels
		}
	}
	for _, file := range []string{"service/circuits.rs", "service/sagas.rs"} {
		code := source(t, file)
		labels := found(`\("([a-z_]+)",`, strings.Join(found(`(?s)(\[\s*\("[a-z_]+",.*?\])`, code), ""))
		for set := range maps.Values(labelSets(code)) {
			labels = append(labels, set...)
		}
		for _, name := range found(`encode_descriptor\(\s*"([a-z_]+)"`, code) {
			known[name] = labels
		}
	}
	for _, name := range found(`"(saga_http_[a-z_]+)"`, source(t, "service/calls.rs")) {
		known[name] = nil
	}
	if len(known) < 20 || len(known["saga_step_duration_seconds_count"]) != 3 || len(known["saga_circuit_breakers"]) != 1 {
		t.Fatalf("only these were found: %v", known)
	}
	return known
}

// vocabulary is what the source may write into each label whose values are words of its own.
func vocabulary(t *testing.T) map[string][]string {
	t.Helper()
	arms := func(path, of string) []string {
		_, code, _ := strings.Cut(source(t, path), "\nimpl "+of+" {\n")
		code, _, _ = strings.Cut(code, "\n}\n")
		return append(found(`=> "([A-Za-z-]+)"`, code), found(`const \w+: &str = "([A-Za-z-]+)"`, source(t, path))...)
	}
	known := map[string][]string{
		"phase":   arms("api/phase.rs", "SagaPhase"),
		"outcome": arms("api/phase.rs", "Outcome"),
		"reason":  append(arms("engine/report/blocked.rs", "Blocked"), found(`const \w+: &str = "([A-Za-z-]+)"`, source(t, "api/reason.rs"))...),
		"state":   arms("service/circuits.rs", "CircuitState"),
		"result":  append(arms("service/metrics.rs", "ReconcileResult"), found(`=> "([a-z]+)"`, source(t, "controller/record.rs"))...),
	}
	for label, words := range known {
		if len(words) < 3 {
			t.Fatalf("only these words were found for %s: %v", label, words)
		}
	}
	return known
}

// A selector in an expression: a series, and what its labels have to be.
type selector struct {
	series   string
	matchers [][]string
}

// selectors are what an expression asks for: a name before a brace, and what stands in the brace.
func selectors(expression string) []selector {
	var all []selector
	for _, one := range regexp.MustCompile(`([a-z_]+)\{([^}]*)\}`).FindAllStringSubmatch(expression, -1) {
		all = append(all, selector{one[1], regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`).FindAllStringSubmatch(one[2], -1)})
	}
	return all
}

// What a scrape adds.
var scraped = []string{"job", "namespace", "instance", "pod"}

// unknownIn is what an expression asks for that the operator does not have.
func unknownIn(expression string, known, words map[string][]string) []string {
	var faults []string
	labels := slices.Clone(scraped)
	for _, one := range selectors(expression) {
		own, is := known[one.series]
		if !is {
			faults = append(faults, "the series "+one.series)
		}
		labels = append(labels, own...)
		if strings.HasSuffix(one.series, "_bucket") {
			labels = append(labels, "le")
		}
		for _, matcher := range one.matchers {
			label, value := matcher[1], matcher[3]
			if slices.Contains(scraped, label) {
				continue
			}
			if !slices.Contains(own, label) {
				faults = append(faults, one.series+" with a label "+label)
			}
			for _, word := range strings.Split(value, "|") {
				if !slices.Contains(words[label], word) {
					faults = append(faults, label+" to be "+word)
				}
			}
		}
	}
	for _, grouped := range found(`\b(?:by|without|on|ignoring) ?\(([^)]*)\)`, expression) {
		for _, label := range strings.Split(grouped, ",") {
			if !slices.Contains(labels, strings.TrimSpace(label)) {
				faults = append(faults, "a label "+label)
			}
		}
	}
	return faults
}

// A test that finds nothing wrong in what is wrong is no test.
func TestWhatIsMistypedInAnExpressionIsFound(t *testing.T) {
	known, words := series(t), vocabulary(t)
	for expression, fault := range map[string]string{
		`sum(saga_totals{phase="Failed"})`:                               "the series saga_totals",
		`sum(saga_total{phases="Failed"})`:                               "saga_total with a label phases",
		`sum(saga_total{phase="Fails"})`:                                 "phase to be Fails",
		`sum(saga_total{job="a",phase=~"Failed|Compensate"})`:            "phase to be Compensate",
		`sum by (phase, actions) (saga_total{job="a"})`:                  "a label  actions",
		`sum(saga_step_duration_seconds_count{outcome="Uknown"})`:        "outcome to be Uknown",
		`sum by (le, action) (saga_controller_reconcile_seconds_sum{a})`: "a label le",
		`saga_resources{reason="Refuse"}`:                                "reason to be Refuse",
		`saga_controller_reconcile_total{result="panicked"}`:             "result to be panicked",
	} {
		if faults := unknownIn(expression, known, words); len(faults) == 0 || faults[0] != fault {
			t.Errorf("%s: %q was found, and not %q", expression, faults, fault)
		}
	}
}
