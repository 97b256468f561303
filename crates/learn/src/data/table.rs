//! Rows from a CSV file: columns by name, clients by a column, every bad row named by file, line and column.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use dure_core::{
    excerpt::{NAME, SENTENCE, excerpt},
    name::NameError,
};

use super::{ClientRows, DataSet, Site, Source, date::Date, divide::Whole, gzip, images::ImageError};
use crate::{
    partition::PartitionError,
    schema::{Column, Missing, Schema},
    split::SplitSpec,
};

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
        want: String,
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
    /// Examples that cannot be dealt out. The message has all of it: it is nobody's source.
    #[error("site.partition: {0}")]
    Partition(PartitionError),
    /// A name that no client can have.
    #[error("site.prefix: {0}")]
    Name(NameError),
    /// A client that cannot be divided into training, validation and test rows.
    #[error(
        "{file}:{line}: {id:?} has {rows} usable row{s}, and {needed} are needed to train, choose and test; add rows of it, remove it, or have fewer clients",
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

impl From<PartitionError> for DataError {
    fn from(error: PartitionError) -> Self {
        Self::Partition(error)
    }
}

impl From<NameError> for DataError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

/// What was read of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Its rows, in the order of the file.
    pub rows: Vec<Row>,
    /// How many were left out.
    pub dropped: usize,
    /// What was left out, and why: a line each.
    pub remarks: Vec<String>,
}

/// A row as it stands in the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Its line, counted from 1.
    pub line: u64,
    /// Whose it is; empty where a site does not say.
    pub id: String,
    /// Its day, where rows have one.
    pub date: Option<Date>,
    /// The value that a partition groups by; empty where it groups by none.
    pub group: String,
    /// The inputs that the features are, in the schema's order: a number each, or one for each category, which is 1 where it is
    /// meant and 0 elsewhere. Of what is not known it is NaN, or 0 for all categories.
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

/// Reads a file, packed with gzip or not.
pub fn read(file: &Path, schema: &Schema, site: &Site, target: Target) -> Result<Table, DataError> {
    let bytes = gzip::read_bounded(file, MAX_BYTES).map_err(|why| DataError::Unreadable { file: file.into(), why })?;
    parse(file, &bytes, schema, site, target)
}

/// Reads a file that is `bytes`, unpacked.
pub fn parse(file: &Path, bytes: &[u8], schema: &Schema, site: &Site, target: Target) -> Result<Table, DataError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let mut lines = Lines::new(bytes);
    let header = reader.headers().map_err(|error| broken(file, &error, &mut lines))?.clone();
    let columns = Columns::find(file, &header, schema, site, target)?;
    let mut table = Table::default();
    for record in reader.records() {
        let record = record.map_err(|error| broken(file, &error, &mut lines))?;
        match columns.row(&record, lines.of(record.position()))? {
            Some(row) => table.rows.push(row),
            None => table.dropped += 1,
        }
    }
    let dropped = table.dropped;
    match (table.rows.is_empty(), dropped) {
        (true, 0) => return Err(DataError::Empty { file: file.into() }),
        (true, _) => {
            let why = format!("all {dropped} rows were dropped: a value is missing in each");
            return Err(DataError::Row { file: file.into(), line: 2, why });
        }
        (false, 0) => {}
        (false, _) => table.remarks.push(format!("{dropped} rows left out: a value is missing")),
    }
    Ok(table)
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

/// Where a file has its columns, and what may stand in them.
struct Columns<'a> {
    file: &'a Path,
    header: &'a csv::StringRecord,
    client: Option<usize>,
    date: Option<usize>,
    group: Option<usize>,
    features: Vec<(usize, &'a Column)>,
    target: Option<usize>,
    schema: &'a Schema,
    site: &'a Site,
}

