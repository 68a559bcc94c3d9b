//! Addresses as the `ip` scheme writes and compares them (`IPAuthenticationProvider.java`).
//!
//! Java's forms, not Rust's: `Ipv6Addr` would take a dotted tail and print compressed.

use std::fmt::Write;
use std::net::IpAddr;

/// An address, and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    bytes: Bytes,
    bits: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    V4([u8; 4]),
    V6([u8; 16]),
}

/// The address of a connection as Java prints it: IPv6 in eight groups, never compressed, and an
/// IPv4 address that came through an IPv6 socket as IPv4.
pub fn text(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let mut text = String::with_capacity(39);
            for (index, group) in address.segments().into_iter().enumerate() {
                let colon = if index == 0 { "" } else { ":" };
                write!(text, "{colon}{group:x}").expect("a string takes everything");
            }
            text
        }
    }
}

/// Whether an ACL may have this id.
pub fn is_valid(id: &str) -> bool {
    parse_range(id).is_some()
}

/// Whether a connection from `address` is meant by the ACL id `range`.
pub fn matches(address: &str, range: &str) -> bool {
    let (Some(range), Some(address)) = (parse_range(range), parse(address)) else { return false };
    match (range.bytes, address) {
        (Bytes::V4(range_bytes), Bytes::V4(bytes)) => equal_up_to(range.bits, &range_bytes, &bytes),
        (Bytes::V6(range_bytes), Bytes::V6(bytes)) => equal_up_to(range.bits, &range_bytes, &bytes),
        (Bytes::V4(_), Bytes::V6(_)) | (Bytes::V6(_), Bytes::V4(_)) => false,
    }
}

fn equal_up_to(bits: usize, one: &[u8], other: &[u8]) -> bool {
    let whole = bits / 8;
    let rest = bits % 8;
    let (Some(one_head), Some(other_head)) = (one.get(..whole), other.get(..whole)) else {
        return false;
    };
    let mask = !(0xff_u8.checked_shr(u32::try_from(rest).expect("below 8")).unwrap_or(0));
    one_head == other_head
        && (rest == 0 || one.get(whole).map(|b| b & mask) == other.get(whole).map(|b| b & mask))
}

/// `address` or `address/bits`.
fn parse_range(text: &str) -> Option<Range> {
    let (address, bits) = match text.split_once('/') {
        None => (text, None),
        Some((address, bits)) => (address, Some(bits)),
    };
    let bytes = parse(address)?;
    let most = match bytes {
        Bytes::V4(_) => 32,
        Bytes::V6(_) => 128,
    };
    // A sign is allowed, as by Java's parser.
    let bits = bits.map_or(Some(most), |bits| usize::try_from(bits.parse::<i32>().ok()?).ok())?;
    (bits <= most).then_some(Range { bytes, bits })
}

fn parse(text: &str) -> Option<Bytes> {
    if text.contains(':') { parse_v6(text).map(Bytes::V6) } else { parse_v4(text).map(Bytes::V4) }
}

fn parse_v4(text: &str) -> Option<[u8; 4]> {
    let mut bytes = [0; 4];
    let mut parts = text.split('.');
    for byte in &mut bytes {
        *byte = u8::try_from(parts.next()?.parse::<i32>().ok()?).ok()?;
    }
    parts.next().is_none().then_some(bytes)
}

/// Eight groups of one to four digits; one `::` may stand for one or more groups of zeros.
fn parse_v6(text: &str) -> Option<[u8; 16]> {
    const GROUPS: usize = 8;
    let mut halves = text.split("::");
    let (first, second) = (halves.next()?, halves.next());
    if halves.next().is_some() {
        return None;
    }
    let count = |half: &str| if half.is_empty() { 0 } else { half.split(':').count() };
    let total = count(first) + second.map_or(0, count);
    if second.map_or(total != GROUPS, |_| total >= GROUPS) {
        return None;
    }
    let mut bytes = [0; 16];
    write_groups(first, &mut bytes)?;
    let second = second.unwrap_or_default();
    let start = bytes.len() - 2 * count(second);
    write_groups(second, &mut bytes[start..])?;
    Some(bytes)
}

fn write_groups(half: &str, bytes: &mut [u8]) -> Option<()> {
    if half.is_empty() {
        return Some(());
    }
    for (group, place) in half.split(':').zip(bytes.chunks_exact_mut(2)) {
        if group.is_empty() || group.len() > 4 {
            return None;
        }
        let value = u16::from_str_radix(group, 16).ok()?;
        place.copy_from_slice(&value.to_be_bytes());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_valid_as_in_apache() {
        #[rustfmt::skip]
        let table = [
            ("127.0.0.1", true), ("127.0.0.1/32", true), ("127.0.0.1/0", true), ("::1", true),
            ("::", true), ("1::", true), ("::1/128", true), ("1:2:3:4:5:6:7:8", true),
            ("2001:DB8::1/64", true), ("1:2:3:4:5:6:7::", true),
            ("", false), ("127.0.0.1/33", false), ("127.0.0.1/-1", false), ("127.0.0.1/", false),
            ("127.0.0.1/8/8", false), ("127.0.0", false), ("127.0.0.256", false),
            ("127.0.0.1.1", false), ("127.0.0.", false), ("localhost", false), ("::1/129", false),
            (":::", false), ("1::2::3", false), ("12345::", false), ("g::", false),
            ("1:2:3:4:5:6:7:8::", false), ("1:2:3:4:5:6:7", false), ("1:2:3:4:5:6:7:8:9", false),
            ("::ffff:1.2.3.4", false), ("1:", false), (":1", false),
        ];
        for (id, valid) in table {
            assert_eq!(is_valid(id), valid, "{id:?}");
        }
    }

    #[test]
    fn ranges_match_by_their_leading_bits() {
        #[rustfmt::skip]
        let table = [
            ("10.1.2.3", "10.1.2.3",    true), ("10.1.2.3", "10.1.2.4",       false),
            ("10.1.2.3", "10.1.0.0/16", true), ("10.2.2.3", "10.1.0.0/16",    false),
            ("10.1.2.3", "10.1.2.0/30", true), ("10.1.2.4", "10.1.2.0/30",    false),
            ("10.1.2.3", "0.0.0.0/0",   true), ("10.1.2.3", "::/0",           false),
            ("0:0:0:0:0:0:0:1", "::1",  true), ("0:0:0:0:0:0:0:1", "::/127",  true),
            ("0:0:0:0:0:0:0:2", "::/127", false), ("2001:db8:0:0:0:0:0:5", "2001:DB8::/32", true),
            ("2001:db9:0:0:0:0:0:5", "2001:db8::/31", true), ("10.1.2.3", "nonsense", false),
        ];
        for (address, range, expected) in table {
            assert_eq!(matches(address, range), expected, "{address} in {range}");
        }
    }

    #[test]
    fn addresses_are_printed_as_java_does() {
        #[rustfmt::skip]
        let table = [
            ("127.0.0.1", "127.0.0.1"), ("::1", "0:0:0:0:0:0:0:1"), ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:db8::ff00:42", "2001:db8:0:0:0:0:ff00:42"),
        ];
        for (address, expected) in table {
            let printed = text(address.parse().expect("an address"));
            assert_eq!(printed, expected);
            assert!(is_valid(&printed));
        }
    }
}
