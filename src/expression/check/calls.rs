//! Calls of functions and macros.

use std::ops::Range;
use std::sync::Arc;

use super::{Checker, Typed, constant_value, describe, typed};
use crate::expression::error::{ExpressionError, Reason};
use crate::expression::functions::{self, Function, Style};
use crate::expression::loops::Loop;
use crate::expression::native::NativeFunction;
use crate::expression::parse::{Syntax, SyntaxKind};
use crate::expression::program::{Node, NodeKind};
use crate::expression::suggest;
use crate::record::{Shape, Value};

/// The macros, with what they are given, for messages.
pub(super) const MACROS: [(&str, &str); 6] = [
    ("all", "`list.all(x, x > 0)`"),
    ("exists", "`list.exists(x, x > 0)`"),
    ("exists_one", "`list.exists_one(x, x > 0)`"),
    ("existsOne", "`list.existsOne(x, x > 0)`"),
    ("map", "`list.map(x, x + 1)` or `list.map(x, x > 0, x + 1)`"),
    ("filter", "`list.filter(x, x > 0)`"),
];

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        target: Option<&Syntax>,
        name: &str,
        name_range: &Range<usize>,
        arguments: &[Syntax],
        range: &Range<usize>,
    ) -> Typed {
        if let Some(Syntax { kind: SyntaxKind::Name(namespace), range: start }) = target
            && namespace == "math"
            && self.scope.get(namespace).is_none()
        {
            return self.function(None, &format!("math.{name}"), &(start.start..name_range.end), arguments, range);
        }
        match (target, name) {
            (Some(target), _) if MACROS.iter().any(|(known, _)| *known == name) => {
                self.macro_call(target, name, arguments, range)
            }
            (None, "has") => self.has(arguments, range),
            (None, "coalesce") => self.coalesce(arguments, range),
            (None, "merge") => self.merge(arguments, range),
            (None, "without") => self.without(arguments, range),
            _ => self.function(target, name, name_range, arguments, range),
        }
    }

    /// Reports a wrong number of arguments; `usage` shows a right call.
    pub(super) fn wrong_usage(&mut self, name: &str, usage: &str, range: &Range<usize>) -> Typed {
        self.error(ExpressionError::new(range.clone(), format!("`{name}` is written {usage}")))
    }

    fn macro_call(&mut self, target: &Syntax, name: &str, arguments: &[Syntax], range: &Range<usize>) -> Typed {
        let usage = MACROS.iter().find(|(known, _)| *known == name).map_or("", |(_, usage)| usage);
        let over = self.check(target);
        let element = match over.shape.required() {
            Shape::List(element) => element.as_ref().clone(),
            Shape::Map(_) | Shape::Struct(_) => Shape::String,
            Shape::Any | Shape::Never | Shape::Union(_) => Shape::Any,
            other => {
                let message =
                    format!("`{name}` goes over a list or the keys of a map, and this is {}", describe(other));
                return self.error(ExpressionError::new(target.range.clone(), message));
            }
        };
        let Some((Syntax { kind: SyntaxKind::Name(variable), .. }, bodies)) = arguments.split_first() else {
            return self.wrong_usage(name, usage, range);
        };
        let outer_facts = std::mem::take(&mut self.known);
        self.known = outer_facts.iter().filter(|fact| fact.path.split('.').next() != Some(variable)).cloned().collect();
        self.variables.push((variable.clone(), element.clone()));
        let body = self.macro_body(name, element, bodies);
        self.variables.pop();
        self.known = outer_facts;
        match body {
            Some((body, shape)) => typed(NodeKind::Loop { operand: Box::new(over.node), body }, shape, range),
            None => self.wrong_usage(name, usage, range),
        }
    }

    fn macro_body(&mut self, name: &str, element: Shape, bodies: &[Syntax]) -> Option<(Loop, Shape)> {
        Some(match (name, bodies) {
            ("all", [body]) => (Loop::All(Box::new(self.condition(body))), Shape::Bool),
            ("exists", [body]) => (Loop::Exists(Box::new(self.condition(body))), Shape::Bool),
            ("exists_one" | "existsOne", [body]) => (Loop::ExistsOne(Box::new(self.condition(body))), Shape::Bool),
            ("filter", [body]) => (Loop::Filter(Box::new(self.condition(body))), Shape::list(element)),
            ("map", [result]) => {
                let result = self.check(result);
                (Loop::Map { condition: None, result: Box::new(result.node) }, Shape::list(result.shape))
            }
            ("map", [condition, result]) => {
                let condition = Some(Box::new(self.condition(condition)));
                let result = self.check(result);
                (Loop::Map { condition, result: Box::new(result.node) }, Shape::list(result.shape))
            }
            _ => return None,
        })
    }

    fn function(
        &mut self,
        target: Option<&Syntax>,
        name: &str,
        name_range: &Range<usize>,
        arguments: &[Syntax],
        range: &Range<usize>,
    ) -> Typed {
        let Some(function) = functions::find(name) else {
            if let (None, Some(native)) = (target, self.scope.functions.get(name).cloned()) {
                return self.native(native, name, arguments, range);
            }
            return self.unknown_function(target, name, name_range, arguments);
        };
        let all: Vec<&Syntax> = target.into_iter().chain(arguments).collect();
        let checked: Vec<Typed> = all.iter().map(|argument| self.check(argument)).collect();
        if let Some(error) = wrong_style(function, target.is_some(), name_range) {
            return self.error(error);
        }
        if let Some(error) = wrong_count(function, target.is_some(), arguments.len(), range) {
            return self.error(error);
        }
        let mut fits = true;
        for (position, (syntax, argument)) in all.iter().zip(&checked).enumerate() {
            let accepted = function.parameter(position);
            if !accepted.accepts(&argument.shape) {
                fits = false;
                let message = format!("`{name}` needs {accepted} here, and this is {}", describe(&argument.shape));
                self.errors.push(ExpressionError::new(syntax.range.clone(), message));
            }
        }
        let shapes: Vec<Shape> = checked.iter().map(|argument| argument.shape.clone()).collect();
        let function = match (name, shapes.first().map(Shape::required)) {
            ("sum", Some(Shape::List(element))) if *element.required() == Shape::Double => &functions::SUM_OF_DOUBLES,
            _ => function,
        };
        match (function.result)(&shapes) {
            Ok(shape) if fits => {
                let nodes = checked.into_iter().map(|argument| argument.node).collect();
                self.finish(function, nodes, shape, range)
            }
            Ok(shape) => Typed { shape, ..literal_null(range) },
            Err(_) if !fits => literal_null(range),
            Err(message) => {
                let at = all.first().map_or_else(|| range.clone(), |argument| argument.range.clone());
                self.error(ExpressionError::new(at, message))
            }
        }
    }

    /// A call of a function of Rust. It is never done ahead: who wrote it may count calls.
    fn native(&mut self, function: NativeFunction, name: &str, arguments: &[Syntax], range: &Range<usize>) -> Typed {
        let mut nodes = Vec::with_capacity(arguments.len());
        for (position, argument) in arguments.iter().enumerate() {
            let checked = self.check(argument);
            if let Some(reason) = function.misfit(position, &checked.shape) {
                let message = format!("`{name}` cannot read this: {reason}");
                self.errors.push(ExpressionError::new(argument.range.clone(), message));
            }
            nodes.push(checked.node);
        }
        let (takes, given) = (function.arity(), nodes.len());
        if takes != given {
            let plural = if takes == 1 { "argument" } else { "arguments" };
            let message = format!("`{name}` takes {takes} {plural}, and {given} are given");
            return self.error(ExpressionError::new(range.clone(), message));
        }
        let shape = function.result().clone();
        typed(NodeKind::Native { function, arguments: nodes }, shape, range)
    }

    fn unknown_function(
        &mut self,
        target: Option<&Syntax>,
        name: &str,
        name_range: &Range<usize>,
        arguments: &[Syntax],
    ) -> Typed {
        let macros = MACROS.map(|(name, _)| name);
        let near = suggest::nearest(name, super::callable());
        target.into_iter().for_each(|target| drop(self.check(target)));
        // In what was meant to be a macro the arguments use its variable, which is not known.
        if !near.is_some_and(|near| target.is_some() && macros.contains(&near)) {
            arguments.iter().for_each(|argument| drop(self.check(argument)));
        }
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        self.error(ExpressionError::new(name_range.clone(), format!("there is no function `{name}`")).with_hint(hint))
    }

    /// Compiles what does not depend on the record now.
    fn finish(
        &mut self,
        function: &'static Function,
        arguments: Vec<Node>,
        shape: Shape,
        range: &Range<usize>,
    ) -> Typed {
        if let ("matches", [text, Node { kind: NodeKind::Constant(Value::String(pattern)), span }]) =
            (function.name, &arguments[..])
        {
            return match functions::compile_pattern(pattern) {
                Ok(pattern) => {
                    typed(NodeKind::Matches { text: Box::new(text.clone()), pattern: Arc::new(pattern) }, shape, range)
                }
                Err(message) => {
                    let message = format!("the regular expression cannot be read: {message}");
                    self.error(ExpressionError::new(span.range(), message))
                }
            };
        }
        if function.strict_literals
            && let Some(zone) = arguments.get(1)
            && let NodeKind::Constant(Value::String(name)) = &zone.kind
            && functions::zone(name).is_none()
        {
            let message = format!("`{name}` is not a time zone known here");
            let hint = Some(functions::ZONES.to_owned());
            return self.error(ExpressionError::new(zone.span.range(), message).with_hint(hint));
        }
        let node = Node { span: super::Span::of(range), kind: NodeKind::Call { function, arguments } };
        match constant_value(&node) {
            Some(Ok(value)) => Typed { node: Node { span: node.span, kind: NodeKind::Constant(value) }, shape },
            Some(Err(failure)) if function.strict_literals && matches!(failure.reason, Reason::Conversion { .. }) => {
                self.error(ExpressionError::new(range.clone(), failure.reason.to_string()))
            }
            _ => Typed { node, shape },
        }
    }
}

