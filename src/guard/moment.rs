//! Where another thread may come between two steps on what threads share. In tests, what it does can be done there.

/// A moment between two steps.
#[inline(always)]
pub(super) fn moment() {
    #[cfg(test)]
    super::tests::preempted::moment();
}
