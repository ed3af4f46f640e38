//! Which parts of a value come from personal data, known before there is a value.
//!
//! A [`Taint`] has the form of the value that it is about: fields of structs and entries of maps by name, the elements of
//! lists together. Where a part's form is not known, or too deep, the part counts as a whole. A [`Mark`] names where the
//! data came from; who makes marks knows what they stand for. Joining keeps the mark that was there first, so that joining
//! again and again comes to an end; only a mark of what code of Rust has made gives way, once, to one of what it has not.

use std::collections::BTreeMap;
use std::fmt;

use crate::record::Fields;

/// How deep parts are told apart; what lies deeper counts as a whole. It bounds states that grow around themselves.
const MAX_DEPTH: usize = 16;

/// How many parts are told apart in a value; one of more counts as a whole.
const MAX_PARTS: usize = 1024;

/// Where personal data came from, by a number that its maker gives a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    number: usize,
    opaque: bool,
}

impl Mark {
    /// The mark of a number.
    pub fn new(number: usize) -> Self {
        Mark { number, opaque: false }
    }

    /// The number.
    pub fn number(self) -> usize {
        self.number
    }

    /// The same of something that code of Rust has made: which of its parts hold personal data only its author knows.
    pub fn made_by_code(self) -> Self {
        self.unknown_within()
    }

    /// The same of something of which it is not known which of its parts hold personal data, but where it is written.
    pub fn unknown_within(self) -> Self {
        Mark { opaque: true, ..self }
    }

    /// Whether code of Rust has made what it stands for.
    pub fn is_made_by_code(self) -> bool {
        self.opaque
    }

    /// The same of another number.
    pub fn renumbered(self, number: usize) -> Self {
        Mark { number, ..self }
    }
}

/// One step from a value to a part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A field of a struct, or the entry of a map.
    Field(String),
    /// Any element of a list, or any entry of a map.
    Element,
}

/// The parts of a value that come from personal data; by default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    /// The mark of the value as a whole. Then its parts are not told apart.
    whole: Option<Mark>,
    /// Those of its parts that hold some.
    parts: BTreeMap<Part, Taint>,
}

impl Taint {
    /// No personal data.
    pub fn clean() -> Self {
        Taint::default()
    }

    /// Personal data as a whole.
    pub fn whole(mark: Mark) -> Self {
        Taint { whole: Some(mark), parts: BTreeMap::new() }
    }

    /// Personal data as a whole, where there is a mark.
    pub fn whole_if(mark: Option<Mark>) -> Self {
        Taint { whole: mark, parts: BTreeMap::new() }
    }

    /// A list or map whose elements are like this.
    pub fn elements(element: Taint) -> Self {
        Taint::clean().with(Part::Element, element)
    }

    /// A struct with these fields.
    pub fn fields<N: Into<String>>(fields: impl IntoIterator<Item = (N, Taint)>) -> Self {
        fields.into_iter().fold(Taint::clean(), |all, (name, taint)| all.with(Part::Field(name.into()), taint))
    }

    /// The same with this in place of a part. A whole stays one, and no less than what is put into it.
    pub fn with(mut self, part: Part, taint: Taint) -> Self {
        if self.whole.is_some() {
            self.join(&taint);
            return self;
        }
        self.parts.remove(&part);
        if !taint.is_clean() {
            self.parts.insert(part, taint);
            return self.bounded();
        }
        self
    }

    /// The same, as a whole if it has too many parts.
    fn bounded(self) -> Self {
        if self.size() > MAX_PARTS { self.flattened() } else { self }
    }

    /// Whether there is no personal data in it.
    pub fn is_clean(&self) -> bool {
        self.whole.is_none() && self.parts.is_empty()
    }

    /// Whether all of it counts as personal data.
    pub fn is_whole(&self) -> bool {
        self.whole.is_some()
    }

    /// The first mark in it, wherever it stands; of what code of Rust has made only if there is no other.
    pub fn mark(&self) -> Option<Mark> {
        self.first_mark(&|mark| !mark.opaque).or_else(|| self.first_mark(&|_| true))
    }

    fn first_mark(&self, is_wanted: &dyn Fn(&Mark) -> bool) -> Option<Mark> {
        self.whole.filter(is_wanted).or_else(|| self.parts.values().find_map(|part| part.first_mark(is_wanted)))
    }

