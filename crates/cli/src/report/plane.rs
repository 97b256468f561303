//! A plane with two ticked axes, and a pen that draws on it. Everything that is asked of the `plotters` library is asked here.
//!
//! Pictures are as wide as a telephone, so that their letters stay readable there; on wider screens they stand side by side.

use std::ops::Range;

use plotters::{
    coord::{
        ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter},
        types::RangedCoordf64,
    },
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{number, page};

/// A picture's width.
pub const WIDTH: u32 = 380;

/// Places are whole numbers to the library: of these a pixel has so many, for smooth lines.
const FINE: u32 = 4;

/// The room above, for a word or half a number, in pixels.
const ABOVE: u32 = 16;

/// How large letters are, in pixels.
const LETTERS: f64 = 11.0;

/// The colours; `report.css` turns them over for dark screens.
pub const INK: RGBColor = RGBColor(31, 41, 51);
/// Of what stands in the background.
pub const FAINT: RGBColor = RGBColor(91, 103, 115);
/// Of the lines behind it.
const GRID: RGBColor = RGBColor(225, 230, 235);
/// Of the first line, bar or cloud.
pub const BLUE: RGBColor = RGBColor(29, 95, 196);
/// Of the second.
pub const ORANGE: RGBColor = RGBColor(190, 88, 8);

/// An axis: what it shows, from where to where, and what is written beside it.
#[derive(Clone)]
pub struct Axis {
    /// Its name; may be empty.
    pub name: String,
    range: Range<f64>,
    ticks: Vec<(f64, String)>,
}

/// A plane to draw on.
pub struct Plane {
    /// What the picture shows, for those who hear it.
    pub title: String,
    /// Its height in pixels.
    pub height: u32,
    /// The room for what stands beside the axis `y`, in pixels.
    pub left: u32,
    /// The room on the right, in pixels.
    pub right: u32,
    /// From left to right.
    pub x: Axis,
    /// From below upwards.
    pub y: Axis,
}

/// What cannot be drawn; there is nothing of the kind as long as pictures are strings.
pub type Fault = DrawingAreaErrorKind<std::io::Error>;

type Area<'a> = DrawingArea<SVGBackend<'a>, Cartesian2d<Axis, Axis>>;

/// Draws on a plane, in the units of its axes; widths and radii are in pixels.
pub struct Pen<'p, 'a>(&'p Area<'a>);

impl Axis {
    /// Round numbers over `values` with a little room at the ends. Values that have no place count for nothing.
    pub fn over(name: impl Into<String>, values: impl IntoIterator<Item = f64>, most_ticks: usize) -> Self {
        let range = padded(values);
        let ticks = number::ticks(range.start, range.end, most_ticks);
        Self { name: name.into(), range, ticks }
    }

    /// From 0 to a little above the largest of `values`.
    pub fn from_zero(name: impl Into<String>, values: impl IntoIterator<Item = f64>, most_ticks: usize) -> Self {
        let largest = values.into_iter().filter(|value| number::is_drawable(*value)).fold(0.0, f64::max);
        let range = 0.0..if largest > 0.0 { largest * 1.06 } else { 1.0 };
        let ticks = number::ticks(range.start, range.end, most_ticks);
        Self { name: name.into(), range, ticks }
    }

    /// Whole numbers from 1 to `last`.
    pub fn counting(name: impl Into<String>, last: u32, most_ticks: usize) -> Self {
        let last = f64::from(last.max(2));
        let mut ticks = number::ticks(0.0, last, most_ticks.min(last as usize));
        ticks.retain(|(value, _)| *value >= 1.0 && value.fract() == 0.0);
        ticks.insert(0, (1.0, "1".into()));
        ticks.dedup_by_key(|(value, _)| *value);
        Self { name: name.into(), range: 1.0..last, ticks }
    }

    /// Words at 0, 1, 2 …, of which empty ones have no tick; room of half a step at the ends.
    pub fn of_words(words: impl IntoIterator<Item = String>) -> Self {
        let mut ticks: Vec<(f64, String)> = words.into_iter().enumerate().map(|(i, word)| (i as f64, word)).collect();
        let range = -0.5..ticks.len().max(1) as f64 - 0.5;
        ticks.retain(|(_, word)| !word.is_empty());
        Self { name: String::new(), range, ticks }
    }

    /// The nearest that has a place.
    pub fn clamp(&self, value: f64) -> f64 {
        value.clamp(self.range.start, self.range.end)
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, pixels: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range.clone()).map(value, pixels)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(value, _)| *value).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.ticks.iter().find(|(tick, _)| tick == value).map(|(_, word)| word.clone()).unwrap_or_default()
    }
}

