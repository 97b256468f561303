//! Rows from a CSV file: columns by name, clients by a column, every bad row named by file, line and column.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io::Read as _,
    path::{Path, PathBuf},
};

use dure_core::{
    excerpt::{NAME, SENTENCE, excerpt},
    name::NameError,
};

use super::{ClientRows, DataSet, Site, Source, date::Date, divide::Whole, images::ImageError};
use crate::{partition::PartitionError, schema::Schema, split::SplitSpec};

/// What is wrong with a data file. Nothing of it is used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It cannot be read.
    #[error("{file}: cannot be read: {why}; --data names the folder that holds it", file = .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// It has no rows.
    #[error("{file}: has no rows; it needs a line of column names and a line for each row", file = .file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// A column is missing.
    #[error("{file}:1: has no column {column:?}{hint}", file = .file.display())]
    MissingColumn {
        /// The file.
        file: PathBuf,
        /// The column.
        column: String,
        /// The nearest one that is there, and how to map it.
        hint: String,
    },
    /// A column is there twice.
    #[error("{file}:1: has two columns {column:?}; rename one", file = .file.display())]
    RepeatedColumn {
        /// The file.
        file: PathBuf,
        /// The column.
        column: String,
    },
    /// A value cannot be what its column needs.
    #[error("{file}:{line}: column {column:?} holds {value:?}, which is not {want}", file = .file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The column.
        column: String,
        /// What stands there.
        value: String,
        /// What should.
        want: &'static str,
    },
    /// A row is not a row.
    #[error("{file}:{line}: {why}", file = .file.display())]
    Row {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// Two rows of one client and day.
    #[error("{file}:{line}: {column:?} = {id:?} has {date} already in line {first}; remove one", file = .file.display())]
    Duplicate {
        /// The file.
        file: PathBuf,
        /// The line of the second row.
        line: u64,
        /// The line of the first.
        first: u64,
        /// The column of clients.
        column: String,
        /// Whose rows they are.
        id: String,
        /// The day.
        date: Date,
    },
    /// Images that cannot be had.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Examples that cannot be dealt out.
    #[error("site.partition: {0}")]
    Partition(#[from] PartitionError),
    /// A name that no client can have.
    #[error("site.prefix: {0}")]
    Name(#[from] NameError),
    /// A client that cannot be divided into training, validation and test rows.
    #[error(
        "{file}:{line}: {id:?} has {rows} usable row{s}, and {needed} are needed to train, choose and test; add rows of it, or remove them",
        file = .file.display(), s = if *.rows == 1 { "" } else { "s" }
    )]
    TooFewRows {
        /// The file.
        file: PathBuf,
        /// The line of its first row.
        line: u64,
        /// Whose rows they are.
        id: String,
        /// How many.
        rows: usize,
        /// How many are needed.
        needed: usize,
    },
}

/// A row as it stands in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its line, counted from 1.
    pub line: u64,
    /// Whose it is.
    pub id: String,
    /// Its day.
    pub date: Date,
    /// The features, in the schema's order.
    pub features: Vec<f64>,
    /// The target; absent if it was not asked for.
    pub target: Option<f64>,
}

/// Whether rows need their target: to learn and to judge they do, to predict they do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A missing or bad target is an error.
    Needed,
    /// The column is not looked at.
    Ignored,
}

/// The largest table that is read, in bytes.
pub const MAX_BYTES: u64 = 4 << 30;

/// The largest magnitude of a value.
const MAX_VALUE: f64 = 1e30;

/// Reads a file of at most `limit` bytes.
pub fn read_bounded(file: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(limit + 1).read_to_end(&mut bytes)?;
    let too_large = || std::io::Error::new(std::io::ErrorKind::FileTooLarge, format!("it has more than {limit} bytes"));
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

/// Reads rows of a file that is `bytes`.
pub fn parse(file: &Path, bytes: &[u8], schema: &Schema, site: &Site, target: Target) -> Result<Vec<Row>, DataError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let mut lines = Lines::new(bytes);
    let header = reader.headers().map_err(|error| broken(file, &error, &mut lines))?.clone();
    let columns = Columns::find(file, &header, schema, site, target)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| broken(file, &error, &mut lines))?;
        rows.push(columns.row(file, &record, lines.of(record.position()))?);
    }
    if rows.is_empty() { Err(DataError::Empty { file: file.into() }) } else { Ok(rows) }
}