    /// The same, made by code of Rust.
    pub fn made_by_code(&self) -> Taint {
        self.marked(&mut Mark::made_by_code)
    }

    /// What becomes of a value that depends on all of this one.
    pub fn flattened(&self) -> Taint {
        Taint::whole_if(self.mark())
    }

    /// The field or entry of that name.
    pub fn field(&self, name: &str) -> Taint {
        if self.whole.is_some() {
            return Taint::whole_if(self.whole);
        }
        let mut found = self.parts.get(&Part::Field(name.to_owned())).cloned().unwrap_or_default();
        if let Some(any) = self.parts.get(&Part::Element) {
            found.join(any);
        }
        found
    }

    /// An element, or an entry whose name is not known.
    pub fn element(&self) -> Taint {
        let mut found = Taint::whole_if(self.whole);
        self.parts.values().for_each(|part| {
            found.join(part);
        });
        found
    }

    /// Of it, only what somebody reads who reads these fields.
    pub fn read(&self, fields: &Fields) -> Option<Mark> {
        match fields {
            Fields::All => self.mark(),
            Fields::Some(names) => {
                let of_fields = || names.iter().find_map(|(name, fields)| self.field(name).read(fields));
                let of_elements = || self.parts.get(&Part::Element).and_then(|element| element.read(fields));
                self.whole.or_else(of_fields).or_else(of_elements)
            }
        }
    }

    /// The same of a value of which only these fields are there.
    pub fn restricted(&self, fields: &Fields) -> Taint {
        match fields {
            Fields::Some(names) if !self.parts.contains_key(&Part::Element) => {
                Taint::fields(names.iter().map(|(name, fields)| (name.as_str(), self.field(name).restricted(fields))))
            }
            Fields::Some(_) | Fields::All => self.clone(),
        }
    }

    /// Adds what `other` says; whether that says more than was known.
    pub fn join(&mut self, other: &Taint) -> bool {
        let more = self.join_within(other, MAX_DEPTH);
        if more && self.size() > MAX_PARTS {
            *self = self.flattened();
        }
        more
    }

    fn size(&self) -> usize {
        self.parts.values().fold(1, |sum, part| sum.saturating_add(part.size()))
    }

    fn join_within(&mut self, other: &Taint, depth: usize) -> bool {
        if other.is_clean() {
            return false;
        }
        if let Some(mark) = self.whole {
            let stricter = other.mark().filter(|other| mark.opaque && !other.opaque);
            self.whole = stricter.or(self.whole);
            return stricter.is_some();
        }
        if other.whole.is_some() || depth == 0 {
            let both = [other.mark(), self.mark()];
            let strict = both.into_iter().flatten().find(|mark| !mark.opaque);
            *self = Taint::whole_if(strict.or(other.mark()));
            return true;
        }
        let mut more = false;
        for (part, taint) in &other.parts {
            more |= self.parts.entry(part.clone()).or_default().join_within(taint, depth - 1);
        }
        more
    }

    /// Both together.
    pub fn joined(mut self, other: &Taint) -> Taint {
        self.join(other);
        self
    }

    /// The same with every mark replaced.
    pub fn marked(&self, renamed: &mut impl FnMut(Mark) -> Mark) -> Taint {
        let whole = self.whole.map(&mut *renamed);
        Taint { whole, parts: self.parts.iter().map(|(part, taint)| (part.clone(), taint.marked(renamed))).collect() }
    }

    /// The largest parts that hold personal data, each with its mark, in the order of their names.
    pub fn paths(&self) -> Vec<(Path, Mark)> {
        let mut found = Vec::new();
        self.collect(&mut Path::default(), &mut found);
        found
    }

    fn collect(&self, path: &mut Path, found: &mut Vec<(Path, Mark)>) {
        if let Some(mark) = self.whole {
            found.push((path.clone(), mark));
        }
        for (part, taint) in &self.parts {
            path.0.push(part.clone());
            taint.collect(path, found);
            path.0.pop();
        }
    }
}

/// The way from a value to a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Part>);