/// What all `values` are in, and a little more; never empty.
fn padded(values: impl IntoIterator<Item = f64>) -> Range<f64> {
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.into_iter().filter(|value| number::is_drawable(*value)) {
        (least, most) = (least.min(value), most.max(value));
    }
    if least > most {
        return 0.0..1.0;
    }
    let size = least.abs().max(most.abs());
    let pad = if most - least > size * 1e-6 { (most - least) * 0.06 } else { (size * 0.1).max(1e-6) };
    least - pad..most + pad
}

impl Plane {
    /// The picture that `draw` makes of it, as a part of a page.
    pub fn drawn(&self, draw: impl FnOnce(&Pen) -> Result<(), Fault>) -> Option<String> {
        let mut svg = String::new();
        self.draw_on(&mut svg, draw).ok()?;
        page::inline(&svg, &self.title, "chart")
    }

    fn draw_on(&self, svg: &mut String, draw: impl FnOnce(&Pen) -> Result<(), Fault>) -> Result<(), Fault> {
        let root = SVGBackend::with_string(svg, (WIDTH * FINE, self.height * FINE)).into_drawing_area();
        let below = if self.x.name.is_empty() { 22 } else { 38 };
        let mut chart = ChartBuilder::on(&root)
            .margin_top(ABOVE * FINE)
            .margin_right(self.right * FINE)
            .x_label_area_size(below * FINE)
            .y_label_area_size(self.left * FINE)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .set_all_tick_mark_size(4 * FINE)
            .label_style(letters(INK))
            .axis_desc_style(letters(FAINT))
            .x_desc(&self.x.name)
            .y_desc(&self.y.name)
            .x_labels(self.x.ticks.len().max(1))
            .y_labels(self.y.ticks.len().max(1))
            .bold_line_style(GRID.stroke_width(FINE))
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT.stroke_width(FINE))
            .draw()?;
        draw(&Pen(chart.plotting_area()))?;
        root.present()
    }
}

/// The library divides by 1.24.
fn letters(colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", LETTERS * 1.24 * f64::from(FINE)).into_font().color(&colour)
}

fn fine(pixels: f64) -> u32 {
    (pixels * f64::from(FINE)).round() as u32
}

impl Pen<'_, '_> {
    /// A line through `points`.
    pub fn line(&self, points: &[(f64, f64)], colour: RGBColor, width: f64) -> Result<(), Fault> {
        self.0.draw(&PathElement::new(points.to_vec(), colour.stroke_width(fine(width))))
    }

    /// A line in dashes of `dash` pixels, so far apart.
    pub fn dashes(&self, ends: [(f64, f64); 2], colour: RGBColor, (dash, gap): (u32, u32)) -> Result<(), Fault> {
        let style = colour.stroke_width(fine(1.5));
        DashedLineSeries::new(ends, dash * FINE, gap * FINE, style)
            .into_iter()
            .try_for_each(|element| self.0.draw(&element))
    }

    /// A dot, through which so much is seen: 1 is nothing.
    pub fn dot(&self, at: (f64, f64), colour: RGBColor, radius: f64, cover: f64) -> Result<(), Fault> {
        self.0.draw(&Circle::new(at, fine(radius), colour.mix(cover).filled()))
    }

    /// A ring.
    pub fn ring(&self, at: (f64, f64), colour: RGBColor, radius: f64) -> Result<(), Fault> {
        self.0.draw(&Circle::new(at, fine(radius), colour.stroke_width(fine(1.5))))
    }

    /// A full rectangle between two corners.
    pub fn bar(&self, corners: [(f64, f64); 2], colour: RGBColor) -> Result<(), Fault> {
        self.0.draw(&Rectangle::new(corners, colour.filled()))
    }

    /// An empty one.
    pub fn frame(&self, [(x0, y0), (x1, y1)]: [(f64, f64); 2], colour: RGBColor, width: f64) -> Result<(), Fault> {
        self.line(&[(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], colour, width)
    }

    /// A text that begins (or, if `ends`, ends) so many pixels right of a point and below it.
    pub fn text(
        &self,
        at: (f64, f64),
        (x, y): (i32, i32),
        ends: bool,
        colour: RGBColor,
        text: &str,
    ) -> Result<(), Fault> {
        let side = if ends { HPos::Right } else { HPos::Left };
        let style = letters(colour).pos(Pos::new(side, VPos::Center));
        let moved = (x * FINE as i32, y * FINE as i32);
        self.0.draw(&(EmptyElement::at(at) + Text::new(text.to_owned(), moved, style)))
    }

    /// How many pixels `y` lies below the upper edge.
    pub fn below_top(&self, y: f64) -> i32 {
        let x = self.0.get_x_range().start;
        (self.0.map_coordinate(&(x, y)).1 - self.0.get_pixel_range().1.start) / FINE as i32
    }
}
