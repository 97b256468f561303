//! Which classes are taken for which, and how well each is told from the others.

use super::{
    Classes,
    number::{self, percent},
    page::{self, Cell},
    plane::{Axis, Plane},
};

/// The most classes of a table whose cells can be read; more are a picture.
const MOST_READABLE: usize = 20;

/// The most classes that are drawn, and that have a row in the table of classes.
const MOST_DRAWN: usize = 100;

/// The heat map and the table.
pub fn all(classes: &Classes) -> String {
    let n = classes.confusion.len();
    let heat = match n {
        0 => String::new(),
        1..=MOST_READABLE => heat_table(classes),
        _ if n <= MOST_DRAWN => page::gallery(&[heat_picture(classes)]),
        _ => page::paragraph(&format!("{n} classes are too many for a picture of which is taken for which.")),
    };
    heat + &by_class(classes)
}

fn name(classes: &Classes, class: usize) -> String {
    classes.names.get(class).filter(|name| !name.is_empty()).cloned().unwrap_or_else(|| class.to_string())
}

/// The share of a true class that was taken for each class.
fn shares(row: &[u32]) -> Vec<f64> {
    let total: u64 = row.iter().map(|count| u64::from(*count)).sum();
    row.iter().map(|count| f64::from(*count) / total.max(1) as f64).collect()
}

fn heat_table(classes: &Classes) -> String {
    let columns = 0..classes.confusion.len();
    let header: Vec<String> =
        ["true ↓ predicted →".to_owned()].into_iter().chain(columns.map(|i| name(classes, i))).collect();
    let row = |(i, row): (usize, &Vec<u32>)| {
        let cell = |(count, share): (&u32, f64)| Cell {
            text: number::count(u64::from(*count)),
            note: percent(share),
            shade: Some(share),
        };
        let cells = row.iter().zip(shares(row)).map(cell);
        [Cell::from(name(classes, i))].into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<Cell>> = classes.confusion.iter().enumerate().map(row).collect();
    let caption = "Confusion: test rows by true and predicted class; percentages are of the true class.";
    page::table("heat", caption, &header, &rows)
}

fn heat_picture(classes: &Classes) -> String {
    let n = classes.confusion.len();
    let axis = |name: &str, last: bool| {
        let word = |i: usize| if i.is_multiple_of(n.div_ceil(10)) { i.to_string() } else { String::new() };
        let mut axis = Axis::of_words((0..n).map(|i| word(if last { n - 1 - i } else { i })));
        axis.name = name.into();
        axis
    };
    let plane = Plane {
        title: format!("confusion of {n} classes"),
        height: 380,
        left: 48,
        right: 16,
        x: axis("predicted class", false),
        y: axis("true class", true),
    };
    let picture = plane.drawn(|pen| {
        for (i, row) in classes.confusion.iter().enumerate() {
            let y = (n - 1 - i) as f64;
            for (j, share) in shares(row).into_iter().enumerate().take(n).filter(|(_, share)| *share > 0.0) {
                let x = j as f64;
                pen.bar([(x - 0.5, y - 0.5), (x + 0.5, y + 0.5)], heat(share))?;
            }
        }
        Ok(())
    });
    page::figure(
        "Confusion",
        "of test rows: the stronger the colour, the larger the share of the true class. Classes by number.",
        picture,
    )
}

/// From a light blue to a dark one, by the square root, so that few are still seen.
fn heat(share: f64) -> plotters::style::RGBColor {
    let between = |light: f64, dark: f64| (light + (dark - light) * share.sqrt()).round() as u8;
    plotters::style::RGBColor(between(214.0, 8.0), between(230.0, 48.0), between(244.0, 107.0))
}

fn by_class(classes: &Classes) -> String {
    if classes.figures.is_empty() {
        return String::new();
    }
    let header = ["class", "precision", "recall", "F1", "AUROC", "test rows"].map(String::from);
    let row = |(i, class): (usize, &dure_core::statistics::classification::ClassFigures)| {
        let figures =
            [class.precision, class.recall, class.f1, class.auroc].map(|value| Cell::from(number::figure(value)));
        let support = Cell::from(number::count(class.support));
        [Cell::from(name(classes, i))].into_iter().chain(figures).chain([support]).collect()
    };
    let rows: Vec<Vec<Cell>> = classes.figures.iter().enumerate().take(MOST_DRAWN).map(row).collect();
    let mut caption = "Each class against all others, on test rows.".to_owned();
    if classes.figures.len() > MOST_DRAWN {
        caption += &format!(" The first {MOST_DRAWN} of {}.", classes.figures.len());
    }
    page::table("", &caption, &header, &rows)
}
