//! What a partition looks like, as one SVG that needs nothing else: bars of the clients' sizes above a grid of clients by
//! labels, darker where there are more examples.

use std::fmt::Display;

use dure_core::excerpt::excerpt;

use super::table::Summary;

/// What stands beside the picture. A client or a label without a name is called by its number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Captions<'a> {
    /// Above it.
    pub title: &'a str,
    /// The clients' names, in their order.
    pub clients: &'a [String],
    /// The labels' names, in their order.
    pub labels: &'a [String],
}

/// The most clients and labels that are drawn; of more, every second, or every third.
const MOST_CLIENTS: usize = 500;
const MOST_LABELS: usize = 200;

/// The most characters of a name and of the title.
const NAME: usize = 20;
const TITLE: usize = 90;

const INK: &str = "#1f2933";
const FAINT: &str = "#7b8794";
const BARS: &str = "#7c9cbf";
const EMPTY: &str = "#f3f5f7";

/// Draws `summary`.
pub fn svg(summary: &Summary, captions: Captions) -> String {
    let plan = Plan::of(summary, captions);
    let mut canvas = Canvas(String::new());
    plan.headings(&mut canvas, summary, captions.title);
    plan.bars(&mut canvas, summary);
    if plan.labels.is_empty() {
        plan.client_axis(&mut canvas, plan.bars_end);
    } else {
        let most = plan.most(summary);
        plan.grid(&mut canvas, summary, most);
        plan.client_axis(&mut canvas, plan.bottom);
        plan.legend(&mut canvas, most);
    }
    canvas.close(plan.width, plan.height, captions.title)
}

/// A client or a label that is drawn: which, and what it is called.
struct Shown {
    index: usize,
    name: String,
}

/// Where everything is, in pixels.
struct Plan {
    clients: Vec<Shown>,
    labels: Vec<Shown>,
    left: f64,
    /// A client's width and a label's height.
    cell: (f64, f64),
    bars_end: f64,
    grid: f64,
    bottom: f64,
    /// Whether the clients' names are turned, for they are wider than a client.
    turned: bool,
    width: f64,
    height: f64,
}

const BARS_TOP: f64 = 92.0;

impl Plan {
    fn of(summary: &Summary, captions: Captions) -> Self {
        let clients = shown(summary.clients.len(), MOST_CLIENTS, captions.clients);
        let labels = shown(summary.total.labels.len(), MOST_LABELS, captions.labels);
        let widest = |shown: &[Shown]| shown.iter().map(|one| width(&one.name)).fold(0.0, f64::max);
        let sizes_width = width(&summary.largest.to_string());
        let left = 44.0 + widest(&labels).max(sizes_width);
        let cell = (length(920.0, clients.len(), 60.0), length(460.0, labels.len(), 26.0));
        let turned = widest(&clients) + 6.0 > cell.0;
        let bars_end = BARS_TOP + if labels.is_empty() { 240.0 } else { 84.0 };
        let grid = bars_end + 12.0;
        let bottom = grid + cell.1 * labels.len() as f64;
        let names = if turned { widest(&clients) } else { 12.0 };
        let below = if labels.is_empty() { bars_end } else { bottom };
        // Wide enough for the headings, whose letters are larger, and high enough for the legend.
        let title = 48.0 + 1.7 * self::width(&short(captions.title, TITLE));
        let width = (left + cell.0 * clients.len() as f64 + 116.0).max(640.0).max(title);
        let height = (below + names + 42.0).max(if labels.is_empty() { 0.0 } else { grid + 170.0 });
        Self { clients, labels, left, cell, bars_end, grid, bottom, turned, width, height }
    }

    fn right(&self) -> f64 {
        self.left + self.cell.0 * self.clients.len() as f64
    }

    fn headings(&self, canvas: &mut Canvas, summary: &Summary, title: &str) {
        canvas.text(24.0, 32.0, &format!("font-size=\"17\" font-weight=\"600\" fill=\"{INK}\""), &short(title, TITLE));
        for (line, y) in self.sentences(summary).iter().zip([52.0, 68.0]) {
            canvas.text(24.0, y, &format!("font-size=\"12\" fill=\"{FAINT}\""), line);
        }
    }

