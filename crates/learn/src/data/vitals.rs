//! Vital signs as charted in MIMIC-IV-ED's `vitalsign.csv`, made into a complete row an hour with its early warning score.
//!
//! Columns: `subject_id`, `stay_id`, `charttime`, `temperature`, `heartrate`, `resprate`, `o2sat`, `sbp`; others, such as `dbp`,
//! `rhythm` and `pain`, are not looked at. Johnson et al. 2023, <https://doi.org/10.13026/5ntk-km72>.

use std::{collections::BTreeMap, path::Path};

use dure_core::excerpt::{NAME, excerpt};

use super::{
    date::Date,
    gzip,
    news::{BANDS, Vitals, band_by_total},
    table::{DataError, Lines, MAX_BYTES, Row, Table, broken, position},
};
use crate::schema::{Column, Schema};

/// The columns of vital signs, in the order of [`HourlyRow::values`].
pub const COLUMNS: [&str; 5] = ["temperature", "heartrate", "resprate", "o2sat", "sbp"];

/// For how many charted rows of a stay a vital sign holds where it is not measured again.
pub const CARRIED_ROWS: usize = 12;

/// Rows that are complete, the last of each hour of each stay.
#[derive(Clone, Debug, PartialEq)]
pub struct Hourly {
    /// By subject, stay and time; subjects and stays in the order of their texts.
    pub rows: Vec<HourlyRow>,
    /// What was dropped.
    pub dropped: Dropped,
}

/// A stay's vital signs at the end of an hour.
#[derive(Clone, Debug, PartialEq)]
pub struct HourlyRow {
    /// The line of the charted row, counted from 1.
    pub line: u64,
    /// Whose it is.
    pub subject: String,
    /// The stay.
    pub stay: String,
    /// When the hour's last row was charted, as the file has it.
    pub charttime: String,
    /// The temperature in °C, heart and respiration rate a minute, oxygen saturation in percent and systolic blood
    /// pressure in mmHg: the columns of [`COLUMNS`].
    pub values: [f64; 5],
    /// The points of the five together, without those of oxygen and consciousness, which are not charted: 0 to 15.
    pub news5: u8,
    /// The class of that total, by [`band_by_total`].
    pub band: u16,
}

/// How much was dropped, and why. The rows of a file are the hourly rows, those that were incomplete and those that others
/// of their hour replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Values that nobody has, by the columns of [`COLUMNS`]: as if not measured.
    pub implausible: [usize; 5],
    /// Rows without all five, also counting those carried forward.
    pub incomplete: usize,
    /// Complete rows that a later one of their hour replaced.
    pub replaced: usize,
}

/// The least and the most that somebody can have, by the columns of [`COLUMNS`]. The ends are wide: they are to find slips
/// of the pen and lost decimal points, not patients who are very ill.
const PLAUSIBLE: [(f64, f64); 5] = [(25.0, 45.0), (1.0, 300.0), (1.0, 100.0), (10.0, 100.0), (10.0, 350.0)];

/// Above it a temperature is in °F: nobody has 60 °C or 60 °F.
const FAHRENHEIT_ABOVE: f64 = 60.0;

/// Reads the file, packed with gzip or not. `own` has the site's name of a column where it differs.
pub fn read(file: &Path, own: &BTreeMap<String, String>) -> Result<Hourly, DataError> {
    let bytes = gzip::read_bounded(file, MAX_BYTES).map_err(|why| DataError::Unreadable { file: file.into(), why })?;
    parse(file, &bytes, own)
}

