//! What the kernel says of its clock: the state that a time service keeps there, read and never changed.

use std::io;
use std::time::Duration;

/// The kernel's word on its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelClock {
    /// Whether a time service steers it.
    pub synchronised: bool,
    /// The most it may be wrong, which grows until the time service corrects it again.
    pub max_error: Duration,
}

/// Asks the kernel.
// spec: adjtimex(2), rfc1589
pub fn state() -> io::Result<KernelClock> {
    let (said, told) = ask();
    if said == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(judged(said, told.status, told.maxerror))
}

#[allow(unsafe_code)]
fn ask() -> (libc::c_int, libc::timex) {
    // SAFETY: `timex` is a C structure of integers alone, for which all zeros are a value; its `modes` of zero is the question
    // that changes nothing. The pointer is to this one, alive and not shared, for as long as the call takes.
    unsafe {
        let mut told: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut told), told)
    }
}

fn judged(said: libc::c_int, status: libc::c_int, max_error_us: libc::c_long) -> KernelClock {
    let synchronised = said != libc::TIME_ERROR && status & (libc::STA_UNSYNC | libc::STA_CLOCKERR) == 0;
    KernelClock { synchronised, max_error: Duration::from_micros(u64::try_from(max_error_us).unwrap_or(u64::MAX)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_a_steered_clock_counts() {
        let told = |said, status, error| judged(said, status, error);
        assert_eq!(told(libc::TIME_OK, libc::STA_PLL, 1_500), KernelClock { synchronised: true, max_error: Duration::from_micros(1_500) });
        assert!(told(libc::TIME_INS, libc::STA_PLL | libc::STA_NANO, 0).synchronised);
        assert!(!told(libc::TIME_ERROR, libc::STA_UNSYNC, 16_000_000).synchronised);
        assert!(!told(libc::TIME_OK, libc::STA_UNSYNC, 0).synchronised);
        assert!(!told(libc::TIME_OK, libc::STA_CLOCKERR, 0).synchronised);
        // An error that makes no sense is the largest there is.
        assert_eq!(told(libc::TIME_OK, 0, -1).max_error, Duration::from_micros(u64::MAX));
    }

    #[test]
    fn the_kernel_answers() {
        let state = state().unwrap();
        assert!(state.synchronised || state.max_error > Duration::ZERO);
    }
}