/// Counts lines as positions go on; they end in LF, CR LF or CR. The reader's own count is one short where they end in CR LF.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 1 }
    }

    /// The line of a position that is not before the last one asked for; the first if there is none.
    pub(super) fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let byte = position.map_or(0, |position| position.byte() as usize).clamp(self.at, self.bytes.len());
        // A record's position may be that of the line end before it.
        let ends = self.bytes[byte..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let passed = &self.bytes[self.at..byte + ends];
        let alone = |i: usize| passed[i] == b'\r' && passed.get(i + 1) != Some(&b'\n');
        let line_ends = (0..passed.len()).filter(|i| passed[*i] == b'\n' || alone(*i)).count();
        (self.at, self.line) = (byte + ends, self.line + line_ends as u64);
        self.line
    }
}

/// Where a file has its columns.
struct Columns<'a> {
    header: &'a csv::StringRecord,
    client: usize,
    date: usize,
    features: Vec<usize>,
    target: Option<usize>,
    /// None if the target is a number.
    classes: &'a [String],
}

impl<'a> Columns<'a> {
    fn find(
        file: &Path,
        header: &'a csv::StringRecord,
        schema: &'a Schema,
        site: &Site,
        target: Target,
    ) -> Result<Self, DataError> {
        if header.iter().all(str::is_empty) {
            return Err(DataError::Empty { file: file.into() });
        }
        if header.len() == 1 && header[0].contains([';', '\t']) {
            let why = "the columns are not separated by commas; save the file as comma-separated values".into();
            return Err(DataError::Row { file: file.into(), line: 1, why });
        }
        let find = |column: String| position(file, header, column);
        let own = |name: &str| site.columns.get(name).cloned().unwrap_or_else(|| name.to_owned());
        Ok(Self {
            header,
            client: find(site.client.clone())?,
            date: find(site.date.clone())?,
            features: schema.features.iter().map(|column| find(own(&column.name))).collect::<Result<_, _>>()?,
            target: (target == Target::Needed).then(|| find(own(&schema.target.name))).transpose()?,
            classes: &schema.target.classes,
        })
    }

    fn row(&self, file: &Path, record: &csv::StringRecord, line: u64) -> Result<Row, DataError> {
        let bad = |column: usize, want| DataError::Value {
            file: file.into(),
            line,
            column: self.header[column].into(),
            value: excerpt(&record[column], NAME),
            want,
        };
        let number = |column: usize| match record[column].parse::<f64>() {
            Ok(value) if value.abs() <= MAX_VALUE => Ok(value),
            _ => Err(bad(column, "a number between -1e30 and 1e30")),
        };
        let class = |column: usize| {
            let class = self.classes.iter().position(|class| *class == record[column]);
            class.map(|class| class as f64).ok_or_else(|| bad(column, "one of schema.target.classes"))
        };
        let target = |column: usize| if self.classes.is_empty() { number(column) } else { class(column) };
        if record[self.client].is_empty() {
            return Err(bad(self.client, "anybody's name"));
        }
        Ok(Row {
            line,
            id: record[self.client].into(),
            date: Date::parse(&record[self.date])
                .ok_or_else(|| bad(self.date, "a day like 4/12/2016 or 2016-04-12"))?,
            features: self.features.iter().map(|column| number(*column)).collect::<Result<_, _>>()?,
            target: self.target.map(target).transpose()?,
        })
    }
}

