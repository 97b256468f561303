//! What `[site]` and `[generator]` may say.

use dure_core::{name::ClientName, plan::PlanError};

use super::{Recipe, nearest};
use crate::data::{Format, Generator, Site, made_up_vitals::Patients, people, vitals};

fn refuse(key: &'static str, value: impl std::fmt::Display, allowed: &str) -> Result<(), PlanError> {
    Err(PlanError::value(key, value, allowed))
}

impl Recipe {
    /// Whether the site says of its format what it needs.
    pub(super) fn check_site(&self) -> Result<(), PlanError> {
        let Site { format, test, prefix, .. } = &self.site;
        if ClientName::new(format!("{prefix}-0000000")).is_err() {
            return refuse("site.prefix", prefix, "1 to 56 of a-z, 0-9, '.', '_' and '-'");
        }
        self.check_columns()?;
        let table = matches!(format, Format::Csv | Format::Vitals);
        if table != self.schema.image.is_none() {
            let allowed = "csv or vitals for features; idx, cifar10 or folder for an image";
            return refuse("site.format", format!("{format:?}"), allowed);
        }
        let held_out = !table && !test.is_empty();
        if held_out != self.plan.split.held_out && self.generator.is_none() {
            return refuse("split.held_out", self.plan.split.held_out, "true if site.test names files, else false");
        }
        match format {
            Format::Csv => self.check_csv(),
            _ => self.check_others(),
        }
    }

    /// Whether the columns that the site speaks of are the schema's.
    fn check_columns(&self) -> Result<(), PlanError> {
        let Site { columns, drop_if_zero, .. } = &self.site;
        let known: Vec<&str> = self.schema.columns().map(|(name, _)| name).collect();
        let mapped = columns.keys().map(|name| ("site.columns", name));
        let mut named = mapped.chain(drop_if_zero.iter().map(|name| ("site.drop_if_zero", name)));
        if let Some((key, name)) = named.find(|(_, name)| !known.contains(&name.as_str())) {
            let near = nearest(name, &known).unwrap_or_default();
            return refuse(key, format!("{name:?}"), &format!("columns of the schema; did you mean {near:?}?"));
        }
        let names = self.schema.features.iter().filter(|column| !column.is_number()).map(|column| &column.name);
        let mut names = names.chain(self.schema.is_of_classes().then_some(&self.schema.target.name));
        match names.find(|name| drop_if_zero.contains(name)) {
            Some(name) => refuse("site.drop_if_zero", format!("{name:?}"), "columns of numbers"),
            None => Ok(()),
        }
    }

    /// Whether a table is said to be somewhere, and to be anybody's.
    fn check_csv(&self) -> Result<(), PlanError> {
        let Site { file, client, missing, partition, .. } = &self.site;
        if file.is_empty() {
            return refuse("site.file", "\"\"", "the file of the table");
        }
        if client.is_empty() && partition.by_ids() {
            let allowed = "the column that says whose row it is; or a site.partition that deals rows out, such as iid";
            return refuse("site.client", "\"\"", allowed);
        }
        let choices = self.schema.features.iter().flat_map(|column| &column.categories);
        match choices.chain(&self.schema.target.classes).find(|choice| missing.contains(choice)) {
            Some(both) => Err(PlanError::Contradiction {
                first: format!("site.missing = {both:?}"),
                second: format!("{both:?} in the schema"),
                why: "what is a category or a class is not missing; take it out of one of the two",
            }),
            None => Ok(()),
        }
    }

    /// Whether what is no plain table says what it needs, and nothing that only a table can have.
    fn check_others(&self) -> Result<(), PlanError> {
        let Site { format, file, train, test, missing, partition, .. } = &self.site;
        if let Some(column) = partition.column() {
            return refuse(
                "site.partition.column",
                format!("{column:?}"),
                "a column of a table: site.format = \"csv\"",
            );
        }
        if !missing.is_empty() {
            return refuse("site.missing", format!("{missing:?}"), "what stands in a table: site.format = \"csv\"");
        }
        if !self.schema.missing.is_refused() {
            let asked = format!("{:?}", self.schema.missing);
            return refuse("schema.missing", asked, "for tables: site.format = \"csv\"");
        }
        match format {
            Format::Vitals if file.is_empty() => refuse("site.file", "\"\"", "the file of vital signs"),
            Format::Vitals if !vitals::are_meant(&self.schema) => {
                let (features, classes) = (self.schema.features.len(), self.schema.target.classes.len());
                let columns = vitals::COLUMNS.join(", ");
                let allowed = format!("the numbers {columns}, and 4 classes: 0, 1 to 4, 5 and 6, 7 points and more");
                refuse("schema", format!("{features} features and {classes} classes"), &allowed)
            }
            Format::Idx if train.len() != 2 || ![0, 2].contains(&test.len()) => {
                let asked = format!("{} files", train.len());
                refuse("site.train", asked, "two files, of images and of labels; and so for site.test")
            }
            Format::Cifar10 if train.is_empty() => refuse("site.train", "[]", "at least one batch"),
            Format::Folder if test.len() > 1 => {
                refuse("site.test", format!("{} folders", test.len()), "one folder of folders")
            }
            _ => Ok(()),
        }
    }

