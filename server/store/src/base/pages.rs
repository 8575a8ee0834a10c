//! Pagination of lists in the database.
//!
//! A list is a query without an order. [`Range::fetch`] orders it, starts after the last row shown (found by
//! value and id, so that equal values neither repeat nor hide rows) and reads one row more than the page holds,
//! to know whether there is another page. Columns come from the [`List`]s of this crate and values are bound:
//! no client text becomes SQL.

use chrono::{DateTime, Utc};
use sqlx::{
    Execute as _, FromRow, PgExecutor, Postgres, QueryBuilder, Row as _,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use uuid::Uuid;

/// The default page size, and the maximum.
pub const USUAL: usize = 200;
/// See [`USUAL`].
pub const MOST: usize = 1000;

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Id,
    Number,
    Text,
    Time,
}

/// A column that a list can be ordered by. `t` is the list.
#[derive(Debug)]
pub struct Order {
    /// Its name in the API.
    pub field: &'static str,
    kind: Kind,
    column: &'static str,
    /// The expression to compare: `#` stands for the value.
    through: &'static str,
    /// Values are unique within the list.
    is_unique: bool,
}

impl Order {
    /// By a value that is unique within the list.
    pub const fn unique(field: &'static str, kind: Kind, column: &'static str) -> Self {
        Self { field, kind, column, through: "#", is_unique: true }
    }

    /// By a value that may repeat.
    pub const fn shared(field: &'static str, kind: Kind, column: &'static str) -> Self {
        Self { field, kind, column, through: "#", is_unique: false }
    }

    /// Compares the expression `through`, where `#` stands for the value.
    pub const fn compared_by(self, through: &'static str) -> Self {
        Self { through, ..self }
    }
}

/// By id, which for most things is the order of creation.
pub const BY_ID: Order = Order::unique("id", Kind::Id, "t.id");
/// By time of creation.
pub const BY_CREATION: Order = Order::shared("created_at", Kind::Time, "t.created_at");
/// By time of the last change.
pub const BY_CHANGE: Order = Order::shared("updated_at", Kind::Time, "t.updated_at");
/// By email address, case-insensitive.
pub const BY_EMAIL: Order = Order::shared("email", Kind::Text, "t.email").compared_by("lower(#)");
/// By a name that is unique within the list.
pub const BY_NAME: Order = Order::unique("name", Kind::Text, "t.name");

/// The available orders of a list; the first is the default.
#[derive(Debug)]
pub struct List {
    pub orders: &'static [Order],
    /// Whether the default order is descending.
    pub descending: bool,
}

impl List {
    /// A list in the first of `orders` by default.
    pub const fn by(orders: &'static [Order]) -> Self {
        Self { orders, descending: false }
    }

    /// Like [`List::by`], descending.
    pub const fn by_descending(orders: &'static [Order]) -> Self {
        Self { orders, descending: true }
    }

    /// The order that clients name `field`.
    pub fn order(&self, field: &str) -> Option<&'static Order> {
        self.orders.iter().find(|order| order.field == field)
    }
}

/// A value at the start or end of a page.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Id(Uuid),
    Number(i64),
    Text(String),
    Time(DateTime<Utc>),
}

/// The start or end of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    value: Value,
    /// The row with that value; all of them if absent.
    id: Option<Uuid>,
    /// Excludes the bound itself.
    excludes: bool,
}

impl Bound {
    /// The bound at `value`, which has the column's type, or at the row `id` with that value.
    pub fn parse(order: &Order, value: &str, id: Option<Uuid>, excludes: bool) -> Option<Self> {
        let value = match order.kind {
            Kind::Id => Value::Id(value.parse().ok()?),
            Kind::Number => Value::Number(value.parse().ok()?),
            Kind::Text if value.contains('\0') => return None,
            Kind::Text => Value::Text(value.to_owned()),
            Kind::Time => Value::Time(DateTime::parse_from_rfc3339(value).ok()?.to_utc()),
        };
        Some(Self { value, id, excludes })
    }
}

/// A range of a list.
#[derive(Clone, Debug)]
pub struct Range {
    order: &'static Order,
    descending: bool,
    max: usize,
    start: Option<Bound>,
    end: Option<Bound>,
}

impl Range {
    /// The first page of `list`, of the default size.
    pub fn first(list: &'static List) -> Self {
        Self { order: &list.orders[0], descending: list.descending, max: USUAL, start: None, end: None }
    }

    /// The maximum page size.
    pub fn longest(list: &'static List) -> Self {
        Self::first(list).at_most(MOST)
    }

    /// In this order, ascending.
    pub fn by(self, order: &'static Order) -> Self {
        Self { order, descending: false, ..self }
    }

    /// Descending or ascending.
    pub fn turned(self, descending: bool) -> Self {
        Self { descending, ..self }
    }

    /// This many rows, within the limits.
    pub fn at_most(self, max: usize) -> Self {
        Self { max: max.clamp(1, MOST), ..self }
    }

