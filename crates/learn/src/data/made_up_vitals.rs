//! Made-up patients: charted vital signs with the columns of MIMIC-IV-ED's `vitalsign.csv`.
//!
//! Patients differ in what is usual for them, in how ill they are and in how long they stay; an illness comes and goes from
//! hour to hour. Shares of missing values and of severity classes are those of the open demo set. Nobody's data: drawn
//! from the seed.

use dure_core::random::{Purpose, RngExt, Stream, normal, stream};
use serde::{Deserialize, Serialize};

use super::date::Date;

/// How many patients, and how long they stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patients {
    /// Patients.
    pub patients: u32,
    /// Hours of a stay: as many stays are shorter as are longer. None is longer than 8,000.
    pub hours: u32,
}

const HEADER: &str = "subject_id,stay_id,charttime,temperature,heartrate,resprate,o2sat,sbp,dbp\n";

/// The longest stay, in times the usual one and in hours: less than a year, for each stay has its own.
const LONGEST: (f64, f64) = (15.0, 8000.0);

/// How often each is charted: temperature, heart rate, respiration rate, oxygen saturation and blood pressure.
const CHARTED: [f64; 5] = [0.265, 0.881, 0.881, 0.870, 0.845];

/// How often a temperature is written in °C. In MIMIC-IV-ED both are found, and the column is said to be in °F.
const IN_CELSIUS: f64 = 0.02;

/// How much of an illness is still there an hour later.
const LASTING: f64 = 0.95;

/// A CSV file of made-up patients, the same for the same seed.
pub fn generate(patients: Patients, seed: u64) -> String {
    let mut csv = String::from(HEADER);
    for i in 1..=patients.patients {
        let mut numbers = stream(seed, Purpose::Patients, &format!("made-up-{i}"), 0);
        let patient = Patient::draw(&mut numbers);
        let stays = 1 + u32::from(numbers.random::<f64>() < 0.3);
        for stay in 1..=stays {
            let hours = f64::from(patients.hours) * libm::exp(normal(&mut numbers, 0.0, 1.1)).min(LONGEST.0);
            let ids = format!("made-up-{i:05},made-up-{i:05}-{stay}");
            // A year for each stay: none begins before another ends.
            patient.stay(
                &ids,
                &format!("{}-04-01", 2100 + stay),
                hours.min(LONGEST.1).ceil() as u32,
                &mut numbers,
                &mut csv,
            );
        }
    }
    csv
}

/// Somebody: what is usual for him, and how ill he is on the whole.
struct Patient {
    temperature: f64,
    heart_rate: f64,
    respiration_rate: f64,
    spo2: f64,
    systolic_bp: f64,
    illness: f64,
}

impl Patient {
    fn draw(numbers: &mut Stream) -> Self {
        Self {
            temperature: normal(numbers, 36.75, 0.45),
            heart_rate: normal(numbers, 87.0, 11.0).clamp(55.0, 115.0),
            respiration_rate: normal(numbers, 20.4, 3.0).clamp(12.0, 30.0),
            spo2: normal(numbers, 97.0, 1.5).clamp(92.0, 99.5),
            systolic_bp: normal(numbers, 120.0, 16.0).clamp(85.0, 165.0),
            illness: normal(numbers, 0.1, 0.75),
        }
    }

    /// Adds the rows of a stay: one an hour, and sometimes one more.
    fn stay(&self, ids: &str, from: &str, hours: u32, numbers: &mut Stream, csv: &mut String) {
        let mut date = Date::parse(from).expect("a day");
        let mut illness = normal(numbers, self.illness, 1.0);
        let begin = numbers.random_range(0..24);
        for hour in begin..begin + hours {
            if hour > begin && hour % 24 == 0 {
                date = date.next();
            }
            let change = (1.0 - LASTING * LASTING).sqrt() * normal(numbers, 0.0, 1.0);
            illness = self.illness + LASTING * (illness - self.illness) + change;
            let between = numbers.random::<f64>() < 0.15;
            for minute in if between { &["00", "30"][..] } else { &["00"] } {
                csv.push_str(&format!("{ids},{date} {:02}:{minute}:00,{}\n", hour % 24, self.signs(illness, numbers)));
            }
        }
    }

