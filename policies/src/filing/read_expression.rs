//! Reading a relation: `l17 = l12 + l13 - l14`, names resolved and types checked as it is read.

use super::expression::{Comparison, Expression, Function, Operation, Place, Root, Type};
use super::field::{FieldKind, Path, Schema, Step};
use super::figure::Figures;
use super::ratio::Ratio;

const MAX_TEXT: usize = 1_000;
const MAX_DEPTH: usize = 24;

/// An expression, what it gives, and the first field it names.
pub(super) struct ReadExpression {
    pub expression: Expression,
    pub gives: Type,
    pub first: Option<Path>,
}

/// Reads `text` within `scope`; the reason says what is wrong.
pub(super) fn read_expression(text: &str, scope: &Path, schema: &Schema, figures: &Figures) -> Result<ReadExpression, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("an expression has at most {MAX_TEXT} bytes"));
    }
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens, at: 0, depth: 0, scope: scope.clone(), schema, figures, first: None };
    let (expression, gives) = reader.alternatives()?;
    match reader.peek() {
        None => Ok(ReadExpression { expression, gives, first: reader.first }),
        Some(token) => Err(format!("`{}` cannot stand there", token.text())),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(Ratio),
    Text(String),
    /// A path, a function or a word.
    Name(String),
    Figure(String),
    Mark(&'static str),
}

impl Token {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.text(),
            Self::Text(text) | Self::Name(text) => text.clone(),
            Self::Figure(name) => format!("${name}"),
            Self::Mark(mark) => (*mark).to_owned(),
        }
    }
}

const MARKS: [&str; 13] = ["!=", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "(", ")", ","];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let run = |allowed: fn(char) -> bool| rest.find(|c| !allowed(c)).unwrap_or(rest.len());
        let (token, length) = if first.is_ascii_digit() {
            let length = run(|c| c.is_ascii_digit() || c == '.');
            let digits = rest.get(..length).unwrap_or_default();
            (Token::Number(Ratio::decimal(digits).ok_or_else(|| format!("`{digits}` is no number"))?), length)
        } else if first == '"' {
            let inner = rest.get(1..).and_then(|rest| rest.split_once('"')).ok_or("a text is not closed")?.0;
            (Token::Text(inner.to_owned()), inner.len() + 2)
        } else if first == '$' {
            let length = 1 + rest.get(1..).unwrap_or_default().find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len() - 1);
            (Token::Figure(rest.get(1..length).unwrap_or_default().to_owned()), length)
        } else if first.is_ascii_alphabetic() {
            let length = run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']'));
            (Token::Name(rest.get(..length).unwrap_or_default().to_owned()), length)
        } else {
            let mark = MARKS.into_iter().find(|mark| rest.starts_with(mark)).ok_or_else(|| format!("`{first}` is not understood"))?;
            (Token::Mark(mark), mark.len())
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    scope: Path,
    schema: &'a Schema,
    figures: &'a Figures,
    first: Option<Path>,
}

