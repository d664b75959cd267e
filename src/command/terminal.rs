//! Text for people: colours where a terminal shows them, and tables.

use std::process::ExitCode;

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};

pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const ATTENTION: Style = AnsiColor::Yellow.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();
pub(super) const HEADING: Style = Style::new().bold();

/// The text in a colour.
pub(super) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes text to stdout. Its colours are left out where stdout is not a terminal, where NO_COLOR is
/// set, and where TERM is dumb; CLICOLOR_FORCE keeps them. A closed pipe is not an error.
pub(super) fn print_painted(text: &str) -> anyhow::Result<ExitCode> {
    super::write(AutoStream::auto(std::io::stdout()).lock(), text.as_bytes())
}

/// Pads the columns of a table, the last one excepted. The first row is the heading. `style` chooses
/// the colour of a cell by its row and column.
pub(super) fn table<const N: usize>(
    rows: &[[String; N]],
    style: impl Fn(usize, usize) -> Option<Style>,
) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let is_last = column + 1 == N;
            // Colours take no room, so the cell is padded before it is painted.
            let padding = if is_last { 0 } else { widths[column] - cell.chars().count() + 2 };
            text += &style(number, column).map_or_else(|| cell.clone(), |style| paint(style, cell));
            text += &" ".repeat(padding);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_their_colours() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [row(["A", "STATE", "TEXT"]), row(["llm/é", "on", "a long sentence"])];
        let plain = table(&rows, |_, _| None);
        assert_eq!(plain, "A      STATE  TEXT\nllm/é  on     a long sentence\n");
        let painted = table(&rows, |_, column| (column == 1).then_some(GOOD));
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), plain);
        assert!(painted.contains("\u{1b}["), "{painted:?}");
    }
}
