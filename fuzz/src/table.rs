//! Tables of rows.

use std::{collections::BTreeSet, path::Path, sync::LazyLock};

use dure_core::name::ClientName;
use dure_learn::{
    data::{
        DataSet, Format, Site, Source,
        examples::Inputs,
        table::{DataError, Row, Table, Target, check_rows, group, parse},
    },
    partition::Partition,
    schema::{self, Column, Missing, Schema},
    split::SplitSpec,
};

use crate::{memory, message};

/// What the table is called in messages.
const FILE: &str = "days.csv";

/// The columns of every table.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let column = |name: &str, unit: &str| Column { name: name.into(), unit: unit.into(), categories: vec![] };
    let target = schema::Target { name: "Calories".into(), unit: "kcal".into(), classes: vec![] };
    Schema {
        features: vec![column("Steps", "steps"), column("Km", "km")],
        missing: Missing::Refuse,
        image: None,
        target,
    }
});

/// Where they are found.
static SITE: LazyLock<Site> = LazyLock::new(|| Site {
    file: FILE.into(),
    client: "Id".into(),
    prefix: "person".into(),
    date: "Day".into(),
    drop_if_zero: vec!["Steps".into(), "Calories".into()],
    missing: vec![],
    columns: [("Km".into(), "Distance".into())].into(),
    public: false,
    format: Format::Csv,
    train: vec![],
    test: vec![],
    partition: Partition::Natural { largest: None },
    partition_seed: 0,
});

/// Other columns of the same tables: who somebody is as a category, gaps allowed, and a client for each day.
static CHOICES: LazyLock<Schema> = LazyLock::new(|| {
    let categories = vec!["7".into(), "3".into()];
    let id = Column { name: "Id".into(), unit: String::new(), categories };
    let features = vec![id, SCHEMA.features[0].clone()];
    Schema { features, missing: Missing::Mean, ..SCHEMA.clone() }
});

/// Where these are found.
static DAYS: LazyLock<Site> = LazyLock::new(|| Site {
    client: String::new(),
    date: String::new(),
    drop_if_zero: vec![],
    missing: vec!["NA".into()],
    partition: Partition::Grouped { groups: None, column: Some("Day".into()) },
    ..SITE.clone()
});

/// Takes `bytes` as a table.
///
/// What is read has finite numbers, as many of each column as there are rows, and each client's rows are its own, in the order
/// of their days. A row is on the line that it says. A refusal names the file, the line, and the column if it is about one.
pub fn csv(bytes: &[u8]) {
    for target in [Target::Needed, Target::Ignored] {
        let read = || parse(Path::new(FILE), bytes, &SCHEMA, &SITE, target);
        let Some(table) = taken(memory::within(64 * bytes.len() + (64 << 10), read), bytes) else { continue };
        check(&table.rows, target);
        check_places(&table.rows, bytes);
        if target == Target::Needed {
            check_clients(table, bytes);
        }
    }
    choices(bytes);
}

/// A category is a 1 among 0s or nothing, a number is finite or not known, and no row is lost.
fn choices(bytes: &[u8]) {
    let file = Path::new(FILE);
    let read = || parse(file, bytes, &CHOICES, &DAYS, Target::Needed);
    let Some(table) = taken(memory::within(64 * bytes.len() + (64 << 10), read), bytes) else { return };
    for Row { features, group, target, .. } in &table.rows {
        assert!(matches!(features[..2], [0.0, 0.0] | [1.0, 0.0] | [0.0, 1.0]), "{features:?}");
        assert!(features.len() == 3 && !features[2].is_infinite() && target.is_some_and(f64::is_finite));
        assert!(!group.is_empty() && group != "NA");
    }
    let rows = table.rows.len();
    let Some(data) = taken(group(file, table, &CHOICES, &DAYS, Source::File(file.into())), bytes) else { return };
    assert_eq!((data.rows(), data.dropped), (rows, 0));
    assert!(data.clients.is_sorted_by(|a, b| a.name < b.name && a.id < b.id));
}

