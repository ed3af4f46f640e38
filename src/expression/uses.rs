//! Which parts of its bindings an expression reads.

use super::Binding;
use super::program::{Node, NodeKind};
use crate::record::Fields;

/// For each binding that the tree reads, the part of it that it reads.
pub(super) fn uses(node: &Node) -> Vec<(Binding, Fields)> {
    let mut found = Vec::new();
    collect(node, &mut found);
    found
}

fn collect(node: &Node, found: &mut Vec<(Binding, Fields)>) {
    match path(node) {
        Some((binding, names)) => add(found, binding, &names),
        None => {
            if let NodeKind::Native { function, arguments } = &node.kind {
                for (position, argument) in arguments.iter().enumerate() {
                    match path(argument) {
                        Some((binding, names)) if names.is_empty() => merge(found, binding, function.reads(position)),
                        _ => collect(argument, found),
                    }
                }
                return;
            }
            if matches!(node.kind, NodeKind::Header(_) | NodeKind::HasHeader(_)) {
                // The name is computed, so that any header may be read.
                add(found, Binding::Headers, &[]);
            }
            node.children().for_each(|child| collect(child, found));
        }
    }
}

fn add(found: &mut Vec<(Binding, Fields)>, binding: Binding, names: &[&str]) {
    merge(found, binding, &Fields::path(names));
}

fn merge(found: &mut Vec<(Binding, Fields)>, binding: Binding, fields: &Fields) {
    match found.iter_mut().find(|(known, _)| *known == binding) {
        Some((_, known)) => known.merge(fields),
        None => found.push((binding, fields.clone())),
    }
}

/// The binding and the path of a chain of fields such as `value.customer.name`.
fn path(node: &Node) -> Option<(Binding, Vec<&str>)> {
    match &node.kind {
        NodeKind::Slot(binding) => Some((binding.clone(), Vec::new())),
        NodeKind::WindowStart => Some((Binding::Window, vec!["start"])),
        NodeKind::WindowEnd => Some((Binding::Window, vec!["end"])),
        NodeKind::Header(name) | NodeKind::HasHeader(name) => match &name.kind {
            NodeKind::Constant(name) => Some((Binding::Headers, vec![name.as_str()?])),
            _ => None,
        },
        NodeKind::Field { operand, name, .. }
        | NodeKind::Member { operand, name }
        | NodeKind::Has { operand, name } => {
            let (binding, mut names) = path(operand)?;
            names.push(name);
            Some((binding, names))
        }
        _ => None,
    }
}

impl Node {
    /// The sub-expressions of this node.
    pub(super) fn children(&self) -> Box<dyn Iterator<Item = &Node> + '_> {
        fn of<'a, const N: usize>(nodes: [&'a Node; N]) -> Box<dyn Iterator<Item = &'a Node> + 'a> {
            Box::new(nodes.into_iter())
        }
        match &self.kind {
            NodeKind::Constant(_)
            | NodeKind::Slot(_)
            | NodeKind::Variable(_)
            | NodeKind::WindowStart
            | NodeKind::WindowEnd => Box::new(std::iter::empty()),
            NodeKind::Header(node) | NodeKind::HasHeader(node) | NodeKind::Not(node) | NodeKind::Negate(node) => {
                of([node])
            }
            NodeKind::Field { operand, .. } | NodeKind::Member { operand, .. } | NodeKind::Has { operand, .. } => {
                of([operand])
            }
            NodeKind::Matches { text, .. } => of([text]),
            NodeKind::Index { operand, index } => of([operand, index]),
            NodeKind::And(left, right) | NodeKind::Or(left, right) | NodeKind::In(left, right) => of([left, right]),
            NodeKind::Equal { left, right, .. }
            | NodeKind::Compare { left, right, .. }
            | NodeKind::Arithmetic { left, right, .. } => of([left, right]),
            NodeKind::Conditional { condition, then, otherwise } => of([condition, then, otherwise]),
            NodeKind::List(nodes) | NodeKind::Coalesce(nodes) => Box::new(nodes.iter()),
            NodeKind::Struct { values, .. } => Box::new(values.iter()),
            NodeKind::Call { arguments, .. } | NodeKind::Native { arguments, .. } => Box::new(arguments.iter()),
            NodeKind::Pick { from, .. } => Box::new(from.iter()),
            NodeKind::Map(entries) => Box::new(entries.iter().flat_map(|(key, value)| [key, value])),
            NodeKind::Loop { operand, body } => Box::new(std::iter::once(operand.as_ref()).chain(body.bodies())),
        }
    }
}
