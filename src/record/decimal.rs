//! Decimal numbers: a whole number of up to 38 digits and how many of them stand behind the point.

use std::cmp::Ordering;
use std::fmt;

/// How many digits a decimal has at most.
const MAX_DIGITS: u32 = 38;

/// An exact decimal number, `unscaled × 10^-scale`. Numbers of equal worth are equal, whatever their scales.
///
/// Its parts are two words, so that a value which holds it needs no more room than one that holds text.
#[derive(Clone, Copy)]
pub struct Decimal {
    high: i64,
    low: u64,
    scale: u32,
}

impl Decimal {
    /// A decimal of these digits, of which `scale` stand behind the point; `None` where there are more than 38, or a
    /// scale above 38.
    pub fn new(unscaled: i128, scale: u32) -> Option<Self> {
        let limit = 10_i128.pow(MAX_DIGITS).unsigned_abs();
        (unscaled.unsigned_abs() < limit && scale <= MAX_DIGITS).then_some(Decimal {
            high: (unscaled >> 64) as i64,
            low: unscaled as u64,
            scale,
        })
    }

    /// A whole number.
    pub fn whole(number: i128) -> Option<Self> {
        Decimal::new(number, 0)
    }

    /// All digits, as one number.
    pub fn unscaled(self) -> i128 {
        (i128::from(self.high) << 64) | i128::from(self.low)
    }

    /// How many digits stand behind the point.
    pub fn scale(self) -> u32 {
        self.scale
    }

    /// How many digits it has.
    pub fn precision(self) -> u32 {
        self.unscaled().unsigned_abs().checked_ilog10().map_or(1, |digits| digits + 1)
    }

    /// Reads `-12.50`: digits with at most one point, nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let mut unscaled = 0_i128;
        for digit in whole.bytes().chain(fraction.bytes()) {
            unscaled = unscaled.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        Decimal::new(if negative { -unscaled } else { unscaled }, u32::try_from(fraction.len()).ok()?)
    }

    /// The same number with another scale; `None` where digits that are not zero would be lost, or there are too many.
    pub fn rescale(self, scale: u32) -> Option<Self> {
        if let Some(more) = scale.checked_sub(self.scale) {
            return Decimal::new(self.unscaled().checked_mul(10_i128.checked_pow(more)?)?, scale);
        }
        let divisor = 10_i128.checked_pow(self.scale - scale)?;
        (self.unscaled() % divisor == 0).then(|| Decimal::new(self.unscaled() / divisor, scale)).flatten()
    }

    /// The nearest number with this scale; a half goes away from zero. `None` where it has too many digits.
    pub fn round(self, scale: u32) -> Option<Self> {
        if scale >= self.scale {
            return self.rescale(scale);
        }
        let divisor = 10_i128.checked_pow(self.scale - scale)?;
        let (quotient, rest) = (self.unscaled() / divisor, self.unscaled() % divisor);
        let away = i128::from(rest.unsigned_abs() >= divisor.unsigned_abs().div_ceil(2)) * rest.signum();
        Decimal::new(quotient + away, scale)
    }

    /// Without zeros at the end of what stands behind the point.
    pub fn normalized(self) -> Self {
        let (mut unscaled, mut scale) = (self.unscaled(), self.scale);
        while scale > 0 && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        Decimal::new(unscaled, scale).unwrap_or(self)
    }

