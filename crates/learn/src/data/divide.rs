//! A whole data set, and how its clients get their examples.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use dure_core::name::{ClientName, NameError};

use super::{
    ClientRows, DataSet, Examples, Site, Source,
    date::Date,
    examples::{Inputs, Truth},
    table::{DataError, Row},
};
use crate::{
    partition::{Parts, deal_alike},
    schema::Schema,
};

/// A data set before it is divided.
pub struct Whole {
    pub source: Source,
    pub inputs: Inputs,
    pub truth: Truth,
    /// Of a table: the line of each row.
    pub lines: Vec<u64>,
    /// Of a table that says it: whose each row is.
    pub ids: Vec<String>,
    /// Of a table that is grouped by a column: its value in each row.
    pub groups: Vec<String>,
    /// Of a table with days.
    pub dates: Vec<Date>,
    /// What the data set holds out to test on.
    pub held_out: Option<(Inputs, Truth)>,
    pub dropped: usize,
    pub remarks: Vec<String>,
}

impl Whole {
    /// A table without rows.
    pub fn of_table(schema: &Schema, source: Source, dropped: usize, remarks: Vec<String>) -> Self {
        let truth = if schema.is_of_classes() { Truth::Classes(vec![]) } else { Truth::Numbers(vec![]) };
        Self::of(source, (Inputs::Table(schema.width(), vec![]), truth), None, dropped, remarks)
    }

    /// Examples that are nobody's.
    pub fn of(
        source: Source,
        (inputs, truth): (Inputs, Truth),
        held_out: Option<(Inputs, Truth)>,
        dropped: usize,
        remarks: Vec<String>,
    ) -> Self {
        let (lines, ids, groups, dates) = (vec![], vec![], vec![], vec![]);
        Self { source, inputs, truth, lines, ids, groups, dates, held_out, dropped, remarks }
    }

    /// Takes a row of a table in. A class is its number.
    pub fn push(&mut self, row: Row) {
        let named = |name: String| Some(name).filter(|name| !name.is_empty());
        self.lines.push(row.line);
        self.ids.extend(named(row.id));
        self.groups.extend(named(row.group));
        self.dates.extend(row.date);
        if let Inputs::Table(_, values) = &mut self.inputs {
            values.extend(row.features);
        }
        let target = row.target.unwrap_or_default();
        match &mut self.truth {
            Truth::Numbers(numbers) => numbers.push(target),
            Truth::Classes(classes) => classes.push(target as u16),
        }
    }

    /// Gives every client its own.
    pub fn divide(mut self, site: &Site) -> Result<DataSet, DataError> {
        let (ids, groups) = (numbered(&self.ids), numbered(&self.groups));
        let whole = crate::partition::Whole {
            examples: self.truth.len(),
            labels: self.truth.classes(),
            ids: (!ids.is_empty()).then_some(&ids),
            groups: (!groups.is_empty()).then_some(&groups),
        };
        let parts = site.partition.divide(&whole, site.partition_seed)?;
        let tests = self.deal_held_out(&parts, site.partition_seed)?;
        let names = names(&site.prefix, parts.clients.len())?;
        let client = |(i, name): (usize, ClientName)| {
            let tests = tests.as_ref().map(|tests| &tests.clients[i][..]);
            ClientRows { examples: Arc::new(self.examples(name.clone(), &parts.clients[i], tests)), name }
        };
        let clients = names.into_iter().enumerate().map(client).collect();
        if parts.left_out > 0 {
            self.remarks.push(format!("{} rows left out: the partition gives them to nobody", parts.left_out));
        }
        let (dropped, remarks) = (self.dropped + parts.left_out, self.remarks);
        Ok(DataSet { source: self.source, clients, dropped, remarks })
    }

    /// What is held out is dealt as the rest is, so that figures over all clients are figures of all of it.
    fn deal_held_out(&self, parts: &Parts, seed: u64) -> Result<Option<Parts>, DataError> {
        let Some((_, truth)) = &self.held_out else { return Ok(None) };
        let (Some(labels), Some(others)) = (self.truth.classes(), truth.classes()) else { return Ok(None) };
        Ok(Some(deal_alike(parts, labels, others, seed)?))
    }

    /// Those of a client: these rows, and of what is held out `tests`.
    fn examples(&self, divided_as: ClientName, rows: &[u32], tests: Option<&[u32]>) -> Examples {
        let (mut inputs, mut truth, mut held_out) = (self.inputs.take(rows), self.truth.take(rows), 0);
        if let (Some(tests), Some((more, theirs))) = (tests, &self.held_out) {
            held_out = tests.len();
            inputs = Inputs::join([&inputs, &more.take(tests)].into_iter()).unwrap_or(inputs);
            truth = Truth::join([&truth, &theirs.take(tests)].into_iter()).unwrap_or(truth);
        }
        let owners = if self.groups.is_empty() { &self.ids } else { &self.groups };
        let mine: BTreeSet<&String> = rows.iter().filter_map(|row| owners.get(*row as usize)).collect();
        let alone = mine.first().filter(|_| mine.len() == 1);
        Examples {
            divided_as,
            id: alone.map_or_else(String::new, |id| id.to_string()),
            line: rows.iter().filter_map(|row| self.lines.get(*row as usize)).copied().min().unwrap_or(0),
            dates: rows.iter().filter_map(|row| self.dates.get(*row as usize)).copied().collect(),
            inputs,
            truth,
            held_out,
        }
    }
}

/// Texts by their numbers in the order of texts.
fn numbered(texts: &[String]) -> Vec<u32> {
    let names: BTreeSet<&str> = texts.iter().map(String::as_str).collect();
    let numbers: BTreeMap<&str, u32> = names.into_iter().zip(0..).collect();
    texts.iter().map(|text| numbers[text.as_str()]).collect()
}

/// What clients are called, after their place.
fn names(prefix: &str, count: usize) -> Result<Vec<ClientName>, NameError> {
    let width = count.to_string().len().max(2);
    (1..=count).map(|i| ClientName::new(format!("{prefix}-{i:0width$}"))).collect()
}

impl DataSet {
    /// The same with as many clients as this: each shares the examples of one of those that there are, in turn, and divides them as
    /// that one does, so that nobody trains on what another is tested on.
    pub fn populated(mut self, prefix: &str, count: usize) -> Result<Self, NameError> {
        let there = self.clients.len();
        let count = if there == 0 { 0 } else { count };
        let client = |(i, name): (usize, ClientName)| ClientRows {
            name,
            examples: Arc::clone(&self.clients[i % there].examples),
        };
        self.clients = names(prefix, count)?.into_iter().enumerate().map(client).collect();
        Ok(self)
    }
}
