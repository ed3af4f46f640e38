//! From source text to a syntax tree whose every node knows its range.
//!
//! The `cel` crate parses. What it gives is turned into a tree of our own at once: with the ranges that its
//! nodes lack, without its macro expansions (they would hide what the author wrote), and no deeper than
//! [`MAX_DEPTH`], so that whatever walks the tree later cannot exhaust the stack.

use std::ops::Range;

use bytes::Bytes;
use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

use super::error::ExpressionError;
use super::lex::{Kind, Tokens};
use crate::record::Value;

/// The longest source, in bytes.
const MAX_LENGTH: usize = 16 * 1024;
/// How deep a tree may be.
const MAX_DEPTH: usize = 200;
/// How deep brackets may nest.
const MAX_BRACKETS: usize = 64;
/// Stack for the parser, which recurses once for each operator of a chain. Only what is used is ever paid for.
const PARSER_STACK: usize = 64 * 1024 * 1024;

/// A node of the syntax tree.
#[derive(Clone, Debug)]
pub(super) struct Syntax {
    pub(super) range: Range<usize>,
    pub(super) kind: SyntaxKind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum SyntaxKind {
    Literal(Value),
    Name(String),
    Select { operand: Box<Syntax>, field: String, field_range: Range<usize> },
    Index { operand: Box<Syntax>, index: Box<Syntax> },
    Call { target: Option<Box<Syntax>>, name: String, name_range: Range<usize>, arguments: Vec<Syntax> },
    Unary { operator: UnaryOperator, operand: Box<Syntax> },
    Binary { operator: BinaryOperator, left: Box<Syntax>, right: Box<Syntax> },
    Conditional { condition: Box<Syntax>, then: Box<Syntax>, otherwise: Box<Syntax> },
    List(Vec<Syntax>),
    Map(Vec<(Syntax, Syntax)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnaryOperator {
    Not,
    Negate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BinaryOperator {
    And,
    Or,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl BinaryOperator {
    /// The operator as it is written.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            BinaryOperator::And => "&&",
            BinaryOperator::Or => "||",
            BinaryOperator::Equal => "==",
            BinaryOperator::NotEqual => "!=",
            BinaryOperator::Less => "<",
            BinaryOperator::LessOrEqual => "<=",
            BinaryOperator::Greater => ">",
            BinaryOperator::GreaterOrEqual => ">=",
            BinaryOperator::In => "in",
            BinaryOperator::Add => "+",
            BinaryOperator::Subtract => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            BinaryOperator::Remainder => "%",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            operators::LOGICAL_AND => BinaryOperator::And,
            operators::LOGICAL_OR => BinaryOperator::Or,
            operators::EQUALS => BinaryOperator::Equal,
            operators::NOT_EQUALS => BinaryOperator::NotEqual,
            operators::LESS => BinaryOperator::Less,
            operators::LESS_EQUALS => BinaryOperator::LessOrEqual,
            operators::GREATER => BinaryOperator::Greater,
            operators::GREATER_EQUALS => BinaryOperator::GreaterOrEqual,
            operators::IN => BinaryOperator::In,
            operators::ADD => BinaryOperator::Add,
            operators::SUBSTRACT => BinaryOperator::Subtract,
            operators::MULTIPLY => BinaryOperator::Multiply,
            operators::DIVIDE => BinaryOperator::Divide,
            operators::MODULO => BinaryOperator::Remainder,
            _ => return None,
        })
    }
}

/// Parses a source. All syntax errors are reported.
pub(super) fn parse(source: &str) -> Result<Syntax, Vec<ExpressionError>> {
    let tokens = Tokens::of(source);
    check_limits(source, &tokens).map_err(|error| vec![error])?;
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new()
            .name("expression-parser".to_owned())
            .stack_size(PARSER_STACK)
            .spawn_scoped(scope, || parse_here(source, &tokens));
        let whole = |message: &str| vec![ExpressionError::new(0..source.len(), message)];
        match parser.map(|parser| parser.join()) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(whole("the parser gave up on this expression; write it in a simpler way")),
            Err(_) => Err(whole("there is not enough memory to parse this expression")),
        }
    })
}