type Read = Result<(Expression, Type), String>;

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, mark: &'static str) -> bool {
        let found = self.peek() == Some(&Token::Mark(mark));
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(name)) if name == word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: &'static str) -> Result<(), String> {
        if self.take(mark) { Ok(()) } else { Err(format!("`{mark}` is missing")) }
    }

    fn alternatives(&mut self) -> Read {
        let mut left = self.conditions()?;
        while self.take_word("or") {
            let right = self.conditions()?;
            booleans(&left, &right)?;
            left = (Expression::Or(left.0.into(), right.0.into()), Type::Boolean);
        }
        Ok(left)
    }

    fn conditions(&mut self) -> Read {
        let mut left = self.comparison()?;
        while self.take_word("and") {
            let right = self.comparison()?;
            booleans(&left, &right)?;
            left = (Expression::And(left.0.into(), right.0.into()), Type::Boolean);
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Read {
        if self.take_word("not") {
            let inner = self.deeper(Self::comparison)?;
            needs(Type::Boolean, inner.1)?;
            return Ok((Expression::Not(inner.0.into()), Type::Boolean));
        }
        let left = self.terms()?;
        let known = [("=", Comparison::Equal), ("!=", Comparison::Unequal), ("<", Comparison::Less), ("<=", Comparison::AtMost), (">", Comparison::More), (">=", Comparison::AtLeast)];
        let Some((_, comparison)) = known.into_iter().find(|(mark, _)| self.take(mark)) else { return Ok(left) };
        let right = self.terms()?;
        if left.1 != right.1 || left.1 == Type::Texts {
            return Err(format!("a {:?} is not compared with a {:?}", left.1, right.1));
        }
        Ok((Expression::Comparison(comparison, left.0.into(), right.0.into()), Type::Boolean))
    }

    fn terms(&mut self) -> Read {
        let mut left = self.factors()?;
        loop {
            let operation = if self.take("+") {
                Operation::Add
            } else if self.take("-") {
                Operation::Subtract
            } else {
                return Ok(left);
            };
            left = arithmetic(operation, left, self.factors()?)?;
        }
    }

    fn factors(&mut self) -> Read {
        let mut left = self.one()?;
        loop {
            let operation = if self.take("*") {
                Operation::Multiply
            } else if self.take("/") {
                Operation::Divide
            } else {
                return Ok(left);
            };
            left = arithmetic(operation, left, self.one()?)?;
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("brackets stand more than {MAX_DEPTH} deep"));
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn one(&mut self) -> Read {
        let token = self.peek().cloned().ok_or("the expression ends too early")?;
        self.at += 1;
        match token {
            Token::Number(number) => Ok((Expression::Number(number), Type::Number)),
            Token::Text(text) => Ok((Expression::Text(text), Type::Text)),
            Token::Figure(name) if self.figures.knows(&name) => Ok((Expression::Figure(name), Type::Number)),
            Token::Figure(name) => Err(format!("${name} is no figure of figures.toml")),
            Token::Mark("(") => {
                let inner = self.deeper(Self::alternatives)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Mark("-") => arithmetic(Operation::Subtract, (Expression::Number(Ratio::ZERO), Type::Number), self.deeper(Self::one)?),
            Token::Mark(mark) => Err(format!("`{mark}` cannot stand there")),
            Token::Name(name) if self.peek() == Some(&Token::Mark("(")) => {
                self.at += 1;
                let read = self.deeper(|reader| reader.call(&name))?;
                self.expect(")")?;
                Ok(read)
            }
            Token::Name(name) => self.word(&name),
        }
    }

    fn word(&mut self, name: &str) -> Read {
        match name {
            "true" => return Ok((Expression::Boolean(true), Type::Boolean)),
            "false" => return Ok((Expression::Boolean(false), Type::Boolean)),
            "filing.period" => return Ok((Expression::Period, Type::Text)),
            "filing.today" => return Ok((Expression::Today, Type::Date)),
            _ => {}
        }
        let place = self.place(name)?;
        let field = self.schema.field(&place.whole).ok_or_else(|| format!("`{name}` is no field"))?;
        let gives = match field.kind {
            FieldKind::Amount { .. } | FieldKind::Rate | FieldKind::Integer { .. } => Type::Number,
            FieldKind::Boolean => Type::Boolean,
            FieldKind::Date => Type::Date,
            FieldKind::Choices(_) => Type::Texts,
            _ => Type::Text,
        };
        self.first.get_or_insert_with(|| place.whole.clone());
        Ok((Expression::Field(place), gives))
    }

    /// `root.` begins at the payload, everything else at the scope.
    fn place(&self, name: &str) -> Result<Place, String> {
        let (root, below) = name.strip_prefix("root.").map_or((Root::Scope, name), |below| (Root::Payload, below));
        let below = Path::parse(below.strip_suffix("[]").unwrap_or(below)).filter(|path| !path.has_lists()).ok_or_else(|| format!("`{name}` is no path to one value; lists stand in sum() and count()"))?;
        let whole = if root == Root::Scope { self.scope.join(&below) } else { below.clone() };
        let field = self.schema.index(&whole);
        Ok(Place { root, below, whole, field })
    }

    fn argument(&mut self, first: bool, expected: Type) -> Result<Expression, String> {
        if !first {
            self.expect(",")?;
        }
        let (expression, gives) = self.alternatives()?;
        needs(expected, gives)?;
        Ok(expression)
    }

    fn call(&mut self, name: &str) -> Read {
        let fixed = |function, arguments, gives| Ok((Expression::Call(function, arguments), gives));
        match name {
            "min" | "max" => {
                let mut arguments = vec![self.argument(true, Type::Number)?];
                while self.peek() == Some(&Token::Mark(",")) {
                    arguments.push(self.argument(false, Type::Number)?);
                }
                fixed(if name == "min" { Function::Min } else { Function::Max }, arguments, Type::Number)
            }
            "abs" => fixed(Function::Abs, vec![self.argument(true, Type::Number)?], Type::Number),
            "round" => fixed(Function::Round, vec![self.argument(true, Type::Number)?, self.argument(false, Type::Number)?], Type::Number),
            "if" => fixed(Function::If, vec![self.argument(true, Type::Boolean)?, self.argument(false, Type::Number)?, self.argument(false, Type::Number)?], Type::Number),
            "days" => fixed(Function::Days, vec![self.argument(true, Type::Date)?, self.argument(false, Type::Date)?], Type::Number),
            "month" => fixed(Function::Month, vec![self.argument(true, Type::Date)?], Type::Text),
            "year" => fixed(Function::Year, vec![self.argument(true, Type::Text)?], Type::Text),
            "has" => fixed(Function::Has, vec![self.argument(true, Type::Texts)?, self.argument(false, Type::Text)?], Type::Boolean),
            "previous" => Ok((Expression::Previous(self.argument(true, Type::Number)?.into()), Type::Number)),
            "year_total" => Ok((Expression::YearTotal(self.argument(true, Type::Number)?.into()), Type::Number)),
            "present" => {
                let place = self.named_place()?;
                let known = self.schema.field(&place.whole).is_some() || self.schema.is_scope(&place.whole);
                if known { Ok((Expression::Present(place), Type::Boolean)) } else { Err(format!("`{}` is no field or group", place.whole)) }
            }
            "sum" | "count" => self.over_list(name == "sum"),
            _ => Err(format!("`{name}` is no function")),
        }
    }

    fn named_place(&mut self) -> Result<Place, String> {
        let Some(Token::Name(name)) = self.peek().cloned() else { return Err("a field's or a list's name is missing".into()) };
        self.at += 1;
        self.place(&name)
    }

    fn over_list(&mut self, sum: bool) -> Read {
        let list = self.named_place()?;
        if self.schema.list(&list.whole).is_none() {
            return Err(format!("`{}` is no list", list.whole));
        }
        let item = Path::parse(&format!("{}[]", list.whole)).ok_or("the path is too long")?;
        let outer = std::mem::replace(&mut self.scope, item);
        let inner = if sum {
            Some(self.argument(false, Type::Number)?)
        } else if self.peek() == Some(&Token::Mark(",")) {
            Some(self.argument(false, Type::Boolean)?)
        } else {
            None
        };
        self.scope = outer;
        Ok(match (sum, inner) {
            (true, Some(inner)) => (Expression::Sum(list, inner.into()), Type::Number),
            (_, inner) => (Expression::Count(list, inner.map(Box::new)), Type::Number),
        })
    }
}

fn needs(expected: Type, found: Type) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("a {expected:?} stands there, not a {found:?}")) }
}

