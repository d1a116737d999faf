//! Keys as hexadecimal digits.

use zeroize::Zeroizing;

/// Lower-case digits, as `turnadmin` writes them; wiped when dropped, as the key is.
pub(crate) fn hex(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xF] {
            text.extend(DIGITS.get(usize::from(digit)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_turnadmin_writes_them() {
        assert_eq!(*hex(&[0x00, 0x9f, 0xA5]), "009fa5");
    }
}
