//! The grammar: clauses joined by `&&`, those joined by `||`, and parentheses. `&&` binds closer.

use super::{Clause, Field, Node, Operator};
use crate::{Error, Result};

/// Deeper than anybody writes, and far from the end of the stack.
const MOST_PARENTHESES: usize = 64;

struct Parser<'text> {
    text: &'text str,
    at: usize,
    depth: usize,
}

/// The whole text as one condition.
pub(super) fn parse(text: &str) -> Result<Node> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let node = parser.any()?;
    match parser.rest() {
        "" => Ok(node),
        _ => Err(parser.wrong("&& or || is missing")),
    }
}

impl<'text> Parser<'text> {
    /// What is left, without blanks before it.
    fn rest(&mut self) -> &'text str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn word(&mut self, belongs: fn(char) -> bool) -> &'text str {
        let rest = self.rest();
        let word = rest.find(|letter| !belongs(letter)).map_or(rest, |end| &rest[..end]);
        self.at += word.len();
        word
    }

    fn any(&mut self) -> Result<Node> {
        let mut nodes = vec![self.all()?];
        while self.eat("||") {
            nodes.push(self.all()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Any(nodes) })
    }

    fn all(&mut self) -> Result<Node> {
        let mut nodes = vec![self.one()?];
        while self.eat("&&") {
            nodes.push(self.one()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::All(nodes) })
    }

    fn one(&mut self) -> Result<Node> {
        if !self.eat("(") {
            return self.clause().map(Node::Clause);
        }
        self.depth += 1;
        if self.depth > MOST_PARENTHESES {
            return Err(self.wrong("too many parentheses"));
        }
        let node = self.any()?;
        self.depth -= 1;
        if self.eat(")") { Ok(node) } else { Err(self.wrong("a ) is missing")) }
    }

    fn clause(&mut self) -> Result<Clause> {
        self.rest();
        let begin = self.at;
        let field = self.field()?;
        let operator = self.operator()?;
        self.rest();
        let value_at = self.at;
        let word = self.word(|letter| letter.is_alphanumeric() || matches!(letter, '.' | '%' | '-' | '+'));
        let value = value(field, word).ok_or_else(|| {
            self.at = value_at;
            self.wrong(&format!("{word:?} is no {}", form(field)))
        })?;
        Ok(Clause { field, operator, value, text: self.text[begin..self.at].to_owned() })
    }

    fn field(&mut self) -> Result<Field> {
        let begin = self.at;
        let name = self.word(|letter| letter.is_alphanumeric() || letter == '_');
        match name {
            "age" => Ok(Field::Age),
            "level" => Ok(Field::Level),
            "count" => Ok(Field::Count),
            "bytes" => Ok(Field::Bytes),
            "records" => Ok(Field::Records),
            "growth" => Ok(Field::Growth),
            _ => {
                self.at = begin;
                Err(self.wrong(&format!("{name:?} is no field")))
            }
        }
    }

    fn operator(&mut self) -> Result<Operator> {
        let operators = [
            ("<=", Operator::AtMost),
            (">=", Operator::AtLeast),
            ("==", Operator::Equal),
            ("!=", Operator::Other),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        let found = operators.into_iter().find(|(word, _)| self.eat(word));
        found.map(|(_, operator)| operator).ok_or_else(|| self.wrong("a comparison is missing"))
    }

    fn wrong(&self, why: &str) -> Error {
        let place = self.text.get(..self.at).unwrap_or_default().chars().count() + 1;
        Error::usage(format!("the condition {:?}, at character {place}: {why}", self.text)).with_hint(
            "Compare age, level, count, bytes, records or growth: age<26h && level>=2 && (count>=7 || bytes>10GB).",
        )
    }
}

fn form(field: Field) -> &'static str {
    match field {
        Field::Age => "age, such as 26h or 7d",
        Field::Level => "level from 0 to 4",
        Field::Count | Field::Records => "number",
        Field::Bytes => "size, such as 10GB",
        Field::Growth => "percentage, such as 50%",
    }
}

fn value(field: Field, word: &str) -> Option<f64> {
    let (number, unit) =
        word.split_at(word.find(|letter: char| letter.is_alphabetic() || letter == '%').unwrap_or(word.len()));
    let (number, unit) =
        if field == Field::Level && number.is_empty() { (unit.strip_prefix('L')?, "") } else { (number, unit) };
    // Neither "inf" nor "1e9" nor a sign where nothing can be negative.
    let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let digits = if field == Field::Growth { number.trim_start_matches(['-', '+']) } else { number };
    let number: f64 = number.parse().ok().filter(|_| plain(digits))?;
    match field {
        Field::Level => Some(number).filter(|number| unit.is_empty() && *number <= 4.0 && number.fract() == 0.0),
        Field::Count | Field::Records => Some(number).filter(|_| unit.is_empty()),
        Field::Growth => Some(number).filter(|_| matches!(unit, "" | "%")),
        Field::Age => scale(unit, &[("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0), ("w", 604_800.0)], number),
        Field::Bytes => scale(
            unit,
            &[
                ("", 1.0),
                ("B", 1.0),
                ("kB", 1e3),
                ("KB", 1e3),
                ("MB", 1e6),
                ("GB", 1e9),
                ("TB", 1e12),
                ("KiB", 1024.0),
                ("MiB", 1_048_576.0),
                ("GiB", 1_073_741_824.0),
                ("TiB", 1_099_511_627_776.0),
            ],
            number,
        ),
    }
}

fn scale(unit: &str, units: &[(&str, f64)], number: f64) -> Option<f64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| number * factor)
}
