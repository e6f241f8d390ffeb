//! An independent calendar.

/// A calendar day as (year, month, day).
pub type Day = (i64, i64, i64);

pub fn written((year, month, day): Day) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

pub fn tomorrow((year, month, day): Day) -> Day {
    if day < days_in(year, month) {
        (year, month, day + 1)
    } else if month < 12 {
        (year, month + 1, 1)
    } else {
        (year + 1, 1, 1)
    }
}

pub fn months_after((mut year, mut month, day): Day, months: u32) -> Day {
    for _ in 0..months {
        (year, month) = if month < 12 { (year, month + 1) } else { (year + 1, 1) };
    }
    (year, month, day.min(days_in(year, month)))
}
