//! The SELECT statement: everything but its items, its one table, WHERE and GROUP BY is refused.

use sqlparser::ast::{
    self as sql, Expr, GroupByExpr, Ident, ObjectName, Select, SelectItem, SetExpr, Spanned, TableFactor,
    TableWithJoins,
};
use sqlparser::tokenizer::Span;

use super::super::ast::{GROUPS_MAX, Item, Query};
use super::super::error::QueryError;
use super::{Result, column, condition, limit, name, place, statistic, unsupported};

/// Most statistics of one query.
pub(super) const ITEMS_MAX: usize = 64;

/// Longest alias, in characters.
const ALIAS_MAX: usize = 80;

/// Refuses a clause that is present.
fn absent(present: bool, clause: &str, hint: &str, span: Span) -> Result<()> {
    if present { Err(unsupported(clause, hint, span)) } else { Ok(()) }
}

pub(super) fn query(query: sql::Query) -> Result<Query> {
    let span = query.span();
    let sql::Query {
        with,
        body,
        order_by,
        limit_clause,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    absent(with.is_some(), "WITH", "ask one SELECT over one table", span)?;
    absent(order_by.is_some(), "ORDER BY", "rows come in the order of the catalogue's codes", span)?;
    absent(limit_clause.is_some() || fetch.is_some(), "LIMIT", "an answer has a row per group", span)?;
    let other = !locks.is_empty()
        || for_clause.is_some()
        || settings.is_some()
        || format_clause.is_some()
        || !pipe_operators.is_empty();
    absent(other, "a clause after the query", "end the query after GROUP BY", span)?;
    match *body {
        SetExpr::Select(one) => select(*one),
        other => Err(unsupported(
            "a set operation, a subquery or VALUES",
            "ask one SELECT over one table",
            other.span(),
        )),
    }
}

fn select(select: Select) -> Result<Query> {
    let span = select.span();
    let Select {
        select_token: _,
        optimizer_hints,
        distinct,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor: _,
    } = select;
    absent(distinct.is_some(), "DISTINCT", "GROUP BY the column and COUNT(*) instead", span)?;
    absent(top.is_some(), "TOP", "an answer has a row per group", span)?;
    absent(into.is_some(), "INTO", "the answer goes to the researcher's key", span)?;
    absent(having.is_some(), "HAVING", "small groups are withheld by the hospitals' floor", span)?;
    absent(!named_window.is_empty() || qualify.is_some(), "a window", "use GROUP BY", span)?;
    let other = !optimizer_hints.is_empty()
        || select_modifiers.is_some()
        || exclude.is_some()
        || !lateral_views.is_empty()
        || prewhere.is_some()
        || !connect_by.is_empty()
        || !cluster_by.is_empty()
        || !distribute_by.is_empty()
        || !sort_by.is_empty()
        || value_table_mode.is_some();
    absent(other, "a clause of this SELECT", "a query has SELECT, FROM, WHERE and GROUP BY", span)?;
    let table = table(from, span)?;
    let group_by = groups(group_by, span)?;
    let filter = selection.as_ref().map(condition::predicate).transpose()?;
    let items = items(&projection, &group_by)?;
    Ok(Query { items, table, filter, group_by, privacy: None, is_rounded: false, is_proved: false })
}

fn table(from: Vec<TableWithJoins>, span: Span) -> Result<String> {
    let mut from = from.into_iter();
    let (Some(TableWithJoins { relation, joins }), None) = (from.next(), from.next()) else {
        return Err(unsupported("other than one table after FROM", "ask one table at a time", span));
    };
    let here = relation.span();
    absent(!joins.is_empty(), "JOIN", "ask one table; hospitals can publish a joined one", here)?;
    let TableFactor::Table {
        name: path,
        alias,
        args,
        with_hints,
        version,
        with_ordinality,
        partitions,
        json_path,
        sample,
        index_hints,
    } = relation
    else {
        return Err(unsupported("a subquery or table function", "name a table of the catalogue", here));
    };
    absent(alias.is_some(), "an alias of the table", "there is one table: leave it out", here)?;
    let other = args.is_some()
        || !with_hints.is_empty()
        || version.is_some()
        || with_ordinality
        || !partitions.is_empty()
        || json_path.is_some()
        || sample.is_some()
        || !index_hints.is_empty();
    absent(other, "an option of the table", "write the table's name alone", here)?;
    name(single(&path, here)?)
}

/// The identifier of a name that has one part.
pub(super) fn single(path: &ObjectName, span: Span) -> Result<&Ident> {
    match path.0.as_slice() {
        [part] => part.as_ident(),
        _ => None,
    }
    .ok_or_else(|| unsupported("a qualified name", "write the name alone", span))
}

fn groups(group_by: GroupByExpr, span: Span) -> Result<Vec<String>> {
    let GroupByExpr::Expressions(exprs, modifiers) = group_by else {
        return Err(unsupported("GROUP BY ALL", "name the columns", span));
    };
    absent(!modifiers.is_empty(), "a modifier of GROUP BY", "name the columns", span)?;
    limit("columns after GROUP BY", exprs.len(), GROUPS_MAX, "group by fewer columns")?;
    let mut names: Vec<String> = Vec::with_capacity(exprs.len());
    for expr in &exprs {
        let name = column(expr)?;
        absent(names.contains(&name), "grouping twice by one column", "name it once", expr.span())?;
        names.push(name);
    }
    Ok(names)
}

fn items(projection: &[SelectItem], group_by: &[String]) -> Result<Vec<Item>> {
    limit("entries after SELECT", projection.len(), ITEMS_MAX, "ask in several queries")?;
    let mut items: Vec<Item> = Vec::with_capacity(projection.len());
    for entry in projection {
        let item = item(entry, group_by)?;
        absent(items.contains(&item), "the same entry twice", "give it once", entry.span())?;
        let clash = items.iter().any(|other| other.heading() == item.heading());
        absent(clash, "the same heading twice", "give one of them another alias", entry.span())?;
        items.push(item);
    }
    if !items.iter().any(|item| matches!(item, Item::Aggregate { .. })) {
        let span = projection.first().map_or_else(Span::empty, Spanned::span);
        return Err(unsupported("a query without statistics", "add one, such as COUNT(*)", span));
    }
    Ok(items)
}

fn item(entry: &SelectItem, group_by: &[String]) -> Result<Item> {
    let (expr, alias) = match entry {
        SelectItem::UnnamedExpr(expr) => (expr, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias)),
        other => {
            return Err(unsupported("`*`", "rows never leave a hospital: ask for statistics", other.span()));
        }
    };
    if let Expr::Function(function) = expr {
        let statistic = statistic::statistic(function)?;
        let label = alias.map_or_else(|| Ok(statistic.canonical()), label)?;
        return Ok(Item::Aggregate { statistic, label });
    }
    let column = column(expr)?;
    absent(alias.is_some(), "an alias of a group column", "leave it out", entry.span())?;
    if !group_by.contains(&column) {
        let construct = format!("the column `{column}` outside a statistic");
        let hint = format!("ask for a statistic such as AVG({column}), or add it to GROUP BY");
        return Err(QueryError::Unsupported { construct, hint, place: place(expr.span()) });
    }
    Ok(Item::Group { column })
}

fn label(alias: &Ident) -> Result<String> {
    let text = alias.value.trim();
    let fits = !text.is_empty()
        && text == alias.value
        && text.chars().count() <= ALIAS_MAX
        && !text.chars().any(|c| c.is_control() || c == '\u{2028}' || c == '\u{2029}');
    if fits {
        Ok(text.to_owned())
    } else {
        Err(unsupported("this alias", "an alias is one line of at most 80 characters", alias.span))
    }
}
