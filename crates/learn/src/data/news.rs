//! The National Early Warning Score: how ill a patient's vital signs say that he is.
//!
//! Royal College of Physicians, "National Early Warning Score (NEWS): standardising the assessment of acute-illness
//! severity in the NHS", London 2012. This is the first version, not NEWS2 of 2017, which scores SpO2 on two scales and
//! new confusion. Not for diagnosis: the score is here as a label to learn.

/// How a patient responds: the AVPU scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consciousness {
    /// Alert.
    Alert,
    /// To a voice.
    Voice,
    /// To pain.
    Pain,
    /// Not at all.
    Unresponsive,
}

/// A patient's vital signs at a time; what was not measured is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vitals {
    /// Breaths a minute.
    pub respiration_rate: Option<f64>,
    /// Oxygen saturation, in percent.
    pub spo2: Option<f64>,
    /// Whether oxygen is given.
    pub supplemental_oxygen: Option<bool>,
    /// In °C.
    pub temperature: Option<f64>,
    /// Systolic blood pressure, in mmHg.
    pub systolic_bp: Option<f64>,
    /// Beats a minute.
    pub heart_rate: Option<f64>,
    /// The response.
    pub consciousness: Option<Consciousness>,
}

/// The points of each vital sign, 0 to 3; absent where it was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Points {
    /// Of the respiration rate.
    pub respiration_rate: Option<u8>,
    /// Of the oxygen saturation.
    pub spo2: Option<u8>,
    /// Of the oxygen that is given.
    pub supplemental_oxygen: Option<u8>,
    /// Of the temperature.
    pub temperature: Option<u8>,
    /// Of the systolic blood pressure.
    pub systolic_bp: Option<u8>,
    /// Of the heart rate.
    pub heart_rate: Option<u8>,
    /// Of the response.
    pub consciousness: Option<u8>,
}

/// What the College says is to be done, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Response {
    /// Total 0: measure again within 12 hours.
    Routine,
    /// Total 1 to 4: measure every 4 to 6 hours, a nurse decides.
    Assess,
    /// Total below 5, but 3 points for one vital sign: measure every hour, a clinician reviews.
    Review,
    /// Total 5 or 6: measure every hour, an urgent review.
    Urgent,
    /// Total 7 or more: watch continuously, an emergency team.
    Emergency,
}

/// The clinical risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// Total 0 to 4.
    Low,
    /// Total 5 or 6, or 3 points for one vital sign.
    Medium,
    /// Total 7 or more.
    High,
}

/// Upper ends, each with the points of what is at most that and more than the one before. The College's table has whole
/// numbers and tenths of a degree; what is between two of them counts as the higher: a rate of 20.5 as 21.
type Bands = [(f64, u8)];

const RESPIRATION_RATE: &Bands = &[(8.0, 3), (11.0, 1), (20.0, 0), (24.0, 2), (f64::INFINITY, 3)];
const SPO2: &Bands = &[(91.0, 3), (93.0, 2), (95.0, 1), (f64::INFINITY, 0)];
const TEMPERATURE: &Bands = &[(35.0, 3), (36.0, 1), (38.0, 0), (39.0, 1), (f64::INFINITY, 2)];
const SYSTOLIC_BP: &Bands = &[(90.0, 3), (100.0, 2), (110.0, 1), (219.0, 0), (f64::INFINITY, 3)];
const HEART_RATE: &Bands = &[(40.0, 3), (50.0, 1), (90.0, 0), (110.0, 1), (130.0, 2), (f64::INFINITY, 3)];

/// The points of `value`; none if there is no number.
fn points(bands: &Bands, value: Option<f64>) -> Option<u8> {
    let value = value.filter(|value| !value.is_nan())?;
    bands.iter().find(|(most, _)| value <= *most).map(|(_, points)| *points)
}

impl Vitals {
    /// The points of each vital sign. One that is NaN counts as not measured.
    pub fn points(&self) -> Points {
        Points {
            respiration_rate: points(RESPIRATION_RATE, self.respiration_rate),
            spo2: points(SPO2, self.spo2),
            supplemental_oxygen: self.supplemental_oxygen.map(|given| if given { 2 } else { 0 }),
            temperature: points(TEMPERATURE, self.temperature),
            systolic_bp: points(SYSTOLIC_BP, self.systolic_bp),
            heart_rate: points(HEART_RATE, self.heart_rate),
            consciousness: self.consciousness.map(|response| if response == Consciousness::Alert { 0 } else { 3 }),
        }
    }
}