/// Stands for a call that was reported already.
fn literal_null(range: &Range<usize>) -> Typed {
    typed(NodeKind::Constant(Value::Null), Shape::Any, range)
}

fn wrong_style(function: &Function, is_method: bool, range: &Range<usize>) -> Option<ExpressionError> {
    let name = function.name;
    let hint = match (function.style, is_method) {
        (Style::Method, false) => format!("write it behind its first argument: `x.{name}(...)`"),
        (Style::Global, true) => format!("write `{name}(x)`"),
        _ => return None,
    };
    let message = if is_method { format!("`{name}` is not a method") } else { format!("`{name}` is a method") };
    Some(ExpressionError::new(range.clone(), message).with_hint(Some(hint)))
}

fn wrong_count(function: &Function, is_method: bool, given: usize, range: &Range<usize>) -> Option<ExpressionError> {
    let receiver = usize::from(is_method);
    let least = function.required.saturating_sub(receiver);
    let most = function.parameters.len().saturating_sub(receiver);
    if given >= least && (given <= most || function.variadic) {
        return None;
    }
    let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
    let expected = match (least, most) {
        _ if function.variadic => format!("at least {least} {}", plural(least)),
        (0, 0) => "no arguments".to_owned(),
        (least, most) if least == most => format!("{most} {}", plural(most)),
        (least, most) => format!("{least} to {most} arguments"),
    };
    Some(ExpressionError::new(range.clone(), format!("`{}` takes {expected}, and {given} are given", function.name)))
}
