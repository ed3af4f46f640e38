//! Which parts of an expression's result come from personal data.
//!
//! Values are followed, not decisions: what a comparison, a condition, `size` or `has` says about personal data is a truth
//! or a count, and counts as none, and so does which of two results a condition chooses. `docs/personal-data.md` says why.
//! A truth or a word of a closed set is told by a comparison as it is, so that there the mark stays: see `as_it_came.rs`.
//! Functions that are not known here give what they are given, as a whole.

use super::as_it_came::{Came, is_spelt_out};
use super::functions::Function;
use super::loops::Loop;
use super::native::NativeFunction;
use super::program::{Node, NodeKind};
use super::taint::{Part, Taint};
use super::{Binding, Expression, Projection};
use crate::record::{Shape, Value};

/// Functions whose results say something about their arguments and hold nothing of them: truths, counts and positions.
const TELLING: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "indexOf",
    "lastIndexOf",
    "type",
    "math.isNaN",
    "math.isInf",
    "math.isFinite",
];

/// Functions that give some of the elements of a list, or all in another order: their first argument's form is kept.
const REARRANGING: &[&str] = &["take", "take_last", "slice", "distinct", "sort", "reverse", "dyn"];

/// What of an expression's input is personal data.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Of the key.
    pub key: Taint,
    /// Of the value; of the value before a change, too.
    pub value: Taint,
    /// Of the headers, by name.
    pub headers: Taint,
    /// Of the timestamp, and so of the window.
    pub timestamp: Taint,
    /// Of the values of [`Binding::Local`].
    pub locals: Vec<Taint>,
}

impl Given {
    fn of(&self, binding: &Binding) -> Taint {
        match binding {
            Binding::Key => self.key.clone(),
            Binding::Value | Binding::Old => self.value.clone(),
            Binding::Headers => self.headers.clone(),
            Binding::Timestamp | Binding::Window => self.timestamp.clone(),
            Binding::Local(position) => self.locals.get(*position).cloned().unwrap_or_default(),
            // A topic is never named after personal data: the planner refuses that.
            Binding::Topic | Binding::Partition | Binding::Offset => Taint::clean(),
        }
    }
}

impl Expression {
    /// Which parts of its results come from personal data.
    pub fn flow(&self, given: &Given) -> Taint {
        Flow::new(given, &self.0.shapes).of(&self.0.root)
    }

    /// Of its results, what comes from personal data and is no longer free text as it came into the expression: there, what
    /// shows what it is may not be found any more.
    pub fn flow_of_changed(&self, given: &Given) -> Taint {
        Flow::new(given, &self.0.shapes).changed(&self.0.root)
    }
}

impl Projection {
    /// Which parts of its results come from personal data.
    pub fn flow(&self, given: &Given) -> Taint {
        self.by_expression(&|expression| expression.flow(given))
    }

    /// The same of what is no longer free text as it came: see [`Expression::flow_of_changed`].
    pub fn flow_of_changed(&self, given: &Given) -> Taint {
        self.by_expression(&|expression| expression.flow_of_changed(given))
    }

    fn by_expression(&self, of: &dyn Fn(&Expression) -> Taint) -> Taint {
        match self {
            Projection::Expression(expression) => of(expression),
            Projection::Struct { shape: Shape::Struct(shape), parts } => Taint::fields(
                shape.fields().iter().map(|field| &*field.name).zip(parts.iter().map(|part| part.by_expression(of))),
            ),
            Projection::Struct { parts, .. } | Projection::List { parts, .. } => {
                Taint::elements(parts.iter().fold(Taint::clean(), |all, part| all.joined(&part.by_expression(of))))
            }
        }
    }
}

/// Goes through an expression.
pub(super) struct Flow<'g> {
    given: &'g Given,
    /// The shapes of what bindings stand for.
    pub(super) shapes: &'g [(Binding, Shape)],
    /// What the variables of the macros around the current position hold, innermost last.
    pub(super) variables: Vec<Variable>,
}

/// The variable of a macro.
pub(super) struct Variable {
    taint: Taint,
    /// What it is as it came.
    pub(super) came: Vec<Came>,
}

impl<'g> Flow<'g> {
    fn new(given: &'g Given, shapes: &'g [(Binding, Shape)]) -> Self {
        Flow { given, shapes, variables: Vec::new() }
    }