impl Points {
    /// All seven.
    pub fn all(&self) -> [Option<u8>; 7] {
        [
            self.respiration_rate,
            self.spo2,
            self.supplemental_oxygen,
            self.temperature,
            self.systolic_bp,
            self.heart_rate,
            self.consciousness,
        ]
    }

    /// Their sum, 0 to 20; what was not measured adds nothing, so the sum is at least this.
    pub fn total(&self) -> u8 {
        self.all().into_iter().flatten().sum()
    }

    /// How many were not measured.
    pub fn missing(&self) -> usize {
        self.all().into_iter().filter(Option::is_none).count()
    }

    /// Whether one vital sign alone has 3 points, the College's red score.
    pub fn single_three(&self) -> bool {
        self.all().contains(&Some(3))
    }

    /// What is to be done by what was measured.
    pub fn response(&self) -> Response {
        match self.total() {
            7.. => Response::Emergency,
            5..=6 => Response::Urgent,
            _ if self.single_three() => Response::Review,
            1..=4 => Response::Assess,
            0 => Response::Routine,
        }
    }

    /// The clinical risk by what was measured.
    pub fn risk(&self) -> Risk {
        match self.response() {
            Response::Routine | Response::Assess => Risk::Low,
            Response::Review | Response::Urgent => Risk::Medium,
            Response::Emergency => Risk::High,
        }
    }
}

/// How many classes [`band_by_total`] has.
pub const BANDS: usize = 4;

