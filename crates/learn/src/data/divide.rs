//! A whole data set, and how its clients get their examples.

use std::collections::{BTreeMap, BTreeSet};

use dure_core::name::ClientName;

use super::{
    ClientRows, DataSet, Site, Source,
    date::Date,
    examples::{Inputs, Truth},
    table::DataError,
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
    /// Of a table: whose each row is, and its line.
    pub ids: Vec<(String, u64)>,
    /// Of a table with days.
    pub dates: Vec<Date>,
    /// What the data set holds out to test on.
    pub held_out: Option<(Inputs, Truth)>,
    pub dropped: usize,
}

impl Whole {
    /// A table without rows.
    pub fn of_table(schema: &Schema, source: Source, dropped: usize) -> Self {
        let truth = if schema.is_of_classes() { Truth::Classes(vec![]) } else { Truth::Numbers(vec![]) };
        let inputs = Inputs::Table(schema.features.len(), vec![]);
        Self { source, inputs, truth, ids: vec![], dates: vec![], held_out: None, dropped }
    }

    /// Takes a row of a table in. A class is its number.
    pub fn push(&mut self, id: (String, u64), date: Option<Date>, features: &[f64], target: f64) {
        self.ids.push(id);
        self.dates.extend(date);
        if let Inputs::Table(_, values) = &mut self.inputs {
            values.extend(features);
        }
        match &mut self.truth {
            Truth::Numbers(numbers) => numbers.push(target),
            Truth::Classes(classes) => classes.push(target as u16),
        }
    }

    /// Gives every client its own.
    pub fn divide(self, site: &Site) -> Result<DataSet, DataError> {
        let names: BTreeSet<&str> = self.ids.iter().map(|(id, _)| id.as_str()).collect();
        let numbers: BTreeMap<&str, u32> = names.into_iter().zip(0..).collect();
        let ids: Vec<u32> = self.ids.iter().map(|(id, _)| numbers[id.as_str()]).collect();
        let whole = crate::partition::Whole {
            examples: self.truth.len(),
            labels: self.truth.classes(),
            ids: (!ids.is_empty()).then_some(&ids),
            groups: None,
        };
        let parts = site.partition.divide(&whole, site.partition_seed)?;
        let tests = self.deal_held_out(&parts, site.partition_seed)?;
        let width = parts.clients.len().to_string().len().max(2);
        let mut clients = Vec::with_capacity(parts.clients.len());
        for (i, rows) in parts.clients.iter().enumerate() {
            let name = ClientName::new(format!("{}-{:0width$}", site.prefix, i + 1))?;
            clients.push(self.client(name, rows, tests.as_ref().map(|tests| &tests.clients[i][..])));
        }
        Ok(DataSet { source: self.source, clients, dropped: self.dropped + parts.left_out })
    }

    /// What is held out is dealt as the rest is, so that figures over all clients are figures of all of it.
    fn deal_held_out(&self, parts: &Parts, seed: u64) -> Result<Option<Parts>, DataError> {
        let Some((_, truth)) = &self.held_out else { return Ok(None) };
        let (Some(labels), Some(others)) = (self.truth.classes(), truth.classes()) else { return Ok(None) };
        Ok(Some(deal_alike(parts, labels, others, seed)?))
    }

    fn client(&self, name: ClientName, rows: &[u32], tests: Option<&[u32]>) -> ClientRows {
        let (mut inputs, mut truth, mut held_out) = (self.inputs.take(rows), self.truth.take(rows), 0);
        if let (Some(tests), Some((more, theirs))) = (tests, &self.held_out) {
            held_out = tests.len();
            inputs = Inputs::join([&inputs, &more.take(tests)].into_iter()).unwrap_or(inputs);
            truth = Truth::join([&truth, &theirs.take(tests)].into_iter()).unwrap_or(truth);
        }
        let mine = || rows.iter().filter_map(|row| self.ids.get(*row as usize));
        let alone = mine().map(|(id, _)| id).collect::<BTreeSet<_>>().len() == 1;
        ClientRows {
            name,
            id: mine().next().filter(|_| alone).map_or_else(String::new, |(id, _)| id.clone()),
            line: mine().map(|(_, line)| *line).min().unwrap_or(0),
            dates: rows.iter().filter_map(|row| self.dates.get(*row as usize)).copied().collect(),
            inputs,
            truth,
            held_out,
        }
    }
}