    /// The sum; `None` where it has more than 38 digits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let (left, right) = (self.rescale(scale)?, other.rescale(scale)?);
        Decimal::new(left.unscaled().checked_add(right.unscaled())?, scale)
    }

    /// The difference; `None` where it has more than 38 digits.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(other.negated())
    }

    /// The product; `None` where it has more than 38 digits.
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        Decimal::new(self.unscaled().checked_mul(other.unscaled())?, self.scale.checked_add(other.scale)?)
    }

    /// The opposite.
    pub fn negated(self) -> Self {
        Decimal::new(-self.unscaled(), self.scale).unwrap_or(self)
    }

    /// The whole part, towards zero.
    pub fn truncated(self) -> i128 {
        10_i128.checked_pow(self.scale).map_or(0, |divisor| self.unscaled() / divisor)
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Reads a whole number in two's complement, most significant byte first, as Avro and Java write it. Bytes that only
    /// repeat the sign do not count. `None` where there are more than 38 digits.
    pub fn from_be_bytes(bytes: &[u8], scale: u32) -> Option<Self> {
        let negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
        let sign = if negative { 0xff } else { 0 };
        let (excess, tail) = bytes.split_at(bytes.len().saturating_sub(16));
        let mut word = [sign; 16];
        for (place, byte) in word.iter_mut().rev().zip(tail.iter().rev()) {
            *place = *byte;
        }
        let unscaled = i128::from_be_bytes(word);
        let fits = excess.iter().all(|byte| *byte == sign) && (unscaled < 0) == negative;
        fits.then(|| Decimal::new(unscaled, scale)).flatten()
    }

    /// Its digits in two's complement, most significant byte first, with the sign in front of the shortest form.
    pub fn to_be_bytes(self) -> ([u8; 16], usize) {
        let unscaled = self.unscaled();
        let magnitude = if unscaled < 0 { !unscaled } else { unscaled };
        let bits = 128 - magnitude.leading_zeros() as usize + 1;
        (unscaled.to_be_bytes(), 16 - bits.div_ceil(8).min(16))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let (left, right) = (self.unscaled(), other.unscaled());
        let scaled = |number: i128, by: u32| 10_i128.checked_pow(by).and_then(|power| number.checked_mul(power));
        let by_sign = |number: i128| number.cmp(&0);
        // A number that does not fit when it is scaled up is farther from zero than one that is there.
        match self.scale.cmp(&other.scale) {
            Ordering::Equal => left.cmp(&right),
            Ordering::Less => match scaled(left, other.scale - self.scale) {
                Some(left) => left.cmp(&right),
                None => by_sign(left),
            },
            Ordering::Greater => match scaled(right, self.scale - other.scale) {
                Some(right) => left.cmp(&right),
                None => by_sign(right).reverse(),
            },
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unscaled = self.unscaled();
        let scale = self.scale as usize;
        let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
        let sign = if unscaled < 0 { "-" } else { "" };
        match digits.split_at_checked(digits.len() - scale) {
            Some((whole, fraction)) if scale > 0 => write!(f, "{sign}{whole}.{fraction}"),
            _ => write!(f, "{sign}{digits}"),
        }
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "decimal({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn decimals_are_read_and_written_as_people_do() {
        for text in ["0", "1.20", "-0.05", "12345678901234567890123456789012345678", "-1", "0.00"] {
            assert_eq!(decimal(text).to_string(), text);
        }
        assert_eq!(decimal(".5").to_string(), "0.5");
        for wrong in ["", ".", "-", "1e3", "1.2.3", "NaN", "١", "123456789012345678901234567890123456789"] {
            assert_eq!(Decimal::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn arithmetic_is_exact_and_ends_at_38_digits() {
        assert_eq!(decimal("0.1").checked_add(decimal("0.2")).unwrap().to_string(), "0.3");
        assert_eq!(decimal("1.20").checked_sub(decimal("2")).unwrap().to_string(), "-0.80");
        assert_eq!(decimal("-1.5").checked_mul(decimal("0.25")).unwrap().to_string(), "-0.375");
        let most = decimal("99999999999999999999999999999999999999");
        assert_eq!(most.checked_add(decimal("1")), None);
        assert_eq!(most.checked_mul(decimal("10")), None);
        assert_eq!(decimal("1.005").round(2).unwrap().to_string(), "1.01");
        assert_eq!(decimal("-2.5").round(0).unwrap().to_string(), "-3");
        assert_eq!(decimal("2.4").round(0).unwrap().to_string(), "2");
        assert_eq!(decimal("1.30").rescale(1).unwrap().to_string(), "1.3");
        assert_eq!(decimal("1.31").rescale(1), None);
    }

    #[test]
    fn numbers_of_equal_worth_are_equal_and_all_have_an_order() {
        assert_eq!(decimal("1.5"), decimal("1.50"));
        assert!(decimal("-1.5") < decimal("-1.49"));
        let most = decimal("99999999999999999999999999999999999999");
        let least = Decimal::new(1, 38).unwrap();
        assert!(least < most && most.negated() < least.negated());
        assert!(most > least && least.negated() > most.negated());
    }

    #[test]
    fn two_complement_is_the_shortest_and_read_at_any_length() {
        for (number, bytes) in [
            (0_i128, &[0_u8][..]),
            (127, &[0x7f]),
            (128, &[0, 0x80]),
            (-128, &[0x80]),
            (-129, &[0xff, 0x7f]),
            (-1, &[0xff]),
        ] {
            let (word, start) = Decimal::new(number, 2).unwrap().to_be_bytes();
            assert_eq!(&word[start..], bytes, "{number}");
            let sign = if number < 0 { 0xff } else { 0 };
            let long = [vec![sign; 40], bytes.to_vec()].concat();
            assert_eq!(Decimal::from_be_bytes(&long, 2).unwrap().unscaled(), number);
        }
        assert_eq!(Decimal::from_be_bytes(&[], 0).unwrap().unscaled(), 0);
        assert_eq!(Decimal::from_be_bytes(&[0x7f; 16], 0), None);
        assert_eq!(Decimal::from_be_bytes(&[1; 17], 0), None);
    }
}