impl<'a> Columns<'a> {
    fn find(
        file: &'a Path,
        header: &'a csv::StringRecord,
        schema: &'a Schema,
        site: &'a Site,
        target: Target,
    ) -> Result<Self, DataError> {
        if header.iter().all(str::is_empty) {
            return Err(DataError::Empty { file: file.into() });
        }
        if header.len() == 1 && header[0].contains([';', '\t']) {
            let why = "the columns are not separated by commas; save the file as comma-separated values".into();
            return Err(DataError::Row { file: file.into(), line: 1, why });
        }
        let find = |column: String| position(file, header, column, None);
        let if_named = |key: &str, column: &str| {
            (!column.is_empty()).then(|| position(file, header, column.to_owned(), Some(key))).transpose()
        };
        let own = |name: &str| site.columns.get(name).cloned().unwrap_or_else(|| name.to_owned());
        let needed = target == Target::Needed;
        let feature = |column: &'a Column| find(own(&column.name)).map(|at| (at, column));
        Ok(Self {
            file,
            header,
            client: if_named("site.client", &site.client)?,
            date: if_named("site.date", &site.date)?,
            group: if_named("site.partition.column", site.partition.column().filter(|_| needed).unwrap_or_default())?,
            features: schema.features.iter().map(feature).collect::<Result<_, _>>()?,
            target: needed.then(|| find(own(&schema.target.name))).transpose()?,
            schema,
            site,
        })
    }

    /// A row; none if a value is missing and the schema drops such rows. Whatever else is wrong with it is an error all the
    /// same.
    fn row(&self, record: &csv::StringRecord, line: u64) -> Result<Option<Row>, DataError> {
        let cell = |column| Cell { columns: self, line, column, text: &record[column] };
        let mut row = Row { line, features: Vec::with_capacity(self.schema.width()), ..Row::default() };
        let mut complete = true;
        if let Some(column) = self.client {
            row.id = cell(column).name("anybody's name")?;
        }
        if let Some(column) = self.group {
            row.group = cell(column).name("a value to group by")?;
        }
        if let Some(column) = self.date {
            let date = Date::parse(&record[column]);
            row.date = Some(date.ok_or_else(|| cell(column).bad("a day like 4/12/2016 or 2016-04-12"))?);
        }
        for (at, column) in &self.features {
            let cell = cell(*at);
            let known = cell.feature(column, &mut row.features)?;
            complete &= known;
        }
        if let Some(column) = self.target {
            row.target = cell(column).target()?;
            complete &= row.target.is_some();
        }
        Ok((complete || self.schema.missing != Missing::Drop).then_some(row))
    }
}

/// What a missing value looks like that nobody has said to be one.
const SUSPECTS: [&str; 10] = ["na", "n/a", "nan", "null", "none", "nil", "unknown", "?", "-", "."];

/// A value and where it stands.
struct Cell<'a> {
    columns: &'a Columns<'a>,
    line: u64,
    column: usize,
    text: &'a str,
}

impl Cell<'_> {
    fn bad(&self, want: impl Into<String>) -> DataError {
        DataError::Value {
            file: self.columns.file.into(),
            line: self.line,
            column: self.columns.header[self.column].into(),
            value: excerpt(self.text, NAME),
            want: want.into(),
        }
    }

    fn is_missing(&self) -> bool {
        self.text.is_empty() || self.columns.site.missing.iter().any(|text| text == self.text)
    }

    /// What everybody has: whose row it is, say.
    fn name(&self, want: &str) -> Result<String, DataError> {
        if self.is_missing() { Err(self.bad(want)) } else { Ok(self.text.into()) }
    }

    fn number(&self) -> Result<f64, DataError> {
        match self.text.parse::<f64>() {
            // -999 may stand for a missing value: then it is no number.
            Ok(value) if value.abs() <= MAX_VALUE && !self.is_missing() => Ok(value),
            _ => Err(self.bad(format!("a number between -1e30 and 1e30{}", self.hint()))),
        }
    }

    /// Which of `names` it is. `key` is where they are listed.
    fn choice(&self, names: &[String], key: &str) -> Result<usize, DataError> {
        let found = names.iter().position(|name| name == self.text && !self.is_missing());
        let listed = || excerpt(names.join(", "), SENTENCE);
        found.ok_or_else(|| self.bad(format!("one of {key}: {}{}", listed(), self.hint())))
    }

    /// Adds the inputs that a feature is, and returns whether it is known.
    fn feature(&self, column: &Column, inputs: &mut Vec<f64>) -> Result<bool, DataError> {
        let known = !self.is_missing() || self.columns.schema.missing.is_refused();
        if column.is_number() {
            inputs.push(if known { self.number()? } else { f64::NAN });
            return Ok(known);
        }
        let from = inputs.len();
        inputs.resize(from + column.width(), 0.0);
        if known {
            inputs[from + self.choice(&column.categories, "its categories")?] = 1.0;
        }
        Ok(known)
    }

    /// The number, or the number of the class; none if it is missing and such rows are dropped. To learn from a row it must be
    /// there.
    fn target(&self) -> Result<Option<f64>, DataError> {
        if self.is_missing() && self.columns.schema.missing == Missing::Drop {
            return Ok(None);
        }
        let classes = &self.columns.schema.target.classes;
        let value = if classes.is_empty() {
            self.number()
        } else {
            self.choice(classes, "schema.target.classes").map(|class| class as f64)
        };
        value.map(Some)
    }

    /// What to do if it stands for a missing value.
    fn hint(&self) -> String {
        let is_target = self.columns.target == Some(self.column);
        if self.is_missing() {
            let allows = if is_target { "\"drop\" leaves such rows out" } else { "\"mean\" or \"drop\" allows it" };
            format!("; for a missing value, schema.missing = {allows}")
        } else if SUSPECTS.contains(&&*self.text.to_ascii_lowercase()) {
            format!("; if it stands for a missing value, say so: site.missing = [{:?}]", self.text)
        } else {
            String::new()
        }
    }
}