/// Reads a file that is `bytes`, unpacked.
pub fn parse(file: &Path, bytes: &[u8], own: &BTreeMap<String, String>) -> Result<Hourly, DataError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let mut lines = Lines::new(bytes);
    let header = reader.headers().map_err(|error| broken(file, &error, &mut lines))?.clone();
    if header.iter().all(str::is_empty) {
        return Err(DataError::Empty { file: file.into() });
    }
    let columns = Columns::find(file, &header, own)?;
    let (mut stays, mut dropped) = (BTreeMap::<(String, String), Vec<Charted>>::new(), Dropped::default());
    for record in reader.records() {
        let record = record.map_err(|error| broken(file, &error, &mut lines))?;
        let (stay, charted) = columns.row(file, &record, lines.of(record.position()), &mut dropped)?;
        stays.entry(stay).or_default().push(charted);
    }
    if stays.is_empty() {
        return Err(DataError::Empty { file: file.into() });
    }
    let mut rows = Vec::new();
    for ((subject, stay), charted) in stays {
        rows.extend(hours(&subject, &stay, charted, &mut dropped));
    }
    Ok(Hourly { rows, dropped })
}

/// Whether a schema is of what [`Hourly`] has: five numbers and four classes.
pub fn are_meant(schema: &Schema) -> bool {
    let numbers = schema.features.len() == COLUMNS.len() && schema.features.iter().all(Column::is_number);
    numbers && schema.target.classes.len() == BANDS
}

impl From<Hourly> for Table {
    fn from(Hourly { rows, dropped }: Hourly) -> Self {
        let row = |row: HourlyRow| Row {
            line: row.line,
            id: row.subject,
            features: row.values.to_vec(),
            target: Some(f64::from(row.band)),
            ..Row::default()
        };
        Self { rows: rows.into_iter().map(row).collect(), dropped: dropped.incomplete, remarks: dropped.remarks() }
    }
}

impl Dropped {
    /// What was left out, and why: a line each.
    fn remarks(&self) -> Vec<String> {
        let implausible = COLUMNS.iter().zip(self.implausible);
        let mut all: Vec<(usize, String)> = implausible
            .map(|(column, n)| (n, format!("{n} values of {column} that nobody has, taken as not measured")))
            .collect();
        all.push((
            self.incomplete,
            format!("{} rows left out: not all of {} known", self.incomplete, COLUMNS.join(", ")),
        ));
        all.push((self.replaced, format!("{} rows replaced by a later one of their hour", self.replaced)));
        all.into_iter().filter(|(n, _)| *n > 0).map(|(_, remark)| remark).collect()
    }
}

/// A row of the file.
struct Charted {
    line: u64,
    time: Time,
    charttime: String,
    values: [Option<f64>; 5],
}

/// When a row was charted: its hour, and seconds into it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Time {
    hour: (Date, u8),
    seconds: u16,
}

impl Time {
    /// Reads `2180-05-06 22:40:00`, also with a `T` and without seconds; `None` for anything else.
    fn parse(text: &str) -> Option<Self> {
        let (date, clock) = text.split_once([' ', 'T'])?;
        let mut parts = clock.split(':').map(|part| match part.as_bytes() {
            [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some((a - b'0') * 10 + (b - b'0')),
            _ => None,
        });
        let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
        let is_possible = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
        let seconds = u16::from(minute) * 60 + u16::from(second);
        is_possible.then_some(Self { hour: (Date::parse(date)?, hour), seconds })
    }
}

/// Where a file has its columns.
struct Columns<'a> {
    header: &'a csv::StringRecord,
    subject: usize,
    stay: usize,
    charttime: usize,
    vitals: [usize; 5],
}

impl<'a> Columns<'a> {
    fn find(file: &Path, header: &'a csv::StringRecord, own: &BTreeMap<String, String>) -> Result<Self, DataError> {
        let find = |name: &str| position(file, header, own.get(name).cloned().unwrap_or_else(|| name.to_owned()), None);
        let mut vitals = [0; 5];
        for (at, name) in vitals.iter_mut().zip(COLUMNS) {
            *at = find(name)?;
        }
        Ok(Self { header, subject: find("subject_id")?, stay: find("stay_id")?, charttime: find("charttime")?, vitals })
    }

