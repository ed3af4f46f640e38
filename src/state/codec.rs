//! Stand-in until `serdes::internal::Codec` is merged.
use crate::record::{Shape, Value};
use bytes::Bytes;

/// Stand-in.
pub struct Codec {
    fingerprint: u64,
}

impl Codec {
    /// Stand-in.
    pub fn new(shape: &Shape) -> Codec {
        let fingerprint =
            shape.to_string().bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Codec { fingerprint }
    }
    /// Stand-in.
    pub fn encode(&self, timestamp: i64, value: &Value, out: &mut Vec<u8>) {
        out.extend_from_slice(&timestamp.to_be_bytes());
        match value {
            Value::Int(n) => {
                out.push(1);
                out.extend_from_slice(&n.to_be_bytes());
            }
            Value::String(text) => {
                out.push(2);
                out.extend_from_slice(text.as_bytes());
            }
            _ => out.push(0),
        }
    }
    /// Stand-in.
    pub fn decode(&self, bytes: &Bytes) -> Result<(i64, Value), String> {
        let (timestamp, rest) = bytes.split_first_chunk::<8>().ok_or("short")?;
        let value = match rest.split_first().ok_or("short")? {
            (1, rest) => Value::Int(i64::from_be_bytes(rest.try_into().map_err(|_| "short")?)),
            (2, _) => Value::text(bytestring::ByteString::try_from(bytes.slice(9..)).map_err(|_| "utf-8")?),
            _ => Value::Null,
        };
        Ok((i64::from_be_bytes(*timestamp), value))
    }
    /// Stand-in.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}