    fn sentences(&self, summary: &Summary) -> Vec<String> {
        let (clients, total) = (summary.clients.len(), summary.total.examples);
        let mut text = format!("{clients} clients, {total} examples, {} to {} each", summary.smallest, summary.largest);
        if summary.left_out > 0 {
            text += &format!(", {} left out", summary.left_out);
        }
        if self.clients.len() < clients {
            text += &format!("; one client in {} is drawn", step(clients, MOST_CLIENTS));
        }
        let labels = summary.total.labels.len();
        if self.labels.len() < labels {
            text += &format!("; one label in {} is drawn", step(labels, MOST_LABELS));
        }
        let far =
            |distance| format!("mixes of labels are {distance:.2} from that of all (0 the same, 1 nothing in common)");
        [text].into_iter().chain(summary.label_distance.map(far)).collect()
    }

    /// How many examples each client has.
    fn bars(&self, canvas: &mut Canvas, summary: &Summary) {
        let (top, end, right) = (BARS_TOP, self.bars_end, self.right());
        let high = |examples: usize| (end - top) * examples as f64 / summary.largest.max(1) as f64;
        for (i, client) in self.clients.iter().enumerate() {
            let h = high(summary.clients[client.index].examples);
            let x = self.left + self.cell.0 * i as f64;
            canvas.rect(x, end - h, self.gapped(self.cell.0), h, BARS);
        }
        canvas.line(self.left, end, right, end, FAINT);
        canvas.line(self.left, top, self.left, end, FAINT);
        for (y, examples) in [(end, 0), (top, summary.largest)] {
            canvas.text(
                self.left - 6.0,
                y + 4.0,
                &format!("text-anchor=\"end\" fill=\"{INK}\""),
                &examples.to_string(),
            );
        }
        canvas.turned(16.0, (top + end) / 2.0, "middle", FAINT, "examples");
    }

    /// A little less than the length, so that neighbours are told apart, where there is room for it.
    fn gapped(&self, length: f64) -> f64 {
        if length >= 5.0 { length - 1.0 } else { length }
    }

    /// The most examples of one client and label that are drawn.
    fn most(&self, summary: &Summary) -> usize {
        let counts = self.clients.iter().map(|client| &summary.clients[client.index].labels);
        counts.flat_map(|counts| self.labels.iter().map(|label| counts[label.index])).max().unwrap_or(0)
    }

    fn grid(&self, canvas: &mut Canvas, summary: &Summary, most: usize) {
        let (w, h) = self.cell;
        canvas.rect(self.left, self.grid, self.right() - self.left, self.bottom - self.grid, EMPTY);
        for (i, client) in self.clients.iter().enumerate() {
            for (j, label) in self.labels.iter().enumerate() {
                let count = summary.clients[client.index].labels[label.index];
                if count > 0 {
                    let (x, y) = (self.left + w * i as f64, self.grid + h * j as f64);
                    self.cell(canvas, x, y, count, most);
                }
            }
        }
        let every = (12.0 / h).ceil() as usize;
        for (j, label) in self.labels.iter().enumerate().step_by(every.max(1)) {
            let y = self.grid + h * (j as f64 + 0.5) + 4.0;
            canvas.text(self.left - 6.0, y, &format!("text-anchor=\"end\" fill=\"{INK}\""), &label.name);
        }
        canvas.turned(16.0, (self.grid + self.bottom) / 2.0, "middle", FAINT, "label");
    }

    /// A client's examples of a label: the colour, and the number where it fits.
    fn cell(&self, canvas: &mut Canvas, x: f64, y: f64, count: usize, most: usize) {
        let (w, h) = self.cell;
        let shade = shade(count, most);
        canvas.rect(x, y, self.gapped(w), self.gapped(h), &colour(shade));
        let text = count.to_string();
        if h >= 15.0 && width(&text) + 4.0 <= w {
            let fill = if shade > 0.5 { "#ffffff" } else { INK };
            let style = format!("text-anchor=\"middle\" font-size=\"10\" fill=\"{fill}\"");
            canvas.text(x + self.gapped(w) / 2.0, y + self.gapped(h) / 2.0 + 3.5, &style, &text);
        }
    }