    /// A row and the subject and the stay that it is of.
    fn row(
        &self,
        file: &Path,
        record: &csv::StringRecord,
        line: u64,
        dropped: &mut Dropped,
    ) -> Result<((String, String), Charted), DataError> {
        let bad = |column: usize, want: &str| DataError::Value {
            file: file.into(),
            line,
            column: self.header[column].into(),
            value: excerpt(&record[column], NAME),
            want: String::from(want),
        };
        for column in [self.subject, self.stay] {
            if record[column].is_empty() {
                return Err(bad(column, "the number of a subject or a stay"));
            }
        }
        let charttime = &record[self.charttime];
        let time = Time::parse(charttime).ok_or_else(|| bad(self.charttime, "a time like 2180-05-06 22:40:00"))?;
        let mut values = [None; 5];
        for (i, column) in self.vitals.into_iter().enumerate().filter(|(_, column)| !record[*column].is_empty()) {
            let number = record[column].parse().ok().filter(|number: &f64| number.is_finite());
            let number = number.ok_or_else(|| bad(column, "a number, or empty where nothing was measured"))?;
            values[i] = plausible(i, number);
            dropped.implausible[i] += usize::from(values[i].is_none());
        }
        let stay = (record[self.subject].to_owned(), record[self.stay].to_owned());
        Ok((stay, Charted { line, time, charttime: charttime.into(), values }))
    }
}

/// The value of the column `i` of [`COLUMNS`], in its unit; none if nobody has it.
fn plausible(i: usize, number: f64) -> Option<f64> {
    let value = if i == 0 && number > FAHRENHEIT_ABOVE { celsius(number) } else { number };
    let (least, most) = PLAUSIBLE[i];
    (least..=most).contains(&value).then_some(value)
}

/// °F in °C, to hundredths: 102.2 °F is 39 °C, and the score knows a difference between that and the least bit more.
fn celsius(fahrenheit: f64) -> f64 {
    ((fahrenheit - 32.0) * 500.0 / 9.0).round() / 100.0
}