/// Where a column is. `key` is the recipe's that names it; none if it is the schema's name, which a site may map its own onto.
pub(super) fn position(
    file: &Path,
    header: &csv::StringRecord,
    column: String,
    key: Option<&str>,
) -> Result<usize, DataError> {
    let mut found = header.iter().enumerate().filter(|(_, name)| *name == column).map(|(i, _)| i);
    match (found.next(), found.next()) {
        (Some(position), None) => Ok(position),
        (Some(_), Some(_)) => Err(DataError::RepeatedColumn { file: file.into(), column }),
        (None, _) => {
            // A name that would have to be cut helps nobody.
            let shown = header.iter().filter(|name| excerpt(name, NAME) == *name);
            let near = shown.max_by(|a, b| likeness(a, &column).total_cmp(&likeness(b, &column)));
            // "sbp" and "dbp" are 0.78 alike: no hint is better than one that makes a wrong column of it.
            let near = near.filter(|name| likeness(name, &column) > 0.8);
            let hint = near.map_or_else(String::new, |name| match key {
                Some(key) => format!("; if {name:?} is meant, say so in the recipe: {key} = {name:?}"),
                None => format!("; if {name:?} is meant, say so in the recipe's [site.columns]: {column} = {name:?}"),
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

/// Drops rows in which nothing was measured, and gives every client its own: in the order of clients and days, and else in
/// the order of the file.
pub fn group(file: &Path, table: Table, schema: &Schema, site: &Site, source: Source) -> Result<DataSet, DataError> {
    let Table { mut rows, mut dropped, mut remarks } = table;
    check_days(file, &rows, site)?;
    let (zeros, before) = (Zeros::of(schema, site), rows.len());
    rows.retain(|row| !zeros.hold(row));
    let of_zeros = before - rows.len();
    if of_zeros > 0 {
        let columns = excerpt(site.drop_if_zero.join(" and "), SENTENCE);
        if rows.is_empty() {
            let why = format!("all {of_zeros} rows were dropped: {columns} are 0 in each");
            return Err(DataError::Row { file: file.into(), line: 2, why });
        }
        remarks.push(format!("{of_zeros} rows left out: {columns} are 0"));
        dropped += of_zeros;
    }
    rows.sort_by(|a, b| (&a.id, a.date).cmp(&(&b.id, b.date)));
    let mut whole = Whole::of_table(schema, source, dropped, remarks);
    rows.into_iter().for_each(|row| whole.push(row));
    whole.divide(site)
}

/// Nobody has two rows of a day. Rows that are nobody's, or have no day, may be as they like.
fn check_days(file: &Path, rows: &[Row], site: &Site) -> Result<(), DataError> {
    let mut seen = BTreeMap::<(&str, Date), u64>::new();
    for row in rows.iter().filter(|row| !row.id.is_empty()) {
        let Some(date) = row.date else { continue };
        if let Some(first) = seen.insert((&row.id, date), row.line) {
            let (column, id, line) = (site.client.clone(), excerpt(&row.id, NAME), row.line);
            return Err(DataError::Duplicate { file: file.into(), line, first, column, id, date });
        }
    }
    Ok(())
}

/// The columns that are all zero when a device was not worn.
struct Zeros {
    features: Vec<usize>,
    target: bool,
}

impl Zeros {
    fn of(schema: &Schema, site: &Site) -> Self {
        let named = |name: &String| site.drop_if_zero.contains(name);
        let features = schema.placed().filter(|(_, column)| named(&column.name)).map(|(i, _)| i);
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
