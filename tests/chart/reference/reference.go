// Package reference takes the words about the chart's values to where people look for them.
//
// Contract: the comments of values.yaml are the only place where a value is described. From them come the table in README.md, between its
// two marks, and the descriptions in values.schema.json, whose rules are written by hand. A value without a comment, or without a rule of its
// own in the schema, is refused with its path.
package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	begin = "<!-- values: written by `make generate` -->\n"
	end   = "<!-- end of values -->"
)

// A value: where it is, what it is for, and its default. A group has members instead.
type value struct {
	path    string
	comment string
	node    *yaml.Node
	members []value
}

// Files returns what the generated files of the chart in this folder should hold, by their paths.
func Files(chart string) (map[string][]byte, error) {
	values, err := read(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return nil, err
	}
	readme, schema := filepath.Join(chart, "README.md"), filepath.Join(chart, "values.schema.json")
	table, err := withTable(readme, values)
	if err != nil {
		return nil, err
	}
	described, err := withDescriptions(schema, values)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{readme: table, schema: described}, nil
}

func read(path string) ([]value, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return members(document.Content[0], "")
}

// members reads the values of a mapping. One whose members have no comments is a value as a whole, such as a security context.
func members(mapping *yaml.Node, prefix string) ([]value, error) {
	var found []value
	for i := 0; i < len(mapping.Content); i += 2 {
		key, node := mapping.Content[i], mapping.Content[i+1]
		one := value{path: prefix + key.Value, comment: comment(key), node: node}
		if isGroup(node) || one.comment == "" && node.Kind == yaml.MappingNode {
			inner, err := members(node, one.path+".")
			if err != nil {
				return nil, err
			}
			one.members = inner
		}
		if one.comment == "" && len(one.members) == 0 {
			return nil, fmt.Errorf("values.yaml: %s has no comment: write above it what it is for", one.path)
		}
		found = append(found, one)
	}
	return found, nil
}

// isGroup says whether a value is a mapping of which a member is described.
func isGroup(node *yaml.Node) bool {
	for i := 0; node.Kind == yaml.MappingNode && i < len(node.Content); i += 2 {
		if comment(node.Content[i]) != "" {
			return true
		}
	}
	return false
}

// comment is what stands right above a key, as one line: not what a blank line separates from it.
func comment(key *yaml.Node) string {
	paragraphs := strings.Split(key.HeadComment, "\n\n")
	var words []string
	for _, line := range strings.Split(paragraphs[len(paragraphs)-1], "\n") {
		words = append(words, strings.Fields(strings.TrimPrefix(line, "#"))...)
	}
	return strings.Join(words, " ")
}

func withTable(path string, values []value) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return nil, fmt.Errorf("%s: the marks of the table are missing: %s%s", path, begin, end)
	}
	var table strings.Builder
	table.WriteString("| value | default | meaning |\n|---|---|---|\n")
	if err := rows(&table, values); err != nil {
		return nil, err
	}
	return []byte(before + begin + table.String() + end + after), nil
}

func rows(table *strings.Builder, values []value) error {
	for _, one := range values {
		if one.members != nil {
			if err := rows(table, one.members); err != nil {
				return err
			}
			continue
		}
		var held any
		if err := one.node.Decode(&held); err != nil {
			return err
		}
		text, err := compact(held)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "| `%s` | `%s` | %s |\n", one.path, text, strings.ReplaceAll(one.comment, "|", `\|`))
	}
	return nil
}

func compact(held any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(held)
	return strings.TrimSpace(text.String()), err
}

func withDescriptions(path string, values []value) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	// JSON is YAML; and a YAML node keeps the order of its keys.
	var schema yaml.Node
	if err := yaml.Unmarshal(text, &schema); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := describe(schema.Content[0], values); err != nil {
		return nil, err
	}
	var written, indented bytes.Buffer
	if err := write(&written, schema.Content[0]); err != nil {
		return nil, err
	}
	if err := json.Indent(&indented, written.Bytes(), "", "  "); err != nil {
		return nil, err
	}
	indented.WriteByte('\n')
	return indented.Bytes(), nil
}

func describe(schema *yaml.Node, values []value) error {
	rules := get(schema, "properties")
	for _, one := range values {
		name := one.path[strings.LastIndex(one.path, ".")+1:]
		rule := get(rules, name)
		if rule == nil {
			return fmt.Errorf("values.schema.json: no rule for %s", one.path)
		}
		if one.members != nil {
			if err := describe(rule, one.members); err != nil {
				return err
			}
		}
		if one.comment == "" {
			continue
		}
		if known := get(rule, "description"); known != nil {
			known.Value = one.comment
			continue
		}
		key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "description"}
		words := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: one.comment}
		rule.Content = append([]*yaml.Node{key, words}, rule.Content...)
	}
	return nil
}

func get(mapping *yaml.Node, name string) *yaml.Node {
	if mapping == nil {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// write writes a node as JSON, its keys in their order.
func write(text *bytes.Buffer, node *yaml.Node) error {
	open, closing := byte('{'), byte('}')
	switch node.Kind {
	case yaml.SequenceNode:
		open, closing = '[', ']'
	case yaml.ScalarNode:
		var held any
		if err := node.Decode(&held); err != nil {
			return err
		}
		scalar, err := compact(held)
		text.WriteString(scalar)
		return err
	}
	text.WriteByte(open)
	for i, inner := range node.Content {
		if i > 0 && (node.Kind == yaml.SequenceNode || i%2 == 0) {
			text.WriteByte(',')
		} else if i > 0 {
			text.WriteByte(':')
		}
		if err := write(text, inner); err != nil {
			return err
		}
	}
	text.WriteByte(closing)
	return nil
}
