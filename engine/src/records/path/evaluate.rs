//! What an expression stands for in one item.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::Value as Json;

use super::{Comparison, Expr, Function};
use crate::records::date::Moment;

/// Most values of a collection: what a hostile resource holds more of is left out.
const VALUES_MAX: usize = 10_000;

/// What a path is evaluated on.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// A resource.
    Json(&'a Json),
    /// A row.
    Row(RowItem<'a>),
}

/// A row: its columns by name, and its fields; a field that is absent or missing is no value.
#[derive(Clone, Copy, Debug)]
pub struct RowItem<'a> {
    /// Name to position.
    pub columns: &'a HashMap<String, usize>,
    /// The fields.
    pub fields: &'a [Option<String>],
}

impl<'a> RowItem<'a> {
    /// The field of a column.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.fields.get(*self.columns.get(name)?)?.as_deref()
    }
}

/// One value of a collection.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// An element, with its type where its name told (`valueQuantity`).
    Json(&'a Json, Option<&'a str>),
    /// A row.
    Row(RowItem<'a>),
    /// A text.
    Text(Cow<'a, str>),
    /// A number, as written.
    Number(Cow<'a, str>),
    /// A date, as written.
    Date(Cow<'a, str>),
    /// A truth value.
    Bool(bool),
}

impl<'a> Value<'a> {
    /// As a text; `None` for an element with parts.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Json(Json::String(text), _) => Some(Cow::Borrowed(text)),
            Self::Json(Json::Number(number), _) => Some(Cow::Owned(number.to_string())),
            Self::Json(Json::Bool(value), _) | Self::Bool(value) => {
                Some(Cow::Borrowed(if *value { "true" } else { "false" }))
            }
            Self::Json(..) | Self::Row(_) => None,
            Self::Text(text) | Self::Number(text) | Self::Date(text) => Some(text.clone()),
        }
    }

    fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true) | Self::Json(Json::Bool(true), _))
    }

    fn number(&self) -> Option<f64> {
        self.text()?.trim().parse().ok().filter(|n: &f64| n.is_finite())
    }

    fn moment(&self) -> Option<Moment> {
        Moment::parse(&self.text()?)
    }

    /// Numbers and dates where one of the two is written as one, or both read as one; else texts.
    fn compare(&self, other: &Self, ordered: bool) -> Option<Ordering> {
        let by_number = || Some((self.number()?, other.number()?)).and_then(|(a, b)| a.partial_cmp(&b));
        let by_moment = || Some((self.moment()?, other.moment()?)).map(|(a, b)| a.micros.cmp(&b.micros));
        match (self, other) {
            (Self::Number(_), _) | (_, Self::Number(_)) => by_number(),
            (Self::Date(_), _) | (_, Self::Date(_)) => by_moment(),
            (Self::Json(Json::Number(_), _), Self::Json(Json::Number(_), _)) => by_number(),
            _ if ordered => {
                let (left, right) = (self.text()?, other.text()?);
                by_number().or_else(by_moment).or_else(|| Some(left.cmp(&right)))
            }
            _ => Some(self.text()?.cmp(&other.text()?)),
        }
    }
}

type Values<'a> = Vec<Value<'a>>;

impl Expr {
    /// The collection this stands for; empty for what is not there.
    #[must_use]
    pub fn evaluate<'a>(&'a self, item: &Item<'a>) -> Values<'a> {
        let start = match item {
            Item::Json(json) => Value::Json(json, None),
            Item::Row(row) => Value::Row(*row),
        };
        self.on(&start)
    }

    /// True when it gives exactly `true`.
    #[must_use]
    pub fn holds(&self, item: &Item<'_>) -> bool {
        is_true(&self.evaluate(item))
    }