impl fmt::Display for Path {
    /// Writes what stands behind the name of the value: `.entities[].value`; nothing for the value itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Field(name) => write!(f, ".{name}"),
            Part::Element => f.write_str("[]"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer() -> Taint {
        Taint::fields([("name", Taint::whole(Mark::new(1))), ("orders", Taint::elements(Taint::whole(Mark::new(2))))])
    }

    #[test]
    fn parts_are_told_apart() {
        assert_eq!(customer().field("name"), Taint::whole(Mark::new(1)));
        assert!(customer().field("city").is_clean());
        assert_eq!(customer().field("orders").element(), Taint::whole(Mark::new(2)));
        let shown: Vec<String> = customer().paths().iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(shown, [".name", ".orders[]"]);
        assert!(customer().with(Part::Field("name".to_owned()), Taint::clean()).field("name").is_clean());
    }

    #[test]
    fn joining_keeps_the_first_mark_and_says_whether_it_learnt_something() {
        let mut taint = customer();
        assert!(!taint.join(&Taint::fields([("name", Taint::whole(Mark::new(7)))])));
        assert_eq!(taint.field("name").mark(), Some(Mark::new(1)));
        assert!(taint.join(&Taint::fields([("city", Taint::whole(Mark::new(7)))])));
        assert!(taint.join(&Taint::whole(Mark::new(9))));
        assert!(!taint.join(&customer()));
        assert_eq!(taint, Taint::whole(Mark::new(9)));
    }

    #[test]
    fn what_code_has_made_is_believed_less_than_anything_else() {
        let made = Taint::whole(Mark::new(1)).made_by_code();
        let mut both = made.clone();
        assert!(both.join(&Taint::fields([("name", Taint::whole(Mark::new(2)))])), "a mark that says more");
        assert_eq!(both, Taint::whole(Mark::new(2)));
        assert!(!both.join(&made));
        let name = || Taint::fields([("name", Taint::whole(Mark::new(2)))]);
        assert_eq!(name().joined(&made), Taint::whole(Mark::new(2)));
        assert_eq!(Taint::fields([("a", made.clone()), ("name", name())]).mark(), Some(Mark::new(2)));
        // What is put into something that code has made is not lost in it.
        let put = |taint| made.clone().with(Part::Field("note".to_owned()), taint);
        assert_eq!(put(Taint::whole(Mark::new(2))), Taint::whole(Mark::new(2)));
        assert_eq!(put(Taint::clean()), made);
    }

    #[test]
    fn what_grows_around_itself_becomes_a_whole() {
        let mut state = Taint::whole(Mark::new(0)).joined(&Taint::clean());
        state = Taint::fields([("x", state)]);
        let mut rounds = 0;
        while state.join(&Taint::fields([("before", state.clone())])) {
            rounds += 1;
            assert!(rounds < 100, "it comes to an end");
        }
        assert!(state.paths().iter().all(|(path, _)| path.0.len() <= MAX_DEPTH));
        let mut wide = Taint::fields([("x", Taint::whole(Mark::new(0)))]);
        for _ in 0..12 {
            wide.join(&Taint::fields([("a", wide.clone()), ("b", wide.clone()), ("c", wide.clone())]));
        }
        assert!(wide.is_whole());
        let mut doubled = Taint::whole(Mark::new(0));
        for _ in 0..60 {
            doubled = Taint::fields([("a", doubled.clone()), ("b", doubled)]);
        }
        assert!(doubled.size() <= MAX_PARTS, "what an expression makes is bounded, too");
    }

    #[test]
    fn only_what_is_read_counts() {
        assert_eq!(customer().read(&Fields::path(&["name"])), Some(Mark::new(1)));
        assert_eq!(customer().read(&Fields::path(&["city"])), None);
        assert_eq!(customer().read(&Fields::All), Some(Mark::new(1)));
        assert_eq!(
            customer().restricted(&Fields::path(&["name"])),
            Taint::fields([("name", Taint::whole(Mark::new(1)))])
        );
        assert_eq!(Taint::whole(Mark::new(1)).restricted(&Fields::path(&["a", "b"])).paths()[0].0.to_string(), ".a.b");
        assert!(customer().restricted(&Fields::none()).is_clean());
        assert_eq!(Taint::elements(customer()).read(&Fields::path(&["name"])), Some(Mark::new(1)));
    }
}
