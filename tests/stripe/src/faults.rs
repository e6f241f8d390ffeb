//! The faults and the latency of a connection.

/// Fault rates in percent of the requests, and the latency. The rates are at most 100 in total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The request does not reach the account.
    pub lost_request_percent: u8,
    /// The request has its effect, and its answer is lost.
    pub lost_answer_percent: u8,
    /// The server fails before the request has an effect. The error is stored under its key.
    pub error_before_percent: u8,
    /// The server fails after the request has its effect. The error is stored under its key.
    pub error_after_percent: u8,
    /// Another request has locked the object. The answer is not stored.
    pub busy_percent: u8,
    /// The longest latency in milliseconds, before the request is executed and again after it.
    pub latency_ms_max: u64,
}

impl Faults {
    /// No faults and no latency.
    pub const NONE: Self = Self {
        lost_request_percent: 0,
        lost_answer_percent: 0,
        error_before_percent: 0,
        error_after_percent: 0,
        busy_percent: 0,
        latency_ms_max: 0,
    };

    /// Faults in 26 of 100 requests, and a latency of up to one second in each direction.
    pub const MANY: Self = Self {
        lost_request_percent: 5,
        lost_answer_percent: 8,
        error_before_percent: 4,
        error_after_percent: 4,
        busy_percent: 5,
        latency_ms_max: 1_000,
    };

    /// Returns a random fault of a request.
    pub(crate) fn draw(self) -> Fault {
        let mut drawn = fastrand::u8(0..100);
        for (percent, fault) in [
            (self.lost_request_percent, Fault::LostRequest),
            (self.lost_answer_percent, Fault::LostAnswer),
            (self.error_before_percent, Fault::ErrorBefore),
            (self.error_after_percent, Fault::ErrorAfter),
            (self.busy_percent, Fault::Busy),
        ] {
            match drawn.checked_sub(percent) {
                None => return fault,
                Some(rest) => drawn = rest,
            }
        }
        Fault::Spared
    }
}

/// The fault of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    LostRequest,
    LostAnswer,
    ErrorBefore,
    ErrorAfter,
    Busy,
    Spared,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_decide_the_faults() {
        fastrand::seed(1);
        let drawn =
            |faults: Faults, fault: Fault| (0..10_000).filter(|_| faults.draw() == fault).count();
        assert_eq!(drawn(Faults::NONE, Fault::Spared), 10_000);
        assert!((300..=500).contains(&drawn(Faults::MANY, Fault::ErrorAfter)));
        assert!((7_200..=7_600).contains(&drawn(Faults::MANY, Fault::Spared)));
        let busy = Faults { busy_percent: 100, ..Faults::NONE };
        assert_eq!(drawn(busy, Fault::Busy), 10_000);
    }
}