    fn on<'a>(&'a self, this: &Value<'a>) -> Values<'a> {
        match self {
            Self::This => vec![this.clone()],
            Self::Text(text) => vec![Value::Text(Cow::Borrowed(text))],
            Self::Number(number) => vec![Value::Number(Cow::Borrowed(number))],
            Self::Date(date) => vec![Value::Date(Cow::Borrowed(date))],
            Self::Bool(value) => vec![Value::Bool(*value)],
            Self::Or(a, b) => vec![Value::Bool(is_true(&a.on(this)) || is_true(&b.on(this)))],
            Self::And(a, b) => vec![Value::Bool(is_true(&a.on(this)) && is_true(&b.on(this)))],
            Self::Compare(a, comparison, b) => compare(&a.on(this), *comparison, &b.on(this)),
            Self::In(a, b) => match a.on(this).as_slice() {
                [one] => {
                    let among = b.on(this).iter().any(|v| one.compare(v, false) == Some(Ordering::Equal));
                    vec![Value::Bool(among)]
                }
                _ => Vec::new(),
            },
            Self::Union(a, b) => {
                let mut values = a.on(this);
                values.extend(b.on(this));
                values.truncate(VALUES_MAX);
                values
            }
            Self::Child(of, name) => {
                let mut values = Vec::new();
                of.on(this).iter().for_each(|value| children(value, name, &mut values));
                values.truncate(VALUES_MAX);
                values
            }
            Self::Index(of, at) => of.on(this).into_iter().skip(*at).take(1).collect(),
            Self::Call(of, function) => function.of(of.on(this), this),
        }
    }
}

fn is_true(values: &[Value<'_>]) -> bool {
    matches!(values, [one] if one.is_true())
}

fn compare<'a>(left: &[Value<'a>], comparison: Comparison, right: &[Value<'a>]) -> Values<'a> {
    if left.is_empty() || right.is_empty() {
        return Vec::new();
    }
    if let Comparison::Equal | Comparison::Unequal = comparison {
        let same = left.len() == right.len()
            && left.iter().zip(right).all(|(a, b)| a.compare(b, false) == Some(Ordering::Equal));
        return vec![Value::Bool(same == (comparison == Comparison::Equal))];
    }
    let ([left], [right]) = (left, right) else { return Vec::new() };
    let fits = left.compare(right, true).map(|order| match comparison {
        Comparison::Below => order.is_lt(),
        Comparison::AtMost => order.is_le(),
        Comparison::Above => order.is_gt(),
        _ => order.is_ge(),
    });
    fits.map(Value::Bool).into_iter().collect()
}

/// The elements of that name; `value` also finds `valueQuantity`, and then knows the type.
fn children<'a>(of: &Value<'a>, name: &str, values: &mut Values<'a>) {
    match of {
        Value::Row(row) => values.extend(row.field(name).map(|text| Value::Text(Cow::Borrowed(text)))),
        Value::Json(Json::Object(fields), _) => {
            let found = fields.get_key_value(name).map(|(_, json)| (json, None)).or_else(|| {
                fields.iter().find_map(|(key, json)| {
                    let kind = key.strip_prefix(name)?;
                    kind.starts_with(|c: char| c.is_ascii_uppercase()).then_some((json, Some(kind)))
                })
            });
            match found {
                Some((Json::Array(many), kind)) => values.extend(many.iter().map(|j| Value::Json(j, kind))),
                Some((Json::Null, _)) | None => {}
                Some((json, kind)) => values.push(Value::Json(json, kind)),
            }
        }
        _ => {}
    }
}

