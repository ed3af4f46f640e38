//! Expressions in their places: compiled against what is in scope, their mistakes shown where they stand.

use super::Planner;
use super::graph::Flow;
use crate::expression::{Binding, Expression, Projection, Scope};
use crate::record::{Shape, Text};
use crate::topology::spec::Name;
use crate::topology::spec::scalars::{Formula, Template};
use crate::yaml::Diagnostic;
use crate::yaml::{Content, Node};

/// What is in scope for a record of a stream or table.
pub(super) fn record_scope(flow: &Flow) -> Scope {
    let scope = Scope::new()
        .with("key", Binding::Key, flow.key.shape.clone())
        .with("value", Binding::Value, flow.value.clone())
        .with_record();
    match flow.windows {
        Some(_) => scope.with_window(),
        None => scope,
    }
}

impl Planner<'_> {
    /// Compiles a part of a scalar: the text from byte `offset` of it on, up to `length` bytes.
    pub(super) fn compile_part(
        &mut self,
        node: &Node,
        offset: usize,
        source: &str,
        scope: &Scope,
    ) -> Option<Expression> {
        let compiled = if self.functions.is_empty() {
            Expression::compile(source, scope)
        } else {
            Expression::compile(source, &scope.clone().with_functions(self.functions.clone()))
        };
        let errors = match compiled {
            Ok(expression) => return Some(expression),
            Err(errors) => errors,
        };
        let file = self.problems.source();
        for error in errors {
            let range = error.range.start + offset..error.range.end + offset;
            let mut span = node.locate(&file, &range);
            if span.is_empty() {
                span = span.start..span.start + 1;
            }
            self.problems.report(Diagnostic::new(span, error.message).help_if(error.hint));
        }
        None
    }

    /// Compiles an expression.
    pub(super) fn expression(&mut self, node: &Node, scope: &Scope) -> Option<Expression> {
        let source = node.scalar()?.text.clone();
        self.compile_part(node, 0, &source, scope)
    }

    /// Compiles an expression that must be true or false.
    pub(super) fn condition(&mut self, formula: &Formula, scope: &Scope) -> Option<Expression> {
        let expression = self.expression(&formula.0, scope)?;
        if matches!(expression.shape().required(), Shape::Bool | Shape::Any) {
            return Some(expression);
        }
        let message = format!("a condition must be true or false; this is {}", expression.shape());
        self.problems.report(Diagnostic::new(formula.0.place(), message).expected("expected true or false"));
        None
    }

    /// Compiles a template: a scalar is an expression, mappings become structs, sequences lists.
    pub(super) fn template(&mut self, template: &Template, scope: &Scope) -> Option<Projection> {
        self.projection(&template.0, scope)
    }

    /// Compiles what stands at a node.
    pub(super) fn projection(&mut self, node: &Node, scope: &Scope) -> Option<Projection> {
        match &node.content {
            Content::Scalar(scalar) if scalar.text.trim().is_empty() => {
                let help = "write `null` if that is meant, and '\"\"' for empty text";
                self.problems.report(Diagnostic::new(node.place(), "an expression is missing here").help(help));
                None
            }
            Content::Scalar(_) => self.expression(node, scope).map(Projection::Expression),
            Content::Sequence(items) => {
                let parts: Vec<Option<Projection>> = items.iter().map(|item| self.projection(item, scope)).collect();
                let parts: Option<Vec<Projection>> = parts.into_iter().collect();
                parts.map(Projection::list)
            }
            Content::Mapping(entries) => {
                let parts: Vec<Option<(Text, Projection)>> = entries
                    .iter()
                    .map(|(key, value)| Some((Text::from(key.text.as_str()), self.projection(value, scope)?)))
                    .collect();
                let parts: Option<Vec<(Text, Projection)>> = parts.into_iter().collect();
                Some(Projection::structure(parts?))
            }
        }
    }

    /// A value with one field replaced or added. `answer` must be in scope.
    pub(super) fn with_field(&mut self, base: &str, field: &Name, scope: &Scope) -> Option<Projection> {
        let identifier = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !field.text.chars().all(identifier) || field.text.starts_with(|c: char| c.is_ascii_digit()) {
            let message = format!("`{}` cannot be the name of a field", field.text);
            let problem = Diagnostic::new(field.span.clone(), message);
            self.problems.report(problem.help("use letters, digits and `_`, and start with a letter"));
            return None;
        }
        let source = format!("merge({base}, {{'{}': answer}})", field.text);
        match Expression::compile(&source, scope) {
            Ok(expression) => Some(expression.into()),
            Err(errors) => {
                let reason = errors.first().map(|error| error.message.clone()).unwrap_or_default();
                let message = format!("the answer cannot be put into `{base}`: {reason}");
                let problem = Diagnostic::new(field.span.clone(), message);
                self.problems.report(problem.help("name the fields with `map_values` first"));
                None
            }
        }
    }
}