/// The class of a total by the total alone: 0 for 0, 1 for 1 to 4, 2 for 5 and 6, 3 for 7 and more. It knows no single 3,
/// so that it is a function of the sum that a record may carry.
pub fn band_by_total(total: u8) -> u16 {
    match total {
        0 => 0,
        1..=4 => 1,
        5..=6 => 2,
        7.. => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody well, of whom everything was measured.
    const WELL: Vitals = Vitals {
        respiration_rate: Some(16.0),
        spo2: Some(98.0),
        supplemental_oxygen: Some(false),
        temperature: Some(37.0),
        systolic_bp: Some(125.0),
        heart_rate: Some(70.0),
        consciousness: Some(Consciousness::Alert),
    };

    #[test]
    fn every_threshold_has_the_colleges_points_on_both_sides() {
        type Case = (fn(f64) -> Vitals, fn(&Points) -> Option<u8>, &'static [(f64, u8)]);
        let cases: [Case; 5] = [
            (
                |x| Vitals { respiration_rate: Some(x), ..WELL },
                |points| points.respiration_rate,
                &[
                    (0.0, 3),
                    (8.0, 3),
                    (8.1, 1),
                    (9.0, 1),
                    (11.0, 1),
                    (11.5, 0),
                    (12.0, 0),
                    (20.0, 0),
                    (20.5, 2),
                    (21.0, 2),
                    (24.0, 2),
                    (24.5, 3),
                    (25.0, 3),
                ],
            ),
            (
                |x| Vitals { spo2: Some(x), ..WELL },
                |points| points.spo2,
                &[
                    (50.0, 3),
                    (91.0, 3),
                    (91.5, 2),
                    (92.0, 2),
                    (93.0, 2),
                    (93.5, 1),
                    (94.0, 1),
                    (95.0, 1),
                    (95.5, 0),
                    (96.0, 0),
                    (100.0, 0),
                ],
            ),
            (
                |x| Vitals { temperature: Some(x), ..WELL },
                |points| points.temperature,
                &[
                    (30.0, 3),
                    (35.0, 3),
                    (35.1, 1),
                    (36.0, 1),
                    (36.1, 0),
                    (38.0, 0),
                    (38.1, 1),
                    (39.0, 1),
                    (39.1, 2),
                    (42.0, 2),
                ],
            ),
            (
                |x| Vitals { systolic_bp: Some(x), ..WELL },
                |points| points.systolic_bp,
                &[
                    (60.0, 3),
                    (90.0, 3),
                    (90.5, 2),
                    (91.0, 2),
                    (100.0, 2),
                    (100.5, 1),
                    (101.0, 1),
                    (110.0, 1),
                    (110.5, 0),
                    (111.0, 0),
                    (219.0, 0),
                    (219.5, 3),
                    (220.0, 3),
                ],
            ),
            (
                |x| Vitals { heart_rate: Some(x), ..WELL },
                |points| points.heart_rate,
                &[
                    (30.0, 3),
                    (40.0, 3),
                    (40.5, 1),
                    (41.0, 1),
                    (50.0, 1),
                    (50.5, 0),
                    (51.0, 0),
                    (90.0, 0),
                    (90.5, 1),
                    (91.0, 1),
                    (110.0, 1),
                    (110.5, 2),
                    (111.0, 2),
                    (130.0, 2),
                    (130.5, 3),
                    (131.0, 3),
                ],
            ),
        ];
        for (vitals, of, wanted) in cases {
            for (value, want) in wanted {
                let points = vitals(*value).points();
                assert_eq!((of(&points), points.total()), (Some(*want), *want), "{value}");
            }
        }
    }

    #[test]
    fn oxygen_has_two_points_and_anything_but_alert_three() {
        let given = Vitals { supplemental_oxygen: Some(true), ..WELL }.points();
        assert_eq!((given.total(), given.response()), (2, Response::Assess));
        for response in [Consciousness::Voice, Consciousness::Pain, Consciousness::Unresponsive] {
            let points = Vitals { consciousness: Some(response), ..WELL }.points();
            assert_eq!((points.total(), points.response()), (3, Response::Review));
        }
    }

    #[test]
    fn a_single_three_calls_for_a_review_and_a_total_of_three_does_not() {
        let check = |vitals: Vitals, total, three, response, risk| {
            let points = vitals.points();
            assert_eq!((points.total(), points.single_three()), (total, three));
            assert_eq!((points.response(), points.risk()), (response, risk));
        };
        check(WELL, 0, false, Response::Routine, Risk::Low);
        let fast = Vitals { heart_rate: Some(120.0), ..WELL };
        check(fast, 2, false, Response::Assess, Risk::Low);
        check(Vitals { spo2: Some(95.0), ..fast }, 3, false, Response::Assess, Risk::Low);
        check(Vitals { respiration_rate: Some(25.0), ..WELL }, 3, true, Response::Review, Risk::Medium);
        check(Vitals { spo2: Some(92.0), ..fast }, 4, false, Response::Assess, Risk::Low);
        let low = Vitals { spo2: Some(91.0), ..fast };
        check(low, 5, true, Response::Urgent, Risk::Medium);
        check(Vitals { systolic_bp: Some(110.0), ..low }, 6, true, Response::Urgent, Risk::Medium);
        check(Vitals { systolic_bp: Some(100.0), ..low }, 7, true, Response::Emergency, Risk::High);
    }

    #[test]
    fn the_worst_of_everything_is_twenty() {
        let worst = Vitals {
            respiration_rate: Some(30.0),
            spo2: Some(80.0),
            supplemental_oxygen: Some(true),
            temperature: Some(34.0),
            systolic_bp: Some(70.0),
            heart_rate: Some(140.0),
            consciousness: Some(Consciousness::Pain),
        };
        assert_eq!((worst.points().total(), worst.points().missing()), (20, 0));
    }

    #[test]
    fn what_was_not_measured_has_no_points_and_is_counted() {
        let none = Vitals::default().points();
        assert_eq!((none, none.total(), none.missing()), (Points::default(), 0, 7));
        let some = Vitals { respiration_rate: None, heart_rate: Some(f64::NAN), spo2: Some(90.0), ..WELL }.points();
        assert_eq!((some.respiration_rate, some.heart_rate), (None, None));
        assert_eq!((some.total(), some.missing()), (3, 2));
    }

    #[test]
    fn bands_change_at_one_five_and_seven() {
        let bands: Vec<u16> = (0..=8).map(band_by_total).collect();
        assert_eq!(bands, [0, 1, 1, 1, 1, 2, 2, 3, 3]);
        assert_eq!((band_by_total(u8::MAX), BANDS), (3, 4));
    }
}