    /// The vital signs at a time, as the file has them.
    fn signs(&self, illness: f64, numbers: &mut Stream) -> String {
        let worse = illness.max(0.0);
        let mut around = |usual: f64, spread: f64| normal(numbers, usual, spread);
        let celsius = around(self.temperature + 0.2 * illness, 0.45).clamp(33.0, 41.5);
        let heart_rate = around(self.heart_rate + 6.5 * illness, 7.0).clamp(30.0, 190.0);
        let respiration_rate = around(self.respiration_rate + 1.6 * illness, 3.8).clamp(4.0, 60.0);
        let spo2 = around(self.spo2 - 0.75 * worse, 1.7).clamp(70.0, 100.0);
        let systolic_bp = around(self.systolic_bp - 6.5 * illness, 13.0).clamp(50.0, 230.0);
        let diastolic_bp = around(systolic_bp * 0.5, 5.0).clamp(25.0, 150.0);
        let fahrenheit = celsius * 1.8 + 32.0;
        let temperature = if numbers.random::<f64>() < IN_CELSIUS { celsius } else { fahrenheit };
        let mut charted = CHARTED.map(|share| numbers.random::<f64>() < share).into_iter();
        let mut or_empty = |text: String, empty: &str| match charted.next() {
            Some(true) => text,
            _ => empty.into(),
        };
        [
            or_empty(format!("{temperature:.1}"), ""),
            or_empty(format!("{heart_rate:.0}"), ""),
            or_empty(format!("{respiration_rate:.0}"), ""),
            or_empty(format!("{spo2:.0}"), ""),
            or_empty(format!("{systolic_bp:.0},{diastolic_bp:.0}"), ","),
        ]
        .join(",")
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::{
        super::vitals::{Hourly, parse},
        *,
    };

    const SOME: Patients = Patients { patients: 400, hours: 60 };

    fn read(csv: &str) -> Hourly {
        parse(Path::new("generated"), csv.as_bytes(), &BTreeMap::new()).unwrap()
    }

    #[test]
    fn made_up_patients_are_as_ill_as_those_of_the_demo_and_differ() {
        for seed in [1, 2] {
            let hourly = read(&generate(SOME, seed));
            assert_eq!(hourly.dropped.implausible, [0; 5]);
            let mut by_subject = BTreeMap::<&str, Vec<u16>>::new();
            hourly.rows.iter().for_each(|row| by_subject.entry(&row.subject).or_default().push(row.band));
            let share = |rows: &[u16], band| rows.iter().filter(|b| **b == band).count() as f64 / rows.len() as f64;
            let all: Vec<u16> = hourly.rows.iter().map(|row| row.band).collect();
            let shares = [0, 1, 2, 3].map(|band| share(&all, band));
            for (share, (least, most)) in shares.iter().zip([(0.08, 0.14), (0.60, 0.68), (0.15, 0.21), (0.04, 0.10)]) {
                assert!((least..=most).contains(share), "{shares:?}");
            }
            let severe: Vec<f64> = by_subject.values().map(|rows| share(rows, 2) + share(rows, 3)).collect();
            let with = |wanted: fn(&f64) -> bool| severe.iter().filter(|share| wanted(share)).count();
            assert!(with(|share| *share < 0.05) > 60 && with(|share| *share > 0.5) > 40, "patients differ");
        }
    }

    #[test]
    fn as_much_is_missing_as_in_the_demo() {
        let csv = generate(SOME, 1);
        let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
        for (i, want) in [0.265, 0.881, 0.881, 0.870, 0.845, 0.845].into_iter().enumerate() {
            let filled = rows.iter().filter(|row| !row[3 + i].is_empty()).count() as f64 / rows.len() as f64;
            assert!((filled - want).abs() < 0.01, "{i}: {filled}");
        }
        let hourly = read(&csv);
        assert_eq!(hourly.rows.len() + hourly.dropped.incomplete + hourly.dropped.replaced, rows.len());
        assert!(hourly.rows.len() * 10 > rows.len() * 7, "{} of {}", hourly.rows.len(), rows.len());
    }

    #[test]
    fn the_same_seed_makes_the_same_patients() {
        let few = Patients { patients: 3, hours: 5 };
        assert_eq!(generate(few, 7), generate(few, 7));
        assert_ne!(generate(few, 7), generate(few, 8));
        let more = generate(Patients { patients: 4, ..few }, 7);
        assert!(more.starts_with(&generate(few, 7)), "another patient changes nobody");
        let endless = generate(Patients { patients: 1, hours: u32::MAX }, 7);
        assert!((8000..25_000).contains(&endless.lines().count()));
    }
}