    pub(super) fn of(&mut self, node: &Node) -> Taint {
        match &node.kind {
            NodeKind::Slot(binding) => self.given.of(binding),
            NodeKind::Variable(depth) => {
                self.variables.iter().rev().nth(*depth).map(|variable| variable.taint.clone()).unwrap_or_default()
            }
            NodeKind::WindowStart | NodeKind::WindowEnd => self.given.timestamp.flattened(),
            NodeKind::Header(name) => named(&self.given.headers, name),
            NodeKind::Field { operand, name, .. } | NodeKind::Member { operand, name } => self.of(operand).field(name),
            NodeKind::Index { operand, index } => {
                let named = named(&self.of(operand), index);
                // Of what the topology spells out, an index chooses what is the same as something else.
                if is_spelt_out(operand) { named.joined(&self.of(index).flattened()) } else { named }
            }
            NodeKind::Constant(_) | NodeKind::Has { .. } | NodeKind::HasHeader(_) | NodeKind::Matches { .. } => {
                Taint::clean()
            }
            NodeKind::Equal { left, right, .. } | NodeKind::Compare { left, right, .. } | NodeKind::In(left, right) => {
                self.told(left, right).joined(&self.told(right, left))
            }
            // Lists are put together, and everything else is one value made of two.
            NodeKind::Arithmetic { left, right, .. } => self.of(left).joined(&self.of(right)),
            NodeKind::Conditional { then, otherwise, .. } => self.of(then).joined(&self.of(otherwise)),
            NodeKind::Coalesce(candidates) => self.any(candidates),
            NodeKind::List(elements) => Taint::elements(self.any(elements)),
            NodeKind::Struct { shape, values } => {
                let values: Vec<Taint> = values.iter().map(|value| self.of(value)).collect();
                Taint::fields(shape.fields().iter().map(|field| &*field.name).zip(values))
            }
            NodeKind::Map(entries) => self.map(entries),
            NodeKind::Pick { from, shape, plan } => {
                let from: Vec<Taint> = from.iter().map(|node| self.of(node)).collect();
                let picked = plan.iter().zip(shape.fields()).map(|((side, _), field)| {
                    (&*field.name, from.get(*side).map(|taint| taint.field(&field.name)).unwrap_or_default())
                });
                Taint::fields(picked)
            }
            NodeKind::Loop { operand, body } => self.over(operand, body),
            NodeKind::Call { function, arguments } => self.call(function, arguments),
            NodeKind::Native { function, arguments } => self.native(function, arguments),
            // `!`, `&&`, `||`, `-` and what is not known here: a value made of all that it is given.
            _ => node.children().fold(Taint::clean(), |all, child| all.joined(&self.of(child).flattened())),
        }
    }

    /// What any of several may give.
    fn any(&mut self, nodes: &[Node]) -> Taint {
        nodes.iter().fold(Taint::clean(), |all, node| all.joined(&self.of(node)))
    }

    fn map(&mut self, entries: &[(Node, Node)]) -> Taint {
        let mut elements = Taint::clean();
        for (key, value) in entries {
            let key = self.of(key);
            if !key.is_clean() {
                return key.flattened();
            }
            elements.join(&self.of(value));
        }
        Taint::elements(elements)
    }

    fn over(&mut self, operand: &Node, body: &Loop) -> Taint {
        let (taint, came) = (self.of(operand), self.came(operand));
        let came = came.into_iter().flat_map(|came| came.elements()).collect();
        self.variables.push(Variable { taint: taint.element(), came });
        // Of a list that the topology spells out, a condition can choose what is the same as something else.
        let is_spelt_out = is_spelt_out(operand);
        let result = match body {
            Loop::Filter(condition) if is_spelt_out => taint.joined(&Taint::elements(self.read_by(condition))),
            Loop::Filter(_) => taint,
            Loop::Map { condition: Some(condition), result } if is_spelt_out => {
                Taint::elements(self.of(result).joined(&self.read_by(condition)))
            }
            Loop::Map { result, .. } => Taint::elements(self.of(result)),
            Loop::All(condition) | Loop::Exists(condition) | Loop::ExistsOne(condition) => {
                self.of(condition).flattened()
            }
        };
        self.variables.pop();
        result
    }

    /// All that an expression reads, also what it only tells something about.
    fn read_by(&mut self, node: &Node) -> Taint {
        match &node.kind {
            NodeKind::Slot(_)
            | NodeKind::Variable(_)
            | NodeKind::Header(_)
            | NodeKind::Field { .. }
            | NodeKind::Member { .. } => self.of(node).flattened(),
            NodeKind::Loop { operand, body } => {
                let read = self.read_by(operand);
                self.variables.push(Variable { taint: read.clone(), came: Vec::new() });
                let read = body.bodies().fold(read, |read, body| read.joined(&self.read_by(body)));
                self.variables.pop();
                read
            }
            _ => node.children().fold(Taint::clean(), |read, child| read.joined(&self.read_by(child))),
        }
    }