/// What was read, if it was; a refusal says where to look.
fn taken<T>(read: Result<T, DataError>, bytes: &[u8]) -> Option<T> {
    let error = match read {
        Ok(read) => return Some(read),
        Err(error) => error,
    };
    let text = message::check(&error);
    let (line, column) = match &error {
        DataError::Value { line, column, .. } => (Some(*line), Some(column)),
        DataError::Row { line, .. } | DataError::TooFewRows { line, .. } => (Some(*line), None),
        DataError::Duplicate { line, first, column, .. } => {
            assert!(first < line, "{text}");
            (Some(*line), Some(column))
        }
        DataError::MissingColumn { column, .. } | DataError::RepeatedColumn { column, .. } => (Some(1), Some(column)),
        DataError::Empty { .. } | DataError::Unreadable { .. } => (None, None),
        DataError::Image(_) | DataError::Partition(_) | DataError::Name(_) => {
            panic!("a table of days has none: {text}")
        }
    };
    let place = line.map_or_else(|| format!("{FILE}: "), |line| format!("{FILE}:{line}: "));
    assert!(text.starts_with(&place), "{text}");
    assert!(column.is_none_or(|column| text.contains(column.as_str())), "{text}");
    let lines = lines(bytes).len() as u64;
    assert!(line.is_none_or(|line| (1..=lines).contains(&line)), "there are {lines} lines: {text}");
    None
}

fn check(rows: &[Row], target: Target) {
    assert!(!rows.is_empty());
    for row in rows {
        assert_eq!(row.features.len(), SCHEMA.features.len());
        assert!(row.features.iter().chain(&row.target).all(|value| value.is_finite()), "{row:?}");
        assert_eq!(row.target.is_some(), target == Target::Needed);
        assert!(!row.id.is_empty());
    }
    assert!(rows.is_sorted_by(|a, b| a.line < b.line), "two rows are on one line");
}

/// Where nothing is quoted, a row's line can be found by anybody.
fn check_places(rows: &[Row], bytes: &[u8]) {
    if bytes.contains(&b'"') {
        return;
    }
    let lines = lines(bytes);
    for row in rows {
        let line = &lines[row.line as usize - 1];
        assert!(
            line.split(',').any(|field| field.trim() == row.id),
            "line {} is no row of {:?}: {line}",
            row.line,
            row.id
        );
    }
}

/// The lines of a text, which end in LF, CR LF or CR.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    text.split(['\n', '\r']).map(str::to_owned).collect()
}

fn check_clients(table: Table, bytes: &[u8]) {
    let (total, ids) = (table.rows.len(), table.rows.iter().map(|row| row.id.clone()).collect::<BTreeSet<_>>());
    let file = Path::new(FILE);
    let Some(data) = taken(group(file, table, &SCHEMA, &SITE, Source::File(file.into())), bytes) else { return };
    assert_eq!(data.rows() + data.dropped, total, "a row was lost");
    assert!(data.clients.is_sorted_by(|a, b| a.name < b.name && a.id < b.id));
    for client in &data.clients {
        let days = client.dates.len();
        assert!(days > 0 && ids.contains(&client.id));
        assert_eq!(client.len(), days);
        assert!(matches!(&client.inputs, Inputs::Table(2, values) if values.len() == 2 * days));
        assert!(client.dates.is_sorted_by(|a, b| a < b));
    }
    divide(&data, bytes);
}

/// Training, validation and test rows of each client: all of them, each once.
fn divide(data: &DataSet, bytes: &[u8]) {
    let split = SplitSpec { test: 0.2, validation: 0.2, ..SplitSpec::default() };
    if taken(check_rows(data, &split), bytes).is_none() {
        return;
    }
    for client in &data.clients {
        let name: &ClientName = &client.name;
        let rows = split.divide(client.len(), 0, 1, name).expect("there are enough rows");
        let mut all = [&rows.training[..], &rows.validation, &rows.test].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..client.len() as u32));
    }
}
