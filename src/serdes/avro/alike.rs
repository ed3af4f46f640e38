//! Whether bytes mean the same by two schemas that lay them out alike. A schema's canonical form says nothing of logical
//! types: with the same bytes, a number is a time by one schema and just a number by another.

use super::schema::Type;

impl Type {
    /// Whether values of this type are read as those of another one, which has the same canonical form. Documentation,
    /// defaults and aliases say nothing of what was written.
    pub(in crate::serdes) fn is_read_as(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Decimal(own), Type::Decimal(other)) => own.scale == other.scale,
            (Type::Array(own), Type::Array(other))
            | (Type::Map(own), Type::Map(other))
            | (Type::Nullable(_, own), Type::Nullable(_, other)) => own.is_read_as(other),
            (Type::Union(own), Type::Union(other)) => {
                own.branches.iter().zip(&other.branches).all(|(own, other)| own.is_read_as(other))
            }
            (Type::Record(own), Type::Record(other)) => {
                own.fields.iter().zip(&other.fields).all(|(own, other)| own.kind.is_read_as(&other.kind))
            }
            // What it contains is compared where it stands in whole.
            (Type::Recursive(_), Type::Recursive(_)) | (Type::Enum(_), Type::Enum(_)) => true,
            (own, other) => own.shape() == other.shape(),
        }
    }
}