fn booleans(left: &(Expression, Type), right: &(Expression, Type)) -> Result<(), String> {
    needs(Type::Boolean, left.1).and_then(|()| needs(Type::Boolean, right.1))
}

fn arithmetic(operation: Operation, left: (Expression, Type), right: (Expression, Type)) -> Read {
    needs(Type::Number, left.1)?;
    needs(Type::Number, right.1)?;
    Ok((Expression::Operation(operation, left.0.into(), right.0.into()), Type::Number))
}

/// The path of a rule's own field, from its scope.
pub(super) fn field_of(name: &str, scope: &Path, schema: &Schema) -> Result<Place, String> {
    let below = Path::parse(name).filter(|path| !path.has_lists() && !path.steps().is_empty()).ok_or_else(|| format!("`{name}` is no path to one value"))?;
    let whole = scope.join(&below);
    let field = schema.index(&whole);
    if field.is_some() || schema.list(&whole).is_some() { Ok(Place { root: Root::Scope, below, whole, field }) } else { Err(format!("`{name}` is no field")) }
}

/// Whether a scope that a rule names is one: the payload, a group, the items of a list.
pub(super) fn scope_of(text: &str, schema: &Schema) -> Result<Path, String> {
    let path = Path::parse(text).filter(|path| schema.is_scope(path)).ok_or_else(|| format!("`{text}` is no group and no list"))?;
    let lists = path.steps().iter().filter(|step| **step == Step::Each).count();
    if lists <= 1 { Ok(path) } else { Err("a rule is about the items of one list".into()) }
}
