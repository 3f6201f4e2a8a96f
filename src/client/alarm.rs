//! A deadline that is set for every question and hardly ever passes.

use std::future::pending;
use std::pin::Pin;

use tokio::time::{Instant, Sleep, sleep_until};

/// Goes off at a deadline. Where that has moved on meanwhile, the timer is set again only when it goes off: to set it for
/// each question would cost more than the question.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Returns when the deadline has passed; never where there is none.
    pub async fn rings(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else {
            return pending().await;
        };
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            timer.as_mut().await;
            if Instant::now() >= deadline {
                return;
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_last_deadline_that_it_was_given_and_not_before() {
        let (mut alarm, begin) = (Alarm::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let brief = Duration::from_secs(1);
        assert!(timeout(brief, alarm.rings(Some(at(10)))).await.is_err());
        assert!(timeout(brief, alarm.rings(None)).await.is_err());
        alarm.rings(Some(at(20))).await;
        assert_eq!(Instant::now(), at(20), "it moved on");
        assert!(timeout(brief, alarm.rings(Some(at(100)))).await.is_err());
        alarm.rings(Some(at(30))).await;
        assert_eq!(Instant::now(), at(30), "it moved back");
        alarm.rings(Some(at(30))).await;
        assert_eq!(Instant::now(), at(30), "it is over");
    }
}