fn check_limits(source: &str, tokens: &Tokens) -> Result<(), ExpressionError> {
    if source.len() > MAX_LENGTH {
        let message = format!("the expression has {} bytes; at most {MAX_LENGTH} are allowed", source.len());
        return Err(ExpressionError::new(0..source.len(), message));
    }
    if tokens.iter().next().is_none() {
        return Err(ExpressionError::new(0..source.len(), "an expression is expected here, and there is none"));
    }
    if let Some(deep) = tokens.iter().find(|token| token.depth >= MAX_BRACKETS) {
        let message =
            format!("brackets nest more than {MAX_BRACKETS} deep here; split the expression over several steps");
        return Err(ExpressionError::new(deep.range.clone(), message));
    }
    Ok(())
}

fn parse_here(source: &str, tokens: &Tokens) -> Result<Syntax, Vec<ExpressionError>> {
    // An environment without macros, so that calls stay as they were written.
    let parser = cel::Env::default().with_optional_support(false).parser().max_recursion_depth(250);
    let (tree, info) = parser
        .parse_with_source_info(source)
        .map_err(|errors| super::syntax_error::translate(source, tokens, errors))?;
    let mut converter = Converter { source, tokens, info: &info, depth: 0 };
    converter.convert(&tree).map_err(|error| vec![error])
}

struct Converter<'a> {
    source: &'a str,
    tokens: &'a Tokens,
    info: &'a SourceInfo,
    depth: usize,
}

