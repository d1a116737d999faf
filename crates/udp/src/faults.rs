//! Errors that tests make system calls fail with; nothing outside of tests.

/// The system calls that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Recvmmsg,
    Recvmsg,
    Sendmmsg,
    Sendmsg,
    Sendto,
}

#[cfg(not(test))]
#[inline]
pub(crate) fn check(_: Call) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use injection::{check, inject};

#[cfg(test)]
mod injection {
    use std::{cell::RefCell, collections::VecDeque, io};

    use super::Call;

    thread_local! {
        static FAULTS: RefCell<VecDeque<(Call, Option<i32>)>> = const { RefCell::new(VecDeque::new()) };
    }

    /// Decides the next calls of this kind on this thread, one each: an error
    /// number, or `None` to let the call through.
    pub(crate) fn inject(call: Call, outcomes: impl IntoIterator<Item = Option<i32>>) {
        FAULTS.with_borrow_mut(|faults| faults.extend(outcomes.into_iter().map(|o| (call, o))));
    }

    pub(crate) fn check(call: Call) -> io::Result<()> {
        let next = FAULTS.with_borrow_mut(|faults| {
            let place = faults.iter().position(|(kind, _)| *kind == call)?;
            faults.remove(place)?.1
        });
        next.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
    }
}
