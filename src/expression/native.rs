//! Functions of Rust that expressions may call beside those of CEL.
//!
//! They are how the closures of a [`StreamsBuilder`](crate::builder::StreamsBuilder) come into a plan: a call such as
//! `map_values_3(value)` is checked, evaluated and reported like any other call, so that nothing after the plan knows
//! where a function came from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::error::Reason;
use crate::record::{Fields, Shape, Value};

/// What a native function runs.
type Call = dyn Fn(&[Cow<'_, Value>]) -> Result<Value, String> + Send + Sync;

/// A function of Rust under the name by which expressions call it. Cloning shares it.
#[derive(Clone)]
pub struct NativeFunction {
    parameters: Vec<Parameter>,
    result: Shape,
    /// Whether nothing of the personal data that it is given is in what it gives.
    clears: bool,
    call: Arc<Call>,
}

/// What a function takes, as far as that is known.
#[derive(Clone)]
struct Parameter {
    shape: Shape,
    reads: Fields,
}

impl NativeFunction {
    /// A function that takes `arity` arguments of any shape and gives values of the shape `result`. It must give the
    /// same for the same arguments: after a crash it is called again. Its error is the record's.
    pub fn new(
        arity: usize,
        result: Shape,
        call: impl Fn(&[Cow<'_, Value>]) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        let parameter = Parameter { shape: Shape::Any, reads: Fields::All };
        NativeFunction { parameters: vec![parameter; arity], result, clears: false, call: Arc::new(call) }
    }

    /// Says that it reads an argument of this shape, and of it only these fields.
    pub fn taking(mut self, position: usize, shape: Shape, reads: Fields) -> Self {
        if let Some(parameter) = self.parameters.get_mut(position) {
            *parameter = Parameter { shape, reads };
        }
        self
    }

    /// Says that nothing of the personal data that it is given is in what it gives: it redacts, counts or compares. Whoever
    /// says so answers for it.
    pub fn clearing_personal_data(self) -> Self {
        NativeFunction { clears: true, ..self }
    }

    /// Whether it says so.
    pub(super) fn is_clearing(&self) -> bool {
        self.clears
    }

    /// What of an argument it reads.
    pub(super) fn reads(&self, position: usize) -> &Fields {
        self.parameters.get(position).map_or(&Fields::All, |parameter| &parameter.reads)
    }

    /// Why no value of a shape could be read as an argument; `None`: it may be, which is found record by record.
    pub(super) fn misfit(&self, position: usize, given: &Shape) -> Option<String> {
        unfit(given, &self.parameters.get(position)?.shape)
    }

    /// How many arguments it takes.
    pub(super) fn arity(&self) -> usize {
        self.parameters.len()
    }

    /// The shape of what it gives.
    pub(crate) fn result(&self) -> &Shape {
        &self.result
    }

    /// Runs it.
    pub(super) fn call(&self, arguments: &[Cow<'_, Value>]) -> Result<Value, Reason> {
        (self.call)(arguments).map_err(Reason::Native)
    }
}

impl fmt::Debug for NativeFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NativeFunction({} arguments: {})", self.arity(), self.result)
    }
}

/// What keeps every value of one shape from being read as another; `None`: nothing that shows in the shapes.
pub(crate) fn unfit(given: &Shape, expected: &Shape) -> Option<String> {
    misfit(given, expected, &mut Vec::new())
}

/// What keeps every value of one shape from being read as another. A field that is not there may have a default.
fn misfit<'s>(given: &'s Shape, expected: &'s Shape, path: &mut Vec<&'s str>) -> Option<String> {
    match (given.required(), expected.required()) {
        (Shape::Any | Shape::Never | Shape::Null, _) | (_, Shape::Any | Shape::Never | Shape::Null) => None,
        // Which of several it is shows record by record.
        (Shape::Union(_), _) => None,
        (Shape::Recursive(_), Shape::Struct(_) | Shape::Map(_))
        | (Shape::Decimal, Shape::String)
        | (
            Shape::Int | Shape::UInt | Shape::Timestamp | Shape::Duration | Shape::Temporal(_),
            Shape::Int | Shape::UInt,
        )
        | (Shape::Int | Shape::UInt, Shape::Double)
        | (Shape::String | Shape::Enum(_), Shape::String | Shape::Enum(_) | Shape::Bytes)
        | (Shape::Bytes, Shape::List(_))
        | (Shape::Struct(_), Shape::Map(_))
        | (Shape::Map(_), Shape::Struct(_)) => None,
        (Shape::List(given), Shape::List(expected)) | (Shape::Map(given), Shape::Map(expected)) => {
            misfit(given, expected, path)
        }
        (Shape::Struct(given), Shape::Struct(expected)) => expected.fields().iter().find_map(|field| {
            let own = given.field(&field.name)?;
            path.push(&field.name);
            let found = misfit(&own.shape, &field.shape, path);
            path.pop();
            found
        }),
        (given, expected) if given == expected => None,
        (given, expected) => {
            let place = if path.is_empty() { String::new() } else { format!("`{}`: ", path.join(".")) };
            Some(format!("{place}{expected} is expected, and this is {given}"))
        }
    }
}

/// Native functions by their names. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct NativeFunctions(Arc<BTreeMap<String, NativeFunction>>);

impl NativeFunctions {
    /// The function of that name.
    pub fn get(&self, name: &str) -> Option<&NativeFunction> {
        self.0.get(name)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, NativeFunction)> for NativeFunctions {
    fn from_iter<I: IntoIterator<Item = (String, NativeFunction)>>(functions: I) -> Self {
        NativeFunctions(Arc::new(functions.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::{Binding, Expression, Input, Scope};
    use crate::record::Fields;

    fn scope() -> Scope {
        let double = NativeFunction::new(1, Shape::Int, |arguments| match arguments {
            [value] => match value.as_ref() {
                Value::Int(number) => Ok(Value::Int(number * 2)),
                other => Err(format!("{} cannot be doubled", other.kind())),
            },
            _ => Err("one argument".to_owned()),
        });
        let shape = Shape::structure("", [("amount", Shape::Int), ("note", Shape::String)]);
        Scope::new()
            .with("key", Binding::Key, Shape::Any)
            .with("value", Binding::Value, shape)
            .with_functions([("double_1".to_owned(), double)].into_iter().collect())
    }

    #[test]
    fn a_native_function_is_called_within_an_expression_and_reads_what_it_is_given() {
        let expression = Expression::compile("double_1(value.amount) + 1", &scope()).unwrap();
        assert_eq!(expression.shape(), &Shape::Int);
        assert_eq!(expression.uses(&Binding::Value), Some(&Fields::path(&["amount"])));
        let any = Expression::compile("double_1(key)", &scope()).unwrap();
        let input = Input { key: &Value::Int(21), value: &Value::Null, record: None, locals: &[] };
        assert_eq!(any.evaluate(&input), Ok(Value::Int(42)));
    }

    #[test]
    fn its_error_is_the_records_and_names_the_call() {
        let expression = Expression::compile("1 + double_1(key)", &scope()).unwrap();
        let input = Input { key: &Value::Bool(true), value: &Value::Null, record: None, locals: &[] };
        let error = expression.evaluate(&input).unwrap_err();
        assert_eq!(error.to_string(), "`double_1(key)` in `1 + double_1(key)`: bool cannot be doubled");
    }

    #[test]
    fn what_it_reads_of_an_argument_is_known_and_what_it_cannot_read_refused() {
        let total = Shape::structure("Total", [("amount", Shape::Double), ("gone", Shape::Bool)]);
        let reads = Fields::path(&["amount"]);
        let function = NativeFunction::new(1, Shape::Null, |_| Ok(Value::Null)).taking(0, total, reads.clone());
        let scope = |amount: Shape| {
            let value = Shape::structure("", [("amount", amount), ("other", Shape::String)]).optional();
            let functions = [("f_1".to_owned(), function.clone())].into_iter().collect();
            Scope::new().with("value", Binding::Value, value).with_functions(functions)
        };
        let expression = Expression::compile("f_1(value)", &scope(Shape::Int.optional())).unwrap();
        assert_eq!(expression.uses(&Binding::Value), Some(&reads));
        let errors = Expression::compile("f_1(value)", &scope(Shape::String)).unwrap_err();
        assert_eq!(errors[0].message, "`f_1` cannot read this: `amount`: double is expected, and this is string");
    }

    #[test]
    fn a_wrong_number_of_arguments_is_refused() {
        let errors = Expression::compile("double_1(1, 2)", &scope()).unwrap_err();
        assert_eq!(errors[0].message, "`double_1` takes 1 argument, and 2 are given");
        let errors = Expression::compile("double_2(1)", &scope()).unwrap_err();
        assert!(errors[0].message.contains("no function `double_2`"), "{errors:?}");
    }
}