impl Converter<'_> {
    fn convert(&mut self, node: &IdedExpr) -> Result<Syntax, ExpressionError> {
        let token = self.info.offset_for(node.id).and_then(|(start, _)| self.tokens.position_at(start as usize));
        let here =
            token.and_then(|token| self.tokens.get(token)).map_or(0..self.source.len(), |token| token.range.clone());
        if self.depth >= MAX_DEPTH {
            let message =
                format!("the expression nests more than {MAX_DEPTH} operations here; split it over several steps");
            return Err(ExpressionError::new(here, message));
        }
        self.depth += 1;
        let converted = match &node.expr {
            Expr::Literal(value) => Ok(self.literal(value, token, here)),
            Expr::Ident(name) => {
                Ok(Syntax { range: here, kind: SyntaxKind::Name(name.trim_start_matches('.').to_owned()) })
            }
            Expr::Select(select) => {
                let operand = Box::new(self.convert(&select.operand)?);
                let field_range = self.after(token).unwrap_or(here);
                let range = self.outer(&operand.range).start..field_range.end;
                Ok(Syntax { range, kind: SyntaxKind::Select { operand, field: select.field.clone(), field_range } })
            }
            Expr::Call(call) => self.call(call, token, here),
            Expr::List(list) => {
                let elements = self.all(&list.elements)?;
                Ok(Syntax { range: self.bracketed(token, here), kind: SyntaxKind::List(elements) })
            }
            Expr::Map(map) => {
                let entries =
                    map.entries.iter().map(|entry| self.entry(&entry.expr, &here)).collect::<Result<_, _>>()?;
                Ok(Syntax { range: self.bracketed(token, here), kind: SyntaxKind::Map(entries) })
            }
            Expr::Struct(message) => {
                let text = format!("there is no message type `{}` to build", message.type_name);
                Err(ExpressionError::new(here, text).with_hint(Some("write a map: `{'name': value}`".to_owned())))
            }
            Expr::Comprehension(_) | Expr::Unspecified => {
                Err(ExpressionError::new(here, "this cannot be read as an expression"))
            }
        };
        self.depth -= 1;
        converted
    }

    fn all(&mut self, nodes: &[IdedExpr]) -> Result<Vec<Syntax>, ExpressionError> {
        nodes.iter().map(|node| self.convert(node)).collect()
    }

    fn entry(&mut self, entry: &EntryExpr, here: &Range<usize>) -> Result<(Syntax, Syntax), ExpressionError> {
        match entry {
            EntryExpr::MapEntry(entry) => Ok((self.convert(&entry.key)?, self.convert(&entry.value)?)),
            EntryExpr::StructField(_) => {
                Err(ExpressionError::new(here.clone(), "an entry `key: value` is expected here"))
            }
        }
    }

    fn after(&self, token: Option<usize>) -> Option<Range<usize>> {
        self.tokens.get(token? + 1).map(|token| token.range.clone())
    }

    fn before(&self, token: Option<usize>) -> Option<Range<usize>> {
        self.tokens.get(token?.checked_sub(1)?).map(|token| token.range.clone())
    }

    fn bracketed(&self, token: Option<usize>, here: Range<usize>) -> Range<usize> {
        token.and_then(|token| self.tokens.bracketed(token)).unwrap_or(here)
    }

    /// A range with the parentheses around it that belong to no call.
    fn outer(&self, range: &Range<usize>) -> Range<usize> {
        let mut range = range.clone();
        while let Some(wider) = self.parenthesised(&range) {
            range = wider;
        }
        range
    }

    fn parenthesised(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let position = self.tokens.position_at(range.start)?.checked_sub(1)?;
        let open = self.tokens.get(position).filter(|token| self.source.get(token.range.clone()) == Some("("))?;
        let is_call = position.checked_sub(1).and_then(|before| self.tokens.get(before)).is_some_and(|before| {
            matches!(before.kind, Kind::Word | Kind::Close) && self.source.get(before.range.clone()) != Some("in")
        });
        let last = self.tokens.position_at(range.end.checked_sub(1)?)?;
        (!is_call && open.partner == Some(last + 1)).then(|| self.tokens.bracketed(position)).flatten()
    }

    fn literal(&self, value: &LiteralValue, token: Option<usize>, here: Range<usize>) -> Syntax {
        let mut range = here;
        let negative = match value {
            LiteralValue::Int(n) => *n.inner() < 0,
            LiteralValue::Double(n) => n.inner().is_sign_negative(),
            _ => false,
        };
        if negative && let Some(sign) = self.before(token) {
            range.start = sign.start;
        }
        let value = match value {
            LiteralValue::Boolean(b) => Value::Bool(*b.inner()),
            LiteralValue::Bytes(bytes) => Value::Bytes(Bytes::copy_from_slice(bytes.inner())),
            LiteralValue::Double(n) => Value::Double(*n.inner()),
            LiteralValue::Int(n) => Value::Int(*n.inner()),
            LiteralValue::Null => Value::Null,
            LiteralValue::String(text) => Value::text(text.inner()),
            LiteralValue::UInt(n) => Value::UInt(*n.inner()),
        };
        Syntax { range, kind: SyntaxKind::Literal(value) }
    }

    fn call(
        &mut self,
        call: &cel::common::ast::CallExpr,
        token: Option<usize>,
        here: Range<usize>,
    ) -> Result<Syntax, ExpressionError> {
        let mut arguments = self.all(&call.args)?;
        let name = call.func_name.as_str();
        if call.target.is_none()
            && let Some(syntax) = self.operator(name, &mut arguments, token, &here)
        {
            return Ok(syntax);
        }
        let target = call.target.as_deref().map(|target| self.convert(target)).transpose()?.map(Box::new);
        let name_range = self.before(token).unwrap_or_else(|| here.clone());
        let start = target.as_ref().map_or(name_range.start, |target| self.outer(&target.range).start);
        let range = start..self.bracketed(token, here).end;
        let name = name.trim_start_matches('.').to_owned();
        Ok(Syntax { range, kind: SyntaxKind::Call { target, name, name_range, arguments } })
    }

    /// The node of an operator; `None` when `name` is a function's.
    fn operator(
        &self,
        name: &str,
        operands: &mut Vec<Syntax>,
        token: Option<usize>,
        here: &Range<usize>,
    ) -> Option<Syntax> {
        let is_word = self.source.get(here.clone()).is_some_and(|text| text == "(");
        if is_word {
            return None;
        }
        if operands.len() == 3 && name == operators::CONDITIONAL {
            let (otherwise, then, condition) = (operands.pop()?, operands.pop()?, operands.pop()?);
            let range = self.outer(&condition.range).start..self.outer(&otherwise.range).end;
            let (condition, then, otherwise) = (Box::new(condition), Box::new(then), Box::new(otherwise));
            return Some(Syntax { range, kind: SyntaxKind::Conditional { condition, then, otherwise } });
        }
        if operands.len() == 1 {
            let operator = match name {
                operators::LOGICAL_NOT => UnaryOperator::Not,
                operators::NEGATE => UnaryOperator::Negate,
                _ => return None,
            };
            let operand = Box::new(operands.pop()?);
            let range = here.start..self.outer(&operand.range).end;
            return Some(Syntax { range, kind: SyntaxKind::Unary { operator, operand } });
        }
        let right = Box::new(operands.pop()?);
        let left = Box::new(operands.pop()?);
        if name == operators::INDEX {
            let range = self.outer(&left.range).start..self.bracketed(token, here.clone()).end;
            return Some(Syntax { range, kind: SyntaxKind::Index { operand: left, index: right } });
        }
        let range = self.outer(&left.range).start..self.outer(&right.range).end;
        let operator = BinaryOperator::named(name)?;
        Some(Syntax { range, kind: SyntaxKind::Binary { operator, left, right } })
    }
}
