//! A table of figures, for the terminal and for the page.

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};

pub struct Rows {
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    /// How many columns, from the left, hold names.
    pub names: usize,
}

impl std::fmt::Display for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut table = Table::new();
        table
            .load_preset(ASCII_MARKDOWN)
            .set_header(&self.head)
            .add_rows(&self.rows);
        for column in table.column_iter_mut().skip(self.names) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        write!(f, "{table}")
    }
}

impl Rows {
    /// The cells are numbers and names of ours, which need no escaping.
    pub fn html(&self) -> String {
        let row = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
            let cells = cells.enumerate().map(|(column, cell)| match column {
                column if column < self.names => format!("<{tag} class=\"name\">{cell}</{tag}>"),
                _ => format!("<{tag}>{cell}</{tag}>"),
            });
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        };
        let head = row("th", &mut self.head.iter().copied());
        let rows: String = self
            .rows
            .iter()
            .map(|cells| row("td", &mut cells.iter().map(String::as_str)))
            .collect();
        format!("<table>\n{head}{rows}</table>")
    }
}
