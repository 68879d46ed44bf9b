package render

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// grid writes a table without frame; the first column and those of left are aligned
// left, figures right.
func (t *terminal) grid(head []string, rows [][]string, left ...int) error {
	var b bytes.Buffer
	table := newTable(&b, len(head), t.o.ASCII, left...)
	table.Header(head)
	if err := table.Bulk(rows); err != nil {
		return fmt.Errorf("table of results: %w", err)
	}
	if err := table.Render(); err != nil {
		return fmt.Errorf("table of results: %w", err)
	}
	t.ruled(b.String())
	return nil
}

// ruled writes a rendered table; the rule below its header ends with the last column.
func (t *terminal) ruled(table string) {
	for _, l := range strings.Split(strings.TrimRight(table, "\n"), "\n") {
		if strings.HasPrefix(l, rule(t.o.ASCII)) {
			l = strings.TrimSuffix(l, strings.Repeat(rule(t.o.ASCII), 2))
		}
		t.line(l)
	}
}

// rule is the character of the line below the header.
func rule(ascii bool) string {
	if ascii {
		return "-"
	}
	return "─"
}

// newTable is a table without frame: one line below the header.
func newTable(w io.Writer, cols int, ascii bool, left ...int) *tablewriter.Table {
	symbols := tw.NewSymbolCustom("rule").WithRow(rule(ascii)).WithColumn("").WithCenter(rule(ascii)).
		WithMidLeft("").WithMidRight("").WithHeaderLeft("").WithHeaderMid("").WithHeaderRight("")
	align := tw.MakeAlign(cols, tw.AlignRight)
	for _, i := range append(left, 0) {
		if i < cols {
			align[i] = tw.AlignLeft
		}
	}
	cell := tw.CellConfig{
		Formatting: tw.CellFormatting{AutoWrap: tw.WrapNone, AutoFormat: tw.Off},
		Alignment:  tw.CellAlignment{PerColumn: align},
		// Widths are computed from the global padding alone, so it must be the same for all.
		Padding: tw.CellPadding{Global: tw.Padding{Left: " ", Right: "  ", Overwrite: true}},
	}
	return tablewriter.NewTable(w,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.Border{Left: tw.Off, Right: tw.Off, Top: tw.Off, Bottom: tw.Off},
			Symbols: symbols,
			Settings: tw.Settings{
				Separators: tw.Separators{BetweenColumns: tw.Off, BetweenRows: tw.Off},
				Lines:      tw.Lines{ShowHeaderLine: tw.On, ShowTop: tw.Off, ShowBottom: tw.Off},
			},
		})),
		tablewriter.WithConfig(tablewriter.Config{Header: cell, Row: cell}),
		tablewriter.WithHeaderAutoFormat(tw.Off), // else "P99 ms" becomes "P 99 MS"
		tablewriter.WithEastAsian(tw.Off),        // else the locale decides how wide a dash is
		tablewriter.WithTrimSpace(tw.Off),
	)
}