    fn call(&mut self, function: &Function, arguments: &[Node]) -> Taint {
        let name = function.name;
        if TELLING.contains(&name) {
            return Taint::clean();
        }
        let given: Vec<Taint> = arguments.iter().map(|argument| self.of(argument)).collect();
        let first = given.first().cloned().unwrap_or_default();
        match (name, arguments) {
            _ if REARRANGING.contains(&name) => first,
            // What stands in its place comes from the second argument.
            ("redact", [_, _]) => given.get(1).map(Taint::flattened).unwrap_or_default(),
            ("redact", [text]) if self.is_text_as_it_came(text) => Taint::clean(),
            ("first" | "last", _) => first.element(),
            ("flatten", _) => Taint::elements(first.element().element()),
            ("merge", [_, other]) => merged(first, given.get(1), other),
            ("without", [_, names @ ..]) => names
                .iter()
                .filter_map(constant)
                .fold(first, |left, name| left.with(Part::Field(name.to_owned()), Taint::clean())),
            _ => Taint::whole_if(given.iter().find_map(Taint::mark)),
        }
    }

    fn native(&mut self, function: &NativeFunction, arguments: &[Node]) -> Taint {
        if function.is_clearing() {
            return Taint::clean();
        }
        let marks = arguments.iter().enumerate().map(|(position, node)| self.of(node).read(function.reads(position)));
        Taint::whole_if(marks.collect::<Vec<_>>().into_iter().flatten().next()).made_by_code()
    }
}

/// A part that an expression names.
fn named(of: &Taint, name: &Node) -> Taint {
    match constant(name) {
        Some(name) => of.field(name),
        None => of.element(),
    }
}

fn constant(node: &Node) -> Option<&str> {
    match &node.kind {
        NodeKind::Constant(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// `merge` of what is only known at run time: what a literal names takes the place of what was there.
fn merged(base: Taint, with: Option<&Taint>, node: &Node) -> Taint {
    let with = with.cloned().unwrap_or_default();
    let with_names = |base: Taint, names: Vec<&str>| {
        names.into_iter().fold(base, |merged, name| merged.with(Part::Field(name.to_owned()), with.field(name)))
    };
    match &node.kind {
        NodeKind::Struct { shape, .. } => with_names(base, shape.fields().iter().map(|field| &*field.name).collect()),
        // A literal of literals.
        NodeKind::Constant(Value::Struct(fields)) => with_names(base, fields.iter().map(|(name, _)| &**name).collect()),
        NodeKind::Constant(Value::Map(map)) => with_names(base, map.keys().map(|name| &**name).collect()),
        _ => base.joined(&with),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::native::NativeFunction;
    use crate::expression::{Mark, Scope};
    use crate::record::Fields;

    fn flow(function: NativeFunction, given: Taint) -> Taint {
        let fields = [("name", Shape::String), ("city", Shape::String)];
        let scope = Scope::new().with("value", Binding::Value, Shape::structure("", fields));
        let scope = scope.with_functions([("f".to_owned(), function)].into_iter().collect());
        let expression = Expression::compile("{'x': f(value), 'y': value.city}", &scope).unwrap();
        expression.flow(&Given { value: given, ..Given::default() })
    }

    fn function() -> NativeFunction {
        NativeFunction::new(1, Shape::Any, |_| Ok(Value::Null))
    }

    #[test]
    fn a_function_of_rust_gives_what_it_reads_unless_it_says_otherwise() {
        let name = || Taint::fields([("name", Taint::whole(Mark::new(1)))]);
        let shown = |taint: Taint| taint.paths().iter().map(|(path, _)| path.to_string()).collect::<Vec<_>>();
        assert_eq!(shown(flow(function(), name())), [".x"]);
        assert_eq!(shown(flow(function(), Taint::whole(Mark::new(1)))), [".x", ".y"]);
        let reading = |field: &str| function().taking(0, Shape::Any, Fields::path(&[field]));
        assert_eq!(shown(flow(reading("name"), name())), [".x"]);
        assert_eq!(shown(flow(reading("city"), name())), Vec::<String>::new());
        assert_eq!(shown(flow(function().clearing_personal_data(), name())), Vec::<String>::new());
    }
}
