// Command generate writes the generated parts of the chart in the folder that is named: the table of values in its README.md, and the
// descriptions in its values.schema.json.
package main

import (
	"fmt"
	"os"

	"chart/reference"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate CHART")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func write(chart string) error {
	files, err := reference.Files(chart)
	if err != nil {
		return err
	}
	for path, text := range files {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
