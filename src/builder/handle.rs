//! A place in the graph of a builder, which streams and tables of every type have.

use std::rc::Rc;

use super::data::Data;
use super::draft::{Misread, NodeId, Shared};
use super::function::unreadable;
use super::yaml::Tree;
use crate::expression::NativeFunction;
use crate::record::Shape;

/// The key as expressions see it.
const KEY: &str = "key";
/// A key with its window, as [`Windowed`](super::Windowed) is read.
const WINDOWED_KEY: &str = "{'key': key, 'start': window.start, 'end': window.end}";

/// Where a record came from, as [`RecordContext`](super::RecordContext) is read.
const CONTEXT: &str =
    "{'topic': topic, 'partition': partition, 'offset': offset, 'timestamp': timestamp, 'headers': headers}";

/// Defines a place in the graph with types of keys and values.
macro_rules! typed {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<K, V> {
            pub(super) handle: $crate::builder::handle::Handle,
            types: $crate::builder::data::Types<(K, V)>,
        }

        impl<K, V> Clone for $name<K, V> {
            fn clone(&self) -> Self {
                $name::at(self.handle.clone())
            }
        }

        impl<K, V> $name<K, V> {
            pub(super) fn at(handle: $crate::builder::handle::Handle) -> Self {
                $name { handle, types: std::marker::PhantomData }
            }
        }
    };
}

/// Lets a place be named, and told what to do with records that fail there.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident) => {
        impl<K, V> $name<K, V> {
            $(#[$doc])*
            pub fn named(self, name: &str) -> Self {
                self.handle.name(name);
                self
            }

            /// Says what happens to records on which what was asked for last fails; the builder's defaults, if nothing is
            /// said.
            pub fn on_error(self, policy: $crate::builder::OnError) -> Self {
                self.handle.shared.borrow_mut().on_error(self.handle.node, policy.tree("process"));
                self
            }

            /// Says that the closures of what was asked for last give nothing of the personal data that they take: they
            /// redact, count or compare. Who says so answers for it. All that a closure gives counts as personal data
            /// otherwise, as soon as the type that it takes has a field that is.
            pub fn clears_personal_data(self) -> Self {
                self.handle.shared.borrow_mut().clear_personal_data(self.handle.node);
                self
            }
        }
    };
}

pub(super) use {named, typed};

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

    /// Writes what comes here as these fields of a sink say.
    pub(super) fn sink(&self, fields: Tree) {
        self.shared.borrow_mut().sink(Tree::map([("from", self.reference())]).and(fields));
    }

    /// The same place, after the keys have become others.
    pub(super) fn rekeyed(self) -> Self {
        Handle { key: KEY, ..self }
    }

    /// What refers to the node.
    pub(super) fn reference(&self) -> Tree {
        Tree::Reference(self.node)
    }

    /// A call of a function.
    pub(super) fn call(&self, verb: &str, arguments: &str, function: NativeFunction) -> Tree {
        self.shared.borrow_mut().call(verb, arguments, function)
    }

    /// A call of a function of key and value.
    pub(super) fn call_with_key(&self, verb: &str, function: NativeFunction) -> Tree {
        self.call(verb, &format!("{}, value", self.key), function)
    }

    /// A call of a function of key, value and where the record came from.
    pub(super) fn call_with_context(&self, verb: &str, function: NativeFunction) -> Tree {
        self.call(verb, &format!("{}, value, {CONTEXT}", self.key), function)
    }

    /// What a call of a function of key and value gives, as a step.
    pub(super) fn step_with_key(&self, verb: &str, function: NativeFunction) -> Self {
        self.step(verb, self.call_with_key(verb, function))
    }

    /// What a call of a function of the value gives, as a step.
    pub(super) fn step_of_value(&self, verb: &str, function: NativeFunction) -> Self {
        self.step(verb, self.call(verb, "value", function))
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

    /// The first of two steps that are one to whoever asks for it.
    pub(super) fn half_step(&self, verb: &str, argument: Tree) -> Self {
        let node = self.shared.borrow_mut().half_step(self.node, verb, argument);
        self.at(node)
    }

    /// A table.
    pub(super) fn table(&self, name: Option<&str>, fields: Tree) -> Self {
        let node = self.shared.borrow_mut().table(name, fields);
        self.at(node)
    }

    /// A table with one field beside what it is made of.
    pub(super) fn derived(&self, field: &str, argument: Tree) -> Self {
        self.table(None, Tree::map([("from", self.reference()), (field, argument)]))
    }

    /// A stream that starts from several others.
    pub(super) fn stream(&self, name: Option<&str>, fields: Tree) -> Self {
        let node = self.shared.borrow_mut().stream(name, fields);
        self.at(node)
    }

    /// Notes that rows of a shape are to be read as a type, which they may not be of.
    pub(super) fn rows_are<R: Data>(&self, table: &str, rows: &Shape) {
        if let Some(reason) = unreadable::<R>(rows) {
            let misread = Misread { table: table.to_owned(), row: std::any::type_name::<R>(), reason };
            self.shared.borrow_mut().misread.push(misread);
        }
    }

    /// Gives the node a name.
    pub(super) fn name(&self, name: &str) {
        self.shared.borrow_mut().name(self.node, name);
    }
}