    /// Whether the generator makes what the schema says, and how much.
    pub(super) fn check_generator(&self) -> Result<(), PlanError> {
        let refuse = |value: String, allowed: &str| Err(PlanError::value("generator", value, allowed));
        let within = |value: u32, most: u32| (1..=most).contains(&value);
        match self.generator {
            Some(Generator::Activity(people::Generator { people, days }))
                if !(within(people, 100_000) && within(days, 10_000)) =>
            {
                refuse(format!("{people} people, {days} days"), "1 to 100000 people, 1 to 10000 days")
            }
            Some(Generator::Patients(Patients { patients, hours }))
                if !(within(patients, 100_000) && within(hours, 10_000)) =>
            {
                refuse(format!("{patients} patients, {hours} hours"), "1 to 100000 patients, 1 to 10000 hours")
            }
            Some(Generator::Glyphs { per_class, test_per_class })
                if !within(per_class, 1_000_000) || test_per_class > 1_000_000 =>
            {
                refuse(format!("{per_class} images of each class"), "1 to 1000000 images of each class")
            }
            Some(Generator::Glyphs { test_per_class, .. }) if (test_per_class > 0) != self.plan.split.held_out => {
                let held_out = self.plan.split.held_out;
                let allowed =
                    if held_out { "above 0 where split.held_out = true" } else { "0 where split.held_out = false" };
                Err(PlanError::value("generator.glyphs.test_per_class", test_per_class, allowed))
            }
            Some(Generator::Glyphs { .. }) if self.schema.image.is_none() => {
                refuse("glyphs".into(), "images in the schema")
            }
            Some(Generator::Patients(_)) if self.site.format != Format::Vitals => {
                refuse("patients".into(), "site.format = \"vitals\"")
            }
            Some(Generator::Activity(_)) if self.site.format != Format::Csv => {
                refuse("activity".into(), "site.format = \"csv\"")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Recipe;

    /// What a built-in recipe with these overrides is refused for.
    fn refused(text: &str, overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        let planned = Recipe::parse("it", text, &overrides).and_then(|recipe| recipe.plan("it"));
        planned.map(|_| String::new()).unwrap_or_else(|error| error.to_string())
    }

    const FITBIT: &str = include_str!("../../../../recipes/fitbit.toml");
    const NEWS: &str = include_str!("../../../../recipes/news.toml");

    #[test]
    fn a_day_may_be_absent_and_an_owner_where_rows_are_dealt_out() {
        assert_eq!(refused(FITBIT, &["site.date=\"\""]), "");
        assert_eq!(refused(FITBIT, &["site.client=\"\"", "site.partition={name=\"iid\",clients=3}"]), "");
        assert_eq!(refused(FITBIT, &["site.client=\"\"", "site.partition={name=\"grouped\",column=\"Day\"}"]), "");
        for partition in ["{name=\"natural\"}", "{name=\"grouped\",groups=3}"] {
            let error = refused(FITBIT, &["site.client=\"\"", &format!("site.partition={partition}")]);
            assert!(
                error.starts_with("it: site.client = \"\" is not allowed: the column that says whose row"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_only_a_table_has_is_refused_of_others() {
        let check = |overrides: &[&str], want: &str| {
            let error = refused(NEWS, overrides);
            assert!(error.starts_with(want), "{error}\ninstead of\n{want}");
        };
        check(&["schema.missing=mean"], "it: schema.missing = Mean is not allowed: for tables");
        check(&["site.missing=[\"NA\"]"], "it: site.missing = [\"NA\"] is not allowed: what stands in a table");
        check(
            &["site.partition={name=\"grouped\",column=\"stay_id\"}"],
            "it: site.partition.column = \"stay_id\" is not allowed: a column of a table",
        );
        check(&["schema.target.classes=[\"0\",\"1\"]"], "it: schema = 5 features and 2 classes is not allowed");
    }

    #[test]
    fn a_choice_is_neither_missing_nor_zero() {
        let sex = "schema.features=[{name=\"sex\",categories=[\"F\",\"M\"]}]";
        let error = refused(FITBIT, &[sex, "site.drop_if_zero=[\"sex\"]"]);
        assert!(error.starts_with("it: site.drop_if_zero = \"sex\" is not allowed: columns of numbers"), "{error}");
        let error = refused(FITBIT, &[sex, "site.drop_if_zero=[]", "site.missing=[\"F\"]"]);
        assert!(error.starts_with("it: site.missing = \"F\" and \"F\" in the schema contradict each other"), "{error}");
    }
}
