//! Time as the kernel sells it: short sleeps and their precision, timers that
//! can be waited for beside sockets.

pub(crate) mod nap;
pub(crate) mod ticker;
