//! HTML: everything that is not ours is escaped here, and nowhere else.

use super::number::DASH;

const STYLE: &str = include_str!("report.css");

/// What a browser shows as text, whatever it is.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\n' | '\t' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A cell of a table: a text, and what stands smaller below it.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// The text.
    pub text: String,
    /// Below it, in lines; may be empty.
    pub note: String,
    /// How dark it is, from 0 to 1, in a heat map.
    pub shade: Option<f64>,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

impl Cell {
    /// A text with a note below.
    pub fn noted(text: impl Into<String>, note: impl Into<String>) -> Self {
        Self { text: text.into(), note: note.into(), shade: None }
    }

    fn inside(&self) -> String {
        let text = if self.text.is_empty() { DASH.into() } else { escape(&self.text) };
        let lines = self.note.lines().map(|line| format!("<small>{}</small>", escape(line)));
        text + &lines.collect::<String>()
    }

    fn html(&self) -> String {
        let style = match self.shade {
            Some(shade) if shade > 0.55 => format!(" class=\"dark\" style=\"--shade:{shade:.2}\""),
            Some(shade) => format!(" style=\"--shade:{shade:.2}\""),
            None => String::new(),
        };
        format!("<td{style}>{}</td>", self.inside())
    }
}

/// A table whose first cell of each row is its heading. A `kind` is a class of the style sheet.
pub fn table(kind: &str, caption: &str, header: &[String], rows: &[Vec<Cell>]) -> String {
    let mut html = format!("<div class=\"scroll\"><table class=\"{kind}\"><caption>{}</caption>\n", escape(caption));
    if !header.is_empty() {
        let cells: String = header.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name))).collect();
        html += &format!("<thead><tr>{cells}</tr></thead>\n");
    }
    html += "<tbody>\n";
    for row in rows {
        let Some((first, rest)) = row.split_first() else { continue };
        let rest: String = rest.iter().map(Cell::html).collect();
        html += &format!("<tr><th scope=\"row\">{}</th>{rest}</tr>\n", first.inside());
    }
    html + "</tbody></table></div>\n"
}

/// A picture under its heading, with a sentence on what is seen. Nothing without a picture.
pub fn figure(heading: &str, note: &str, picture: Option<String>) -> String {
    let Some(picture) = picture else { return String::new() };
    let (heading, note) = (escape(heading), escape(note));
    format!(
        "<figure><figcaption><b>{heading}</b> {note}</figcaption>\n<div class=\"scroll\">{picture}</div></figure>\n"
    )
}

/// Pictures side by side where there is room. Nothing without pictures.
pub fn gallery(figures: &[String]) -> String {
    let figures = figures.concat();
    if figures.is_empty() { figures } else { format!("<div class=\"gallery\">\n{figures}</div>\n") }
}

/// A paragraph.
pub fn paragraph(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<p>{}</p>\n", escape(text)) }
}

/// A part of the page. Nothing if nothing is in it.
pub fn section(heading: &str, body: &str) -> String {
    if body.is_empty() { String::new() } else { format!("<section>\n<h2>{}</h2>\n{body}</section>\n", escape(heading)) }
}

/// A stand-alone SVG as a part of a page: without a size and a name space of its own, named for those who hear it.
pub fn inline(svg: &str, name: &str, kind: &str) -> Option<String> {
    let (head, rest) = svg.trim().split_once('>')?;
    let view = head.split_once("viewBox=\"")?.1.split_once('"')?.0;
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix("<title>").and_then(|rest| rest.split_once("</title>")) {
        Some((_, rest)) => rest.trim_start(),
        None => rest,
    };
    let (name, rest) = (escape(name), rest.replace(" font-family=\"sans-serif\"", ""));
    Some(format!(
        "<svg class=\"{kind}\" viewBox=\"{view}\" role=\"img\" aria-label=\"{name}\"><title>{name}</title>\n{rest}"
    ))
}

/// The whole file.
pub fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escape(title)
    )
}
