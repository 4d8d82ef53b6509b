package io.aitbc.agentctl;

import io.aitbc.contracts.Json;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** A table with aligned columns, two spaces apart. */
final class Table {
    static final String EMPTY_CELL = "-";

    private final List<Column> columns;
    private final List<List<String>> rows = new ArrayList<>();

    record Column(String name, boolean right) {}

    static Column left(String name) {
        return new Column(name, false);
    }

    /** Returns a right-aligned column, for numbers. */
    static Column right(String name) {
        return new Column(name, true);
    }

    Table(Column... columns) {
        this.columns = List.of(columns);
        if (Stream.of(columns).anyMatch(column -> !column.name().isEmpty())) {
            rows.add(this.columns.stream().map(Column::name).toList());
        }
    }

    /** Returns a table of the properties of one item: a column of names and a column of values. */
    static Table ofOne() {
        return new Table(left(""), left(""));
    }

    /** Adds a row. Overlong cells are truncated, and unprintable characters are replaced. */
    Table row(Object... cells) {
        if (cells.length != columns.size()) {
            throw new IllegalArgumentException(cells.length + " cells for " + columns.size() + " columns");
        }
        rows.add(Stream.of(cells)
                .map(cell -> Json.sentence(String.valueOf(cell)))
                .map(cell -> cell.isEmpty() ? EMPTY_CELL : cell)
                .toList());
        return this;
    }

    void print(PrintWriter out) {
        int[] widths = new int[columns.size()];
        for (List<String> row : rows) {
            for (int i = 0; i < widths.length; i++) {
                widths[i] = Math.max(widths[i], row.get(i).length());
            }
        }
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < widths.length; i++) {
                String padding = " ".repeat(widths[i] - row.get(i).length());
                line.append(i == 0 ? "" : "  ")
                        .append(columns.get(i).right() ? padding + row.get(i) : row.get(i) + padding);
            }
            out.println(line.toString().stripTrailing());
        }
    }
}