impl Function {
    fn of<'a>(&'a self, values: Values<'a>, this: &Value<'a>) -> Values<'a> {
        let single = |values: Values<'a>| {
            let mut values = values.into_iter();
            values.next().filter(|_| values.next().is_none())
        };
        match self {
            Self::Where(condition) => values.into_iter().filter(|v| is_true(&condition.on(v))).collect(),
            Self::Exists(None) => vec![Value::Bool(!values.is_empty())],
            Self::Exists(Some(condition)) => {
                vec![Value::Bool(values.iter().any(|v| is_true(&condition.on(v))))]
            }
            Self::Empty => vec![Value::Bool(values.is_empty())],
            Self::Not => single(values).map(|v| Value::Bool(!v.is_true())).into_iter().collect(),
            Self::First => values.into_iter().take(1).collect(),
            Self::Last => values.into_iter().last().into_iter().collect(),
            Self::Count => vec![Value::Number(Cow::Owned(values.len().to_string()))],
            Self::Min => extreme(values, Ordering::Less),
            Self::Max => extreme(values, Ordering::Greater),
            Self::OfType(name) => values.into_iter().filter(|v| is_of_type(v, name)).collect(),
            Self::Extension(url) => {
                let mut found = Vec::new();
                values.iter().for_each(|v| children(v, "extension", &mut found));
                found.retain(|v| matches!(v, Value::Json(json, _) if json["url"] == url.as_str()));
                found
            }
            Self::StartsWith(head) => {
                let text = single(values).and_then(|v| v.text());
                text.map(|text| Value::Bool(text.starts_with(head.as_str()))).into_iter().collect()
            }
            Self::Substring(start, length) => {
                let text = single(values).and_then(|v| v.text());
                let part = text.map(|text| text.chars().skip(*start).take(*length).collect::<String>());
                part.filter(|p| !p.is_empty()).map(|p| Value::Text(Cow::Owned(p))).into_iter().collect()
            }
            Self::If(condition, then, otherwise) => match (is_true(&condition.on(this)), otherwise) {
                (true, _) => then.on(this),
                (false, Some(otherwise)) => otherwise.on(this),
                (false, None) => Vec::new(),
            },
            Self::ResourceKey => texts(values, |v| child_text(v, "id")),
            Self::ReferenceKey(kind) => texts(values, |v| reference(v, kind.as_deref())),
            Self::Year => texts(values, |v| Some(Cow::Owned(v.moment()?.date.0.to_string()))),
            Self::Day => texts(values, |v| {
                let (year, month, day) = v.moment()?.date;
                Some(Cow::Owned(format!("{year:04}-{month:02}-{day:02}")))
            }),
            Self::AgeAt(birth, at) => {
                between(&birth.on(this), &at.on(this), |from, to| i64::from(from.years_to(to)))
            }
            Self::DaysBetween(from, to) => between(&from.on(this), &to.on(this), Moment::days_to),
        }
    }
}

fn texts<'a>(values: Values<'a>, of: impl Fn(&Value<'a>) -> Option<Cow<'a, str>>) -> Values<'a> {
    values.iter().filter_map(of).map(Value::Text).collect()
}

fn between<'a>(from: &[Value<'_>], to: &[Value<'_>], of: impl Fn(&Moment, &Moment) -> i64) -> Values<'a> {
    let ([from], [to]) = (from, to) else { return Vec::new() };
    let found = from.moment().zip(to.moment()).map(|(from, to)| of(&from, &to));
    found.map(|n| Value::Number(Cow::Owned(n.to_string()))).into_iter().collect()
}

fn extreme(values: Values<'_>, wanted: Ordering) -> Values<'_> {
    let better = |a: &Value<'_>, b: &Value<'_>| a.compare(b, true) == Some(wanted);
    values
        .into_iter()
        .reduce(|best, next| if better(&next, &best) { next } else { best })
        .into_iter()
        .collect()
}

/// By the name that told the type, or by the shape of a primitive.
fn is_of_type(value: &Value<'_>, name: &str) -> bool {
    let same = |kind: &str| kind.eq_ignore_ascii_case(name);
    match value {
        Value::Json(_, Some(kind)) => same(kind),
        Value::Json(Json::Bool(_), None) | Value::Bool(_) => name == "boolean",
        Value::Json(Json::Number(_), None) | Value::Number(_) => matches!(name, "decimal" | "integer"),
        Value::Json(Json::Object(fields), None) => {
            fields.get("resourceType").and_then(Json::as_str).is_some_and(same)
        }
        Value::Json(Json::String(_), None) | Value::Text(_) => matches!(name, "string" | "code" | "id"),
        Value::Date(_) => matches!(name, "date" | "dateTime"),
        _ => false,
    }
}

fn child_text<'a>(of: &Value<'a>, name: &str) -> Option<Cow<'a, str>> {
    let mut found = Vec::new();
    children(of, name, &mut found);
    found.first()?.text()
}

/// The id in a reference: of `Patient/7`, `https://host/fhir/Patient/7`, `Patient/7/_history/2`; the whole of a URN.
fn reference<'a>(of: &Value<'a>, kind: Option<&str>) -> Option<Cow<'a, str>> {
    let Value::Json(json, _) = of else { return None };
    let text = json.get("reference")?.as_str()?;
    if text.starts_with("urn:") {
        return Some(Cow::Borrowed(text));
    }
    let path = text.split("/_history/").next()?;
    let (before, id) = path.rsplit_once('/')?;
    let named = before.rsplit('/').next()?;
    (kind.is_none_or(|kind| kind == named) && !id.is_empty()).then_some(Cow::Borrowed(id))
}