pub(super) fn position(file: &Path, header: &csv::StringRecord, column: String) -> Result<usize, DataError> {
    let mut found = header.iter().enumerate().filter(|(_, name)| *name == column).map(|(i, _)| i);
    match (found.next(), found.next()) {
        (Some(position), None) => Ok(position),
        (Some(_), Some(_)) => Err(DataError::RepeatedColumn { file: file.into(), column }),
        (None, _) => {
            // A name that would have to be cut helps nobody.
            let shown = header.iter().filter(|name| excerpt(name, NAME) == *name);
            let near = shown.max_by(|a, b| likeness(a, &column).total_cmp(&likeness(b, &column)));
            let near = near.filter(|name| likeness(name, &column) > 0.6);
            let hint = near.map_or_else(String::new, |name| {
                format!("; if {name:?} is meant, say so in the recipe's [site.columns]: {column} = {name:?}")
            });
            Err(DataError::MissingColumn { file: file.into(), column, hint })
        }
    }
}

fn likeness(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(&a.to_lowercase(), &b.to_lowercase())
}

/// What the reader says of a row, in our words.
pub(super) fn broken(file: &Path, error: &csv::Error, lines: &mut Lines) -> DataError {
    let line = lines.of(error.position());
    let why = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} columns where the first line names {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8 text; save the file as UTF-8".into(),
        _ => error.to_string(),
    };
    DataError::Row { file: file.into(), line, why }
}

/// Drops rows that were not worn, and gives every client its own.
pub fn group(file: &Path, rows: Vec<Row>, schema: &Schema, site: &Site, source: Source) -> Result<DataSet, DataError> {
    let (mut by_id, mut dropped) = (BTreeMap::<String, BTreeMap<Date, Row>>::new(), 0);
    let zeros = Zeros::of(schema, site);
    for row in rows {
        let days = by_id.entry(row.id.clone()).or_default();
        match days.entry(row.date) {
            Entry::Occupied(first) => {
                let (line, first) = (row.line, first.get().line);
                let (column, id, date) = (site.client.clone(), excerpt(row.id, NAME), row.date);
                return Err(DataError::Duplicate { file: file.into(), line, first, column, id, date });
            }
            Entry::Vacant(day) => drop(day.insert(row)),
        }
    }
    for days in by_id.values_mut() {
        let before = days.len();
        days.retain(|_, row| !zeros.hold(row));
        dropped += before - days.len();
    }
    by_id.retain(|_, days| !days.is_empty());
    if by_id.is_empty() {
        let columns = excerpt(site.drop_if_zero.join(" and "), SENTENCE);
        let why = format!("all {dropped} rows were dropped: {columns} are 0 in each");
        return Err(DataError::Row { file: file.into(), line: 2, why });
    }
    let mut whole = Whole::of_table(schema, source, dropped);
    for row in by_id.into_values().flat_map(BTreeMap::into_values) {
        let target = row.target.unwrap_or_default();
        whole.push((row.id, row.line), Some(row.date), &row.features, target);
    }
    whole.divide(site)
}

/// The columns that are all zero when a device was not worn.
struct Zeros {
    features: Vec<usize>,
    target: bool,
}

impl Zeros {
    fn of(schema: &Schema, site: &Site) -> Self {
        let named = |name: &String| site.drop_if_zero.contains(name);
        let features = schema.features.iter().enumerate().filter(|(_, column)| named(&column.name)).map(|(i, _)| i);
        Self { features: features.collect(), target: named(&schema.target.name) }
    }

    fn hold(&self, row: &Row) -> bool {
        let any = self.target || !self.features.is_empty();
        any && (!self.target || row.target == Some(0.0)) && self.features.iter().all(|i| row.features[*i] == 0.0)
    }
}

/// Holds every client to what `split` needs.
pub fn check_rows(data: &DataSet, split: &SplitSpec) -> Result<(), DataError> {
    let file = match &data.source {
        Source::File(file) => file.clone(),
        Source::Generated => PathBuf::from("generated"),
    };
    let needed = split.needed();
    match data.clients.iter().find(|client| client.len() - client.held_out < needed) {
        Some(client) => {
            let (line, id, rows) = (client.line, excerpt(named(client), NAME), client.len() - client.held_out);
            Err(DataError::TooFewRows { file, line, id, rows, needed })
        }
        None => Ok(()),
    }
}

/// Whose rows they are, or what it is called.
fn named(client: &ClientRows) -> &str {
    if client.id.is_empty() { client.name.as_str() } else { &client.id }
}
