//! Work that is done on both cores.

use super::PushError;

/// Two halves at once, in the order of all.
pub(super) fn halves<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> Result<R, PushError> + Sync) -> Result<Vec<R>, PushError> {
    let done = |part: &[T]| part.iter().map(&work).collect::<Result<Vec<_>, _>>();
    let (left, right) = all.split_at(all.len() / 2);
    let (left, right) = std::thread::scope(|scope| {
        let other = scope.spawn(|| done(right));
        (done(left), other.join())
    });
    let mut done = left?;
    done.extend(right.map_err(|_| PushError::BrokeOff)??);
    Ok(done)
}
