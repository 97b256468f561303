//! Made-up people: a month of daily activity each, with the columns of a wearable's export and plausible physiology.
//!
//! Basal metabolism by Mifflin and St Jeor 1990 <https://doi.org/10.1093/ajcn/51.2.241>, energy of activity by metabolic
//! equivalents (light 2.3, moderate 3.8, vigorous 6.5 METs), stride by height. Nobody's data: drawn from the seed.

use dure_core::random::{Purpose, RngExt, Stream, normal, stream};
use serde::{Deserialize, Serialize};

use super::date::Date;

/// How many people, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// People.
    pub people: u32,
    /// Days of each.
    pub days: u32,
}

const HEADER: &str = "Id,ActivityDate,TotalSteps,TotalDistance,TrackerDistance,LoggedActivitiesDistance,\
VeryActiveDistance,ModeratelyActiveDistance,LightActiveDistance,SedentaryActiveDistance,VeryActiveMinutes,\
FairlyActiveMinutes,LightlyActiveMinutes,SedentaryMinutes,Calories\n";

/// A CSV file of made-up people, the same for the same seed.
pub fn generate(generator: Generator, seed: u64) -> String {
    let mut csv = String::from(HEADER);
    for i in 1..=generator.people {
        let mut numbers = stream(seed, Purpose::People, &format!("made-up-{i}"), 0);
        let person = Person::draw(&mut numbers);
        let mut date = Date::parse("2024-04-01").expect("a day");
        for _ in 0..generator.days {
            csv.push_str(&person.day(&format!("made-up-{i:05}"), date, &mut numbers));
            date = date.next();
        }
    }
    csv
}

/// Somebody: a body and habits.
struct Person {
    basal_kcal: f64,
    weight_kg: f64,
    stride_m: f64,
    habit_light_min: f64,
    habit_moderate_min: f64,
    habit_very_min: f64,
    forgetful: f64,
}

impl Person {
    fn draw(numbers: &mut Stream) -> Self {
        let man = numbers.random::<f64>() < 0.5;
        let (height, spread) = if man { (176.0, 7.0) } else { (163.0, 6.5) };
        let height_cm = normal(numbers, height, spread).clamp(145.0, 205.0);
        let weight_kg = (normal(numbers, 25.0, 3.5).clamp(18.0, 40.0)) * (height_cm / 100.0).powi(2);
        let age = 20.0 + 50.0 * numbers.random::<f64>();
        let basal_kcal = 10.0 * weight_kg + 6.25 * height_cm - 5.0 * age + if man { 5.0 } else { -161.0 };
        Self {
            basal_kcal,
            weight_kg,
            stride_m: height_cm * 0.00414,
            habit_light_min: normal(numbers, 195.0, 55.0).clamp(40.0, 350.0),
            habit_moderate_min: libm::exp(normal(numbers, 2.3, 0.7)),
            habit_very_min: libm::exp(normal(numbers, 2.3, 1.0)),
            forgetful: numbers.random::<f64>() * 0.01,
        }
    }

    /// A line of the file.
    fn day(&self, id: &str, date: Date, numbers: &mut Stream) -> String {
        if numbers.random::<f64>() < self.forgetful {
            return format!("{id},{date},0,0,0,0,0,0,0,0,0,0,0,1440,0\n");
        }
        let mut minutes =
            |habit: f64, spread: f64, most: f64| (habit * libm::exp(normal(numbers, 0.0, spread))).min(most).round();
        let light = minutes(self.habit_light_min, 0.3, 500.0);
        let moderate = minutes(self.habit_moderate_min, 0.8, 140.0);
        let very = minutes(self.habit_very_min, 0.9, 200.0);
        // Steps a minute while active, by how hard it is.
        let steps =
            [light * 22.0, moderate * 85.0, very * 105.0].map(|steps| steps * normal(numbers, 1.0, 0.08).max(0.5));
        let km = steps.map(|steps| steps * self.stride_m / 1000.0);
        let asleep = normal(numbers, 430.0, 60.0).clamp(200.0, 650.0);
        let sedentary = (1440.0 - light - moderate - very - asleep).max(0.0).round();
        let effort_min = light * (2.3 - 1.0) + moderate * (3.8 - 1.0) + very * (6.5 - 1.0);
        let kcal = self.basal_kcal * 1.1 + effort_min / 60.0 * self.weight_kg + normal(numbers, 0.0, 60.0);
        let total: f64 = km.iter().sum();
        format!(
            "{id},{date},{:.0},{total:.2},{total:.2},0,{:.2},{:.2},{:.2},0,{very},{moderate},{light},{sedentary},{:.0}\n",
            steps.iter().sum::<f64>(),
            km[2],
            km[1],
            km[0],
            kcal.max(800.0),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(csv: &str, name: &str) -> Vec<f64> {
        let at = HEADER.trim().split(',').position(|column| column == name).unwrap();
        csv.lines().skip(1).map(|line| line.split(',').nth(at).unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn made_up_people_are_plausible() {
        let csv = generate(Generator { people: 60, days: 31 }, 1);
        let kcal = column(&csv, "Calories");
        let mean = kcal.iter().sum::<f64>() / kcal.len() as f64;
        assert!((1900.0..2800.0).contains(&mean), "{mean}");
        assert!(kcal.iter().all(|kcal| *kcal == 0.0 || (800.0..7000.0).contains(kcal)));
        let steps = column(&csv, "TotalSteps");
        let mean = steps.iter().sum::<f64>() / steps.len() as f64;
        assert!((5000.0..11000.0).contains(&mean), "{mean}");
        let minutes = ["VeryActiveMinutes", "FairlyActiveMinutes", "LightlyActiveMinutes", "SedentaryMinutes"];
        let minutes = minutes.map(|name| column(&csv, name));
        assert!((0..steps.len()).all(|i| minutes.iter().map(|column| column[i]).sum::<f64>() <= 1440.0));
    }

    #[test]
    fn the_same_seed_makes_the_same_people() {
        let some = Generator { people: 3, days: 4 };
        assert_eq!(generate(some, 7), generate(some, 7));
        assert_ne!(generate(some, 7), generate(some, 8));
        let more = generate(Generator { people: 4, ..some }, 7);
        assert!(more.starts_with(&generate(some, 7)), "another person changes nobody");
    }
}
