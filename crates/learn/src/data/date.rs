//! Days, as wearables export them: `4/12/2016` (month first) or `2016-04-12`, with a time of day or without.

use std::fmt;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Reads a day; `None` for anything that is none.
    pub fn parse(text: &str) -> Option<Self> {
        let day = text.split([' ', 'T']).next()?;
        let separator = if day.contains('/') { '/' } else { '-' };
        let mut parts = day.split(separator);
        let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
        let (year, month, day) = if separator == '/' { (c, a, b) } else { (a, b, c) };
        let digits =
            |text: &str| (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?;
        let (year, month, day) = (digits(year)?, digits(month)?, digits(day)?);
        let date = Self { year, month: u8::try_from(month).ok()?, day: u8::try_from(day).ok()? };
        (parts.next().is_none() && date.is_possible()).then_some(date)
    }

    /// The day after.
    pub fn next(self) -> Self {
        let tomorrow = Self { day: self.day + 1, ..self };
        let first_of_next = Self { day: 1, month: self.month + 1, ..self };
        let new_year = Self { day: 1, month: 1, year: self.year + 1 };
        [tomorrow, first_of_next].into_iter().find(|date| date.is_possible()).unwrap_or(new_year)
    }

    fn is_possible(self) -> bool {
        let every = |years| self.year.is_multiple_of(years);
        let leap = every(4) && (!every(100) || every(400));
        let days = match self.month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        (1900..=2999).contains(&self.year) && (1..=days).contains(&self.day)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read_and_nothing_else() {
        let day = Date { year: 2016, month: 4, day: 12 };
        for text in ["4/12/2016", "04/12/2016", "2016-04-12", "4/12/2016 12:00:00 AM", "2016-04-12T08:00"] {
            assert_eq!(Date::parse(text), Some(day), "{text}");
        }
        for text in
            ["", "12 April", "13/1/2016", "2/30/2016", "2015-02-29", "4/12/16", "4/12", "1/2/3/2016", "-1/2/2016"]
        {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn days_follow_one_another() {
        let check = |day: &str, next: &str| assert_eq!(Date::parse(day).unwrap().next().to_string(), next);
        check("2016-02-28", "2016-02-29");
        check("2015-02-28", "2015-03-01");
        check("2015-12-31", "2016-01-01");
    }
}
