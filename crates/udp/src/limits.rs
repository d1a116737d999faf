//! How many descriptors this process may have; each allocation takes one or two.

use std::{io, mem};

/// Raises the soft limit of open descriptors (`RLIMIT_NOFILE`) to the hard
/// one and returns both as they are now.
///
/// # Errors
/// What `getrlimit` or `setrlimit` says.
pub fn raise_descriptor_limit() -> io::Result<(u64, u64)> {
    let mut limit = read_limit()?;
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is a valid rlimit for the length of the call.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
        limit = read_limit()?;
    }
    Ok((widen(limit.rlim_cur), widen(limit.rlim_max)))
}

/// How many descriptors this process may have now (the soft `RLIMIT_NOFILE`).
///
/// # Errors
/// What `getrlimit` says.
pub fn descriptor_limit() -> io::Result<u64> {
    Ok(widen(read_limit()?.rlim_cur))
}

fn read_limit() -> io::Result<libc::rlimit> {
    // SAFETY: an rlimit is two integers, for which all zeroes is a value.
    let mut limit: libc::rlimit = unsafe { mem::zeroed() };
    // SAFETY: `limit` is writable for the length of the call.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } {
        0 => Ok(limit),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `rlim_t` has 32 bits on some targets.
#[allow(clippy::useless_conversion, reason = "it is no conversion on 64-bit targets only")]
fn widen(limit: libc::rlim_t) -> u64 {
    u64::from(limit)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use super::*;

    #[test]
    fn the_soft_limit_reaches_the_hard_one() {
        let (soft, hard) = raise_descriptor_limit().unwrap();
        assert_eq!(soft, hard);
        assert_eq!(descriptor_limit().unwrap(), soft);
        assert!(soft > 0);
    }
}