    /// Between two bounds, in the order of the range.
    pub fn between(self, start: Option<Bound>, end: Option<Bound>) -> Self {
        Self { start, end, ..self }
    }

    /// The order.
    pub fn order(&self) -> &'static Order {
        self.order
    }

    /// Whether it is descending.
    pub fn is_descending(&self) -> bool {
        self.descending
    }

    /// The maximum number of rows.
    pub fn max(&self) -> usize {
        self.max
    }

    /// The number after which the range starts; `None` if it starts otherwise.
    pub fn after_number(&self) -> Option<i64> {
        match self.start {
            Some(Bound { value: Value::Number(number), excludes: true, .. }) => Some(number),
            _ => None,
        }
    }

    /// Fetches this range of `list`: a query whose rows have an `id`, without an order.
    pub async fn fetch<T>(
        &self,
        db: impl PgExecutor<'_>,
        mut list: Query<'_, Postgres, PgArguments>,
    ) -> sqlx::Result<Page<T>>
    where
        T: for<'a> FromRow<'a, PgRow> + Send + Unpin,
    {
        let arguments = list.take_arguments().map_err(sqlx::Error::Encode)?.unwrap_or_default();
        let key = match self.order.kind {
            Kind::Time => {
                format!(r#"to_char({} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#, self.order.column)
            }
            _ => format!("({})::text", self.order.column),
        };
        let head =
            format!("select t.*, {key} as page_key, t.id as page_id from ({}) t where true", list.sql().as_str());
        let mut query = QueryBuilder::with_arguments(head, arguments);
        let (after, before) = if self.descending { ("<", ">") } else { (">", "<") };
        for (bound, side) in [(&self.start, after), (&self.end, before)] {
            if let Some(bound) = bound {
                self.limit(&mut query, bound, side);
            }
        }
        let (order, way) =
            (self.order.through.replace('#', self.order.column), if self.descending { "desc" } else { "asc" });
        query.push(format!(" order by {order} {way}, t.id {way} limit ")).push_bind(self.max as i64 + 1);
        let rows: Vec<Keyed<T>> = query.build_query_as().fetch_all(db).await?;
        Ok(Page::new(rows, self.max))
    }

    fn limit(&self, query: &mut QueryBuilder<Postgres>, bound: &Bound, side: &str) {
        let column = self.order.through.replace('#', self.order.column);
        let equal = if bound.excludes { "" } else { "=" };
        match bound.id {
            Some(_) => query.push(format!(" and ({column}, t.id) {side}{equal} (")),
            None => query.push(format!(" and {column} {side}{equal} (")),
        };
        for (n, part) in self.order.through.split('#').enumerate() {
            if n > 0 {
                match &bound.value {
                    Value::Id(id) => query.push_bind(*id),
                    Value::Number(number) => query.push_bind(*number),
                    Value::Text(text) => query.push_bind(text.clone()),
                    Value::Time(time) => query.push_bind(*time),
                };
            }
            query.push(part);
        }
        if let Some(id) = bound.id {
            query.push(", ").push_bind(id);
        }
        query.push(")");
    }
}

/// A row and its position.
struct Keyed<T> {
    row: T,
    place: Place,
}

impl<'r, T: FromRow<'r, PgRow>> FromRow<'r, PgRow> for Keyed<T> {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        let place = Place { value: row.try_get("page_key")?, id: row.try_get("page_id")? };
        Ok(Self { row: T::from_row(row)?, place })
    }
}

/// The position of a row in the order of its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its value in the column of the order.
    pub value: String,
    pub id: Uuid,
}

impl Place {
    /// The position in `Next-Range` for the next page; no id if the value is sufficient.
    pub fn id_in(&self, order: &Order) -> Option<Uuid> {
        (!order.is_unique).then_some(self.id)
    }
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// The positions of its first and last row.
    pub ends: Option<(Place, Place)>,
    /// Whether more rows follow.
    pub has_more: bool,
}

impl<T> Page<T> {
    fn new(mut keyed: Vec<Keyed<T>>, max: usize) -> Self {
        let has_more = keyed.len() > max;
        keyed.truncate(max);
        let ends = keyed.first().zip(keyed.last()).map(|(first, last)| (first.place.clone(), last.place.clone()));
        Self { rows: keyed.into_iter().map(|k| k.row).collect(), ends, has_more }
    }

    /// The same page with mapped rows.
    pub fn map<U>(self, shown: impl FnMut(T) -> U) -> Page<U> {
        Page { rows: self.rows.into_iter().map(shown).collect(), ends: self.ends, has_more: self.has_more }
    }

    /// The page after this one of `range`; `None` if this is the last.
    pub fn next(&self, range: &Range) -> Option<Range> {
        let (_, last) = self.ends.as_ref().filter(|_| self.has_more)?;
        let start = Bound::parse(range.order, &last.value, last.id_in(range.order), true);
        Some(Range { start: Some(start?), ..range.clone() })
    }
}
