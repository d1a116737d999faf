//! Time as the kernel sells it: short sleeps and their precision.

pub(crate) mod nap;
