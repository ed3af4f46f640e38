//! A place in the graph of a builder, which streams and tables of every type have.

use std::rc::Rc;

use super::draft::{NodeId, Shared};
use super::yaml::Tree;
use crate::expression::NativeFunction;

/// The key as expressions see it.
const KEY: &str = "key";
/// A key with its window, as [`Windowed`](super::Windowed) is read.
const WINDOWED_KEY: &str = "{'key': key, 'start': window.start, 'end': window.end}";

/// A place in the graph.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) shared: Shared,
    pub(super) node: NodeId,
    /// What stands for the key in expressions.
    key: &'static str,
}

impl Handle {
    /// A node whose keys have no windows.
    pub(super) fn new(shared: &Shared, node: NodeId) -> Self {
        Handle { shared: Rc::clone(shared), node, key: KEY }
    }

    /// Another node with keys of this kind.
    pub(super) fn at(&self, node: NodeId) -> Self {
        Handle { node, ..self.clone() }
    }

    /// The same place, where keys have windows.
    pub(super) fn windowed(self) -> Self {
        Handle { key: WINDOWED_KEY, ..self }
    }

    /// The same place, after the keys have become others.
    pub(super) fn rekeyed(self) -> Self {
        Handle { key: KEY, ..self }
    }

    /// What refers to the node.
    pub(super) fn reference(&self) -> Tree {
        Tree::Reference(self.node)
    }

    /// A call of a function: `verb_1(arguments)`.
    pub(super) fn call(&self, verb: &str, arguments: &str, function: NativeFunction) -> Tree {
        let name = self.shared.borrow_mut().function(verb, function);
        Tree::Text(format!("{name}({arguments})"))
    }

    /// A call of a function of key and value.
    pub(super) fn call_with_key(&self, verb: &str, function: NativeFunction) -> Tree {
        self.call(verb, &format!("{}, value", self.key), function)
    }

    /// A call of a function of key, value and state.
    pub(super) fn call_with_state(&self, verb: &str, function: NativeFunction) -> Tree {
        self.call(verb, &format!("{}, value, acc", self.key), function)
    }

    /// A step behind this place.
    pub(super) fn step(&self, verb: &str, argument: Tree) -> Self {
        let node = self.shared.borrow_mut().step(self.node, verb, argument);
        self.at(node)
    }

    /// A table.
    pub(super) fn table(&self, name: Option<&str>, fields: Tree) -> Self {
        let node = self.shared.borrow_mut().table(name, fields);
        self.at(node)
    }

    /// A stream that starts from several others.
    pub(super) fn stream(&self, name: Option<&str>, fields: Tree) -> Self {
        let node = self.shared.borrow_mut().stream(name, fields);
        self.at(node)
    }

    /// Gives the node a name.
    pub(super) fn name(&self, name: &str) {
        self.shared.borrow_mut().name(self.node, name);
    }
}
