//! Reading a source with Polars: lazily, only the columns asked for, with no value in any error.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use polars::prelude::{
    DataFrame, DataType, Expr, Field, IntoLazy, LazyCsvReader, LazyFileListReader, LazyFrame, NULL,
    PlRefPath, PolarsError, PolarsResult, ScanArgsParquet, lit, when,
};

use super::LocalError;
use super::config::{ColumnConfig, Source, TableConfig};
use super::mapping::{Mapping, is_supported};
use crate::query::catalogue::{ColumnKind, OutOfBounds};

/// Suffix of the column that flags values out of bounds; no catalogue name contains a colon.
const OUTSIDE: &str = ":outside";

/// Name of the flag column of a column.
pub(super) fn outside_name(column: &str) -> String {
    format!("{column}{OUTSIDE}")
}

/// A column by exactly this name (`col` would take `*` and `^...$` for patterns).
pub(super) fn named(name: &str) -> Expr {
    Expr::Column(name.into())
}

/// The source's rows, lazily; CSV fields are texts, and `rows` ends the file before blank lines.
///
/// # Errors
/// [`LocalError`] when the file is absent, malformed, lacks a column in `needed`, or has it in a type without
/// mapping.
pub(super) fn scan(
    table: &TableConfig,
    held: Option<&DataFrame>,
    needed: &[&str],
    rows: Option<u64>,
) -> Result<LazyFrame, LocalError> {
    let mut frame = guarded(table, || {
        let path = match (held, &table.source) {
            (Some(held), _) => return Ok(held.clone().lazy()),
            (None, Source::Csv(path) | Source::Parquet(path)) => PlRefPath::try_from_path(path)?,
            (None, Source::Records(_)) => return Ok(DataFrame::empty().lazy()),
        };
        match &table.source {
            Source::Csv(_) => LazyCsvReader::new(path)
                .with_has_header(true)
                .with_separator(table.delimiter)
                .with_infer_schema_length(Some(0))
                .with_n_rows(rows.and_then(|rows| usize::try_from(rows).ok()))
                .with_glob(false)
                .with_cache(false)
                .finish(),
            _ => {
                let args = ScanArgsParquet { glob: false, cache: false, ..ScanArgsParquet::default() };
                LazyFrame::scan_parquet(path, args)
            }
        }
    })?;
    let schema = guarded(table, || frame.collect_schema())?;
    for name in needed {
        let Some(dtype) = schema.get(name) else {
            return Err(LocalError::ColumnAbsent {
                table: table.name.clone(),
                source_column: (*name).into(),
            });
        };
        if !is_supported(dtype) {
            return Err(LocalError::TypeUnsupported {
                table: table.name.clone(),
                source_column: (*name).into(),
                dtype: dtype.to_string(),
            });
        }
    }
    Ok(frame.select(needed.iter().map(|name| named(name)).collect::<Vec<_>>()))
}

/// Name of the column that counts the rows of the source.
pub(super) const ROW: &str = ":row";

/// The rows with their places in the source in [`ROW`]: before any of them is left out.
pub(super) fn numbered(frame: LazyFrame) -> LazyFrame {
    frame.with_row_index(ROW, None)
}

/// The mapped and bounded columns of [`numbered`] rows under their catalogue names, each with its flag column, and
/// [`ROW`].
pub(super) fn mapped(frame: LazyFrame, table: &TableConfig, columns: &[&ColumnConfig]) -> LazyFrame {
    let row = || std::iter::once(named(ROW));
    let raw: Vec<Expr> = columns.iter().map(|c| mapped_column(table, c)).chain(row()).collect();
    let bounded: Vec<Expr> = columns.iter().flat_map(|c| bounded_column(c)).chain(row()).collect();
    frame.select(raw).select(bounded)
}

fn mapped_column(table: &TableConfig, config: &ColumnConfig) -> Expr {
    let mapping = Arc::new(Mapping::new(table, config));
    named(&config.source)
        .map(
            move |series| mapping.fixed_column(&series),
            |_, field| Ok(Field::new(field.name().clone(), DataType::Int64)),
        )
        .alias(config.column.name.as_str())
}

fn bounded_column(config: &ColumnConfig) -> [Expr; 2] {
    let column = &config.column;
    let value = named(&column.name);
    let (below, above) = (value.clone().lt(lit(column.min)), value.clone().gt(lit(column.max)));
    let outside = below.clone().or(above.clone()).fill_null(lit(false));
    let is_number = matches!(column.kind, ColumnKind::Integer | ColumnKind::Real);
    let clamps = column.out_of_bounds == OutOfBounds::Clamp && is_number;
    let bounded = if clamps {
        when(below).then(lit(column.min)).when(above).then(lit(column.max)).otherwise(value)
    } else {
        when(outside.clone()).then(lit(NULL).cast(DataType::Int64)).otherwise(value)
    };
    [bounded.alias(column.name.as_str()), outside.alias(outside_name(&column.name))]
}

/// Runs the query.
///
/// # Errors
/// [`LocalError`] when the file cannot be read to its end.
pub(super) fn collect(table: &TableConfig, frame: LazyFrame) -> Result<DataFrame, LocalError> {
    guarded(table, || frame.collect())
}

/// Turns what Polars says, and a panic inside it, into our own words: its messages may quote fields.
fn guarded<T>(table: &TableConfig, work: impl FnOnce() -> PolarsResult<T>) -> Result<T, LocalError> {
    let malformed = |reason| LocalError::SourceMalformed {
        table: table.name.clone(),
        format: table.source.format(),
        reason,
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(PolarsError::IO { error, .. })) => {
            Err(LocalError::SourceUnreadable { table: table.name.clone(), reason: error.kind().to_string() })
        }
        Ok(Err(PolarsError::NoData(_))) => Err(malformed("it is empty")),
        Ok(Err(PolarsError::Duplicate(_))) => Err(malformed("two columns have the same name")),
        Ok(Err(_)) => {
            Err(malformed("rows do not fit the heading, a quote is not closed, or it is no such file"))
        }
        Err(_) => Err(malformed("the reader broke off")),
    }
}
