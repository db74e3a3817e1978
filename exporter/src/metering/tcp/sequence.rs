//! Sequence numbers compared modulo 2^32 (RFC 9293 section 3.4).

/// How far `to` is ahead of `from`; negative when it is behind.
#[inline(always)]
pub fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from) as i32
}

/// Whether `a` comes before `b`.
#[inline(always)]
pub fn is_before(a: u32, b: u32) -> bool {
    distance(a, b) > 0
}

/// Whether `a` comes after `b`.
#[inline(always)]
pub fn is_after(a: u32, b: u32) -> bool {
    distance(a, b) < 0
}

/// The later of the two.
#[inline(always)]
pub fn later(a: u32, b: u32) -> u32 {
    if is_after(a, b) { a } else { b }
}

/// The sooner of the two.
#[inline(always)]
pub fn sooner(a: u32, b: u32) -> u32 {
    if is_before(a, b) { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_goes_around() {
        assert!(is_before(u32::MAX, 0) && is_after(5, u32::MAX - 5));
        assert_eq!((later(u32::MAX, 3), sooner(u32::MAX, 3)), (3, u32::MAX));
        assert_eq!(distance(10, 4), -6);
    }
}