    fn client_axis(&self, canvas: &mut Canvas, y: f64) {
        let w = self.cell.0;
        let room = if self.turned { 13.0 } else { 0.0 };
        let every = ((room / w).ceil() as usize).max(1);
        let longest = self.clients.iter().map(|client| width(&client.name)).fold(0.0, f64::max);
        for (i, client) in self.clients.iter().enumerate().step_by(every) {
            let x = self.left + w * i as f64 + self.gapped(w) / 2.0;
            if self.turned {
                canvas.turned(x + 4.0, y + 7.0, "end", INK, &client.name);
            } else {
                canvas.text(x, y + 16.0, &format!("text-anchor=\"middle\" fill=\"{INK}\""), &client.name);
            }
        }
        let below = if self.turned { longest + 26.0 } else { 34.0 };
        let style = format!("text-anchor=\"middle\" fill=\"{FAINT}\"");
        canvas.text((self.left + self.right()) / 2.0, y + below, &style, "client");
    }

    /// What the colours mean.
    fn legend(&self, canvas: &mut Canvas, most: usize) {
        let (x, y) = (self.right() + 24.0, self.grid);
        canvas.text(x, y + 10.0, &format!("fill=\"{FAINT}\""), "examples");
        let mut counts: Vec<usize> = [1.0, 0.75, 0.5, 0.25].map(|t| (t * t * most as f64).round() as usize).to_vec();
        counts.push(0);
        counts.dedup();
        for (i, count) in counts.iter().enumerate() {
            let y = y + 20.0 + 22.0 * i as f64;
            let fill = if *count == 0 { EMPTY.to_owned() } else { colour(shade(*count, most)) };
            canvas.rect(x, y, 16.0, 16.0, &fill);
            canvas.text(x + 23.0, y + 12.0, &format!("fill=\"{INK}\""), &count.to_string());
        }
    }
}

/// At most `most` of `n`, evenly, with their names.
fn shown(n: usize, most: usize, names: &[String]) -> Vec<Shown> {
    let name = |index: usize| names.get(index).map_or_else(|| index.to_string(), |name| short(name, NAME));
    (0..n).step_by(step(n, most)).map(|index| Shown { index, name: name(index) }).collect()
}

fn step(n: usize, most: usize) -> usize {
    n.div_ceil(most).max(1)
}

/// The length of each of `n` that share `all`, at most `most`; whole pixels where they are more than a few.
fn length(all: f64, n: usize, most: f64) -> f64 {
    let each = (all / n.max(1) as f64).min(most);
    if each >= 4.0 { each.floor() } else { each }
}

/// From 0 to 1, by the square root, so that few are still seen beside many.
fn shade(count: usize, most: usize) -> f64 {
    (count as f64 / most.max(1) as f64).sqrt()
}

/// From a light blue to a dark one.
fn colour(shade: f64) -> String {
    let between = |light: f64, dark: f64| (light + (dark - light) * shade).round() as u8;
    format!("#{:02x}{:02x}{:02x}", between(214.0, 8.0), between(230.0, 48.0), between(244.0, 107.0))
}

/// About how wide a text is: letters of half a square, but for those of East Asia, which fill it.
fn width(text: &str) -> f64 {
    text.chars().map(|c| if c < '\u{1100}' { 6.4 } else { 11.5 }).sum()
}