/// The hourly rows of a stay. Rows of the same time stay in the order of the file.
fn hours(subject: &str, stay: &str, mut charted: Vec<Charted>, dropped: &mut Dropped) -> Vec<HourlyRow> {
    charted.sort_by_key(|row| row.time);
    let mut rows: Vec<((Date, u8), HourlyRow)> = Vec::new();
    let mut last = [None; 5];
    for (i, charted) in charted.into_iter().enumerate() {
        let mut values = [0.0; 5];
        let mut complete = true;
        for ((last, value), measured) in last.iter_mut().zip(&mut values).zip(charted.values) {
            *last = measured.map(|value| (i, value)).or(*last).filter(|(since, _)| i - since <= CARRIED_ROWS);
            match *last {
                Some((_, known)) => *value = known,
                None => complete = false,
            }
        }
        if !complete {
            dropped.incomplete += 1;
            continue;
        }
        if rows.pop_if(|(hour, _)| *hour == charted.time.hour).is_some() {
            dropped.replaced += 1;
        }
        let (subject, stay, charttime, line) = (subject.into(), stay.into(), charted.charttime, charted.line);
        let news5 = vitals(values).points().total();
        let row = HourlyRow { line, subject, stay, charttime, values, news5, band: band_by_total(news5) };
        rows.push((charted.time.hour, row));
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

/// The columns of [`COLUMNS`] as vital signs.
pub fn vitals([temperature, heart_rate, respiration_rate, spo2, systolic_bp]: [f64; 5]) -> Vitals {
    Vitals {
        respiration_rate: Some(respiration_rate),
        spo2: Some(spo2),
        temperature: Some(temperature),
        systolic_bp: Some(systolic_bp),
        heart_rate: Some(heart_rate),
        ..Vitals::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "subject_id,stay_id,charttime,temperature,heartrate,resprate,o2sat,sbp,dbp,rhythm,pain\n";

    const WELL: &str = "7,70,2180-05-06 22:10:00,98.6,70,16,98,120,80,Sinus,0\n";

    fn read(rows: &str) -> Result<Hourly, String> {
        parse(Path::new("vitals.csv"), format!("{HEADER}{rows}").as_bytes(), &BTreeMap::new())
            .map_err(|e| e.to_string())
    }

    fn times(hourly: &Hourly) -> Vec<&str> {
        hourly.rows.iter().map(|row| row.charttime.as_str()).collect()
    }

    #[test]
    fn a_temperature_is_recognised_by_its_size() {
        for (text, want) in
            [("98.6", 37.0), ("37", 37.0), ("102.2", 39.0), ("100.4", 38.0), ("95", 35.0), ("96.8", 36.0)]
        {
            let row = &read(&WELL.replace("98.6", text)).unwrap().rows[0];
            assert_eq!(row.values, [want, 70.0, 16.0, 98.0, 120.0], "{text}");
        }
        let scores: Vec<u8> =
            ["98.6", "38.1", "102.3", "35"].map(|t| read(&WELL.replace("98.6", t)).unwrap().rows[0].news5).into();
        assert_eq!(scores, [0, 1, 2, 3]);
    }

    #[test]
    fn what_nobody_has_is_dropped_and_counted_by_column() {
        let ill = "7,70,2180-05-06 22:10:00,9.6,700,0,101,2000,80,,\n";
        let hourly = read(&format!("{WELL}{}", ill.replace("22:10", "23:10"))).unwrap();
        assert_eq!(hourly.dropped, Dropped { implausible: [1; 5], ..Dropped::default() });
        assert_eq!(hourly.rows[1].values, hourly.rows[0].values, "carried forward instead");
        for (i, ends) in PLAUSIBLE.iter().enumerate() {
            assert_eq!((plausible(i, ends.0), plausible(i, ends.1)), (Some(ends.0), Some(ends.1)));
            assert_eq!((plausible(i, ends.0 - 0.1), plausible(i, -1e300)), (None, None));
            assert_eq!(plausible(i, 1e300), None);
        }
    }

    #[test]
    fn a_vital_sign_holds_for_twelve_charted_rows_of_its_stay() {
        let row = |stay: u32, hour: usize| format!("7,{stay},2180-05-06 {hour:02}:00:00,,70,16,98,120,80,,\n");
        let first = WELL.replace("22:10", "00:00");
        let later: String = (1..20).map(|hour| row(70, hour)).collect();
        let hourly = read(&format!("{first}{later}{}", row(71, 1))).unwrap();
        assert_eq!((hourly.rows.len(), hourly.dropped.incomplete), (13, 8));
        assert_eq!(times(&hourly)[12], "2180-05-06 12:00:00");
    }

    #[test]
    fn the_last_complete_row_of_an_hour_is_kept_whatever_the_order_of_the_file() {
        let rows = [
            "7,70,2180-05-06 22:59:59,,75,16,98,120,80,,\n",
            WELL,
            "7,70,2180-05-06T23:00,,76,16,98,120,80,,\n",
            "7,70,2180-05-07 22:30:00,,77,16,98,120,80,,\n",
            "10,8,2180-05-06 22:30:00,98.6,77,16,98,120,80,,\n",
            "10,8,2180-05-06 21:30:00,98.6,77,16,98,,80,,\n",
        ];
        let hourly = read(&rows.concat()).unwrap();
        assert_eq!(
            times(&hourly),
            ["2180-05-06 22:30:00", "2180-05-06 22:59:59", "2180-05-06T23:00", "2180-05-07 22:30:00"]
        );
        assert_eq!(hourly.dropped, Dropped { incomplete: 1, replaced: 1, ..Dropped::default() });
        let row = &hourly.rows[1];
        assert_eq!((row.subject.as_str(), row.stay.as_str(), row.line, row.values[1]), ("7", "70", 2, 75.0));
    }

    #[test]
    fn the_label_is_the_band_of_the_five_together() {
        let row = &read(&WELL.replace(",98.6,70,16,98,120,", ",103,125,25,90,95,")).unwrap().rows[0];
        assert_eq!((row.news5, row.band), (2 + 2 + 3 + 3 + 2, 3));
        assert_eq!(row.news5, vitals(row.values).points().total());
        assert_eq!(vitals(row.values).points().missing(), 2);
    }

    #[test]
    fn bad_input_is_named_by_file_line_and_column() {
        let check = |rows: &str, want: &str| {
            let error = read(rows).unwrap_err();
            assert!(error.starts_with(want), "{error}\ninstead of\n{want}");
        };
        let second = |from: &str, to: &str| format!("{WELL}{}", WELL.replacen(from, to, 1));
        let number = "which is not a number, or empty where nothing was measured";
        check("", "vitals.csv: has no rows");
        check(&second("98.6", "NaN"), &format!("vitals.csv:3: column \"temperature\" holds \"NaN\", {number}"));
        check(&second(",16,", ",inf,"), &format!("vitals.csv:3: column \"resprate\" holds \"inf\", {number}"));
        check(&second(",98,", ",98%,"), &format!("vitals.csv:3: column \"o2sat\" holds \"98%\", {number}"));
        check(&second("7,", ","), "vitals.csv:3: column \"subject_id\" holds \"\", which is not the number");
        check(&second("70,", ","), "vitals.csv:3: column \"stay_id\" holds \"\"");
        check(&second(",80,Sinus", ""), "vitals.csv:3: the row has 9 columns where the first line names 11");
        for time in [
            "",
            "22:10:00",
            "2180-05-06",
            "2180-05-06 24:00:00",
            "2180-05-06 2:10:00",
            "2180-02-30 22:10:00",
            "2180-05-06 22:10:00:00",
        ] {
            check(
                &second("2180-05-06 22:10:00", time),
                &format!("vitals.csv:3: column \"charttime\" holds {time:?}, which is not a time"),
            );
        }
    }

    #[test]
    fn columns_are_found_by_name_or_by_the_sites_own_name() {
        let csv = format!("{HEADER}{WELL}").replace("o2sat", "O2Sat");
        let file = Path::new("vitals.csv");
        let error = parse(file, csv.as_bytes(), &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.starts_with("vitals.csv:1: has no column \"o2sat\"; if \"O2Sat\" is meant, say so"), "{error}");
        let own = BTreeMap::from([("o2sat".to_owned(), "O2Sat".to_owned())]);
        assert_eq!(parse(file, csv.as_bytes(), &own).unwrap().rows.len(), 1);
        let error = parse(file, csv.replace("sbp", "systolic").as_bytes(), &own).unwrap_err().to_string();
        assert_eq!(error, "vitals.csv:1: has no column \"sbp\"");
        let error = parse(file, csv.replace("dbp", "sbp").as_bytes(), &own).unwrap_err().to_string();
        assert_eq!(error, "vitals.csv:1: has two columns \"sbp\"; rename one");
        assert!(matches!(parse(file, b"", &own), Err(DataError::Empty { .. })));
    }

    /// Rows in the shape of MIMIC-IV-ED's own file, made up: gaps, temperatures in both units, what nobody has, pain in words.
    const OF_THE_SOURCE: &str = "subject_id,stay_id,charttime,temperature,heartrate,resprate,o2sat,sbp,dbp,rhythm,pain\n\
        10000032,33258284,2180-05-07 00:44:00,98.4,70.0,16.0,97.0,106.0,63.0,,0\n\
        10000032,33258284,2180-05-07 04:30:00,,71.0,18.0,,112.0,,Sinus Rhythm,\"unable, asleep\"\n\
        10000032,38112554,2180-06-26 15:54:00,97.9,,16.0,97.0,93.0,56.0,,10\n\
        10000032,38112554,2180-06-26 16:20:00,986.0,79.0,16.0,979.0,94.0,65.0,Normal Sinus Rhythm,7/10\n\
        10000032,38112554,2180-06-26 17:31:00,36.6,86.0,17.0,93.0,96.0,57.0,,13\n\
        10000048,31176891,2131-01-04 09:12:00,,,,,,,,\n";

    #[test]
    fn the_sources_own_file_is_read_with_its_columns_in_any_order() {
        let read = |text: &str| parse(Path::new("vitalsign.csv"), text.as_bytes(), &BTreeMap::new()).unwrap();
        let hourly = read(OF_THE_SOURCE);
        assert_eq!(
            hourly.rows.iter().map(|row| (row.charttime.as_str(), row.values)).collect::<Vec<_>>(),
            [
                ("2180-05-07 00:44:00", [36.89, 70.0, 16.0, 97.0, 106.0]),
                ("2180-05-07 04:30:00", [36.89, 71.0, 18.0, 97.0, 112.0]),
                ("2180-06-26 16:20:00", [36.61, 79.0, 16.0, 97.0, 94.0]),
                ("2180-06-26 17:31:00", [36.6, 86.0, 17.0, 93.0, 96.0]),
            ]
        );
        assert_eq!(hourly.dropped, Dropped { implausible: [1, 0, 0, 1, 0], incomplete: 2, replaced: 0 });
        let mut turned = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(vec![]);
        for record in csv::ReaderBuilder::new().has_headers(false).from_reader(OF_THE_SOURCE.as_bytes()).records() {
            let record = record.unwrap();
            turned.write_record(record.iter().rev().chain(["more"])).unwrap();
        }
        let turned = String::from_utf8(turned.into_inner().unwrap()).unwrap();
        assert_eq!(read(&turned), hourly);
    }

    #[test]
    fn the_news_recipe_reads_it_packed_or_not_and_says_what_it_left_out() {
        let recipe = include_str!("../../../../recipes/news-all.toml");
        let all = ["site.partition={name=\"natural\"}".to_owned()];
        let recipe = crate::recipe::Recipe::parse("news-all", recipe, &all).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("vitalsign.csv", OF_THE_SOURCE.as_bytes().to_vec()),
            ("vitalsign.csv.gz", gzip::pack(OF_THE_SOURCE.as_bytes())),
        ] {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            let data = crate::data::load(folder.path(), &recipe.schema, &recipe.site).unwrap();
            std::fs::remove_file(folder.path().join(name)).unwrap();
            assert_eq!((data.clients.len(), data.rows(), data.dropped), (1, 4, 2), "{name}");
            assert_eq!(
                data.remarks,
                [
                    "1 values of temperature that nobody has, taken as not measured",
                    "1 values of o2sat that nobody has, taken as not measured",
                    "2 rows left out: not all of temperature, heartrate, resprate, o2sat, sbp known",
                ]
            );
        }
    }

    #[test]
    fn a_packed_file_that_ends_early_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vitals.csv.gz");
        let packed = gzip::pack(format!("{HEADER}{WELL}").as_bytes());
        std::fs::write(&file, &packed).unwrap();
        assert_eq!(super::read(&file, &BTreeMap::new()).unwrap().rows.len(), 1);
        std::fs::write(&file, &packed[..packed.len() / 2]).unwrap();
        let error = super::read(&file, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains("vitals.csv.gz: cannot be read: the gzip data end early, "), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_rows_or_an_error(
            rows in "([-0-9a-z.,:\"]{0,30}\n){0,4}", signs in "[0-9.eE+-]{0,8}(,[0-9.eE+-]{0,8}){5}", bytes: Vec<u8>,
        ) {
            let row = format!("7,70,2180-05-06 22:10:00,{signs},,\n");
            for text in [rows.clone(), format!("{row}{rows}"), format!("{WELL}{row}")] {
                if let Ok(hourly) = read(&text) {
                    prop_assert!(hourly.rows.iter().flat_map(|row| row.values).all(f64::is_finite));
                    prop_assert!(hourly.rows.iter().all(|row| row.news5 <= 15));
                }
            }
            let _ = parse(Path::new("vitals.csv"), &bytes, &BTreeMap::new());
        }
    }
}