/// The beginning of somebody's words, without what XML cannot say at all.
fn short(text: &str, most: usize) -> String {
    excerpt(text, most).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// The elements that have been drawn.
struct Canvas(String);

impl Canvas {
    fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        let [x, y, width, height] = [x, y, width, height].map(number);
        self.push(format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>"));
    }

    fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, stroke: &str) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(number);
        self.push(format!("<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"{stroke}\"/>"));
    }

    /// `text` with its baseline at `y`. What it says is escaped; what it looks like is not.
    fn text(&mut self, x: f64, y: f64, style: &str, text: &str) {
        self.push(format!("<text x=\"{}\" y=\"{}\" {style}>{}</text>", number(x), number(y), escape(text)));
    }

    /// `text` that is read from below.
    fn turned(&mut self, x: f64, y: f64, anchor: &str, fill: &str, text: &str) {
        let turn = format!("transform=\"rotate(-90 {} {})\"", number(x), number(y));
        self.text(x, y, &format!("text-anchor=\"{anchor}\" fill=\"{fill}\" {turn}"), text);
    }

    fn push(&mut self, element: impl Display) {
        self.0 += &format!("{element}\n");
    }

    fn close(self, width: f64, height: f64, title: &str) -> String {
        let (w, h, title) = (number(width.ceil()), number(height.ceil()), escape(&short(title, TITLE)));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" role=\"img\" \
             font-family=\"system-ui, 'Segoe UI', 'Noto Sans', sans-serif\" font-size=\"11\">\n<title>{title}</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            self.0
        )
    }
}

/// With at most two decimals.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::{Partition, Whole, table::summarise};

    fn summary(clients: usize, classes: u16, examples: usize) -> Summary {
        let labels: Vec<u16> = (0..classes).cycle().take(examples).collect();
        let whole = Whole { examples, labels: Some(&labels), ..Whole::default() };
        let partition = Partition::DirichletLabels { clients, alpha: 3.0, min_examples: 1 };
        summarise(&partition.divide(&whole, 1).unwrap(), Some(&labels))
    }

    fn count(text: &str, what: &str) -> usize {
        text.matches(what).count()
    }

    #[test]
    fn every_share_is_drawn_once_and_every_client_has_a_bar() {
        let summary = summary(10, 4, 2000);
        let picture = svg(&summary, Captions { title: "A title", ..Captions::default() });
        let shares = summary.clients.iter().flat_map(|row| &row.labels).filter(|count| **count > 0).count();
        // The background, the grid's own and five of the legend, one of which is none.
        assert_eq!(count(&picture, "<rect"), shares + 10 + 2 + 5);
        assert_eq!(count(&picture, "<title>A title</title>"), 1);
        assert_eq!(picture.lines().count(), picture.matches('\n').count());
    }

    #[test]
    fn names_cannot_leave_their_place() {
        let names = ["</text><script>alert(1)</script>".to_owned(), "\"'&\u{1b}\u{ffff}".to_owned()];
        let captions = Captions { title: "<b>&\n", clients: &names, labels: &names };
        let picture = svg(&summary(2, 2, 40), captions);
        assert!(!picture.contains("<script") && !picture.contains("<b>"), "{picture}");
        assert!(picture.contains("&lt;b&gt;&amp;\u{fffd}") && picture.contains("&quot;&#39;&amp;\u{fffd}\u{fffd}"));
    }

    #[test]
    fn of_very_many_clients_some_are_drawn_and_it_says_so() {
        let picture = svg(&summary(1200, 3, 40_000), Captions::default());
        assert!(picture.contains("one client in 3 is drawn"));
        assert!(count(&picture, "<rect") < 500 * 4 && picture.len() < 400_000, "{}", picture.len());
    }

    #[test]
    fn without_labels_or_clients_there_is_still_a_picture() {
        for (examples, clients) in [(100, 3), (0, 0)] {
            let part = |client: u32| (0..examples).filter(|row| row % clients == client).collect();
            let parts = crate::partition::Parts { clients: (0..clients).map(part).collect(), left_out: 7 };
            let picture = svg(&summarise(&parts, None), Captions::default());
            assert!(picture.ends_with("</svg>\n") && !picture.contains("NaN") && !picture.contains("inf"), "{picture}");
        }
    }

    #[test]
    fn the_same_summary_is_the_same_picture() {
        let draw = || svg(&summary(20, 10, 4000), Captions::default());
        assert_eq!(draw(), draw());
    }
}
