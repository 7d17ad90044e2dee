//! How the values of a type are stored: asked of the catalog, because domains, composites and extensions are only known there.

use crate::connection::from_postgres;
use crate::types::{ColumnType, Numbers, Part, Scalar};
use postgres::types::Type;
use postgres::{GenericClient, Row};
use std::collections::HashMap;
use vb_core::Result;

const STEP: &str = "reading the types";

/// Asks for types, each only once.
pub struct Resolver<'client, C> {
    client: &'client mut C,
    known: HashMap<u32, TypeRow>,
    money_scale: Option<i8>,
}

/// A type as the catalog has it.
#[derive(Debug, Clone)]
struct TypeRow {
    name: String,
    kind: Kind,
    /// Whether it has a binary form both ways.
    is_binary: bool,
    extension: Option<String>,
}

#[derive(Debug, Clone)]
enum Kind {
    Base,
    Enum,
    Array(u32),
    Domain { base: u32, modifier: i32 },
    Composite { relation: u32 },
    Range(u32),
    Multirange(u32),
    Pseudo,
}

const TYPE: &str = "SELECT t.typname::text, t.typtype::text, t.typbasetype, t.typtypmod, t.typrelid, \
     t.typsend <> 0 AND t.typreceive <> 0, \
     (SELECT e.oid FROM pg_catalog.pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid), \
     (SELECT x.extname::text FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid \
      WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e' \
      AND d.refclassid = 'pg_catalog.pg_extension'::regclass LIMIT 1) \
     FROM pg_catalog.pg_type t WHERE t.oid = $1";

const PARTS: &str = "SELECT attname::text, atttypid, atttypmod FROM pg_catalog.pg_attribute \
     WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

impl<'client, C: GenericClient> Resolver<'client, C> {
    /// A resolver that asks this server.
    pub fn new(client: &'client mut C) -> Self {
        Self { client, known: HashMap::new(), money_scale: None }
    }

    /// How values of this type and type modifier (-1 for none) are stored.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn column_type(&mut self, oid: u32, modifier: i32) -> Result<ColumnType> {
        if let Some(scalar) = built_in(oid, modifier) {
            return Ok(ColumnType::Scalar(scalar));
        }
        if let Some(numbers) = numbers(oid) {
            return Ok(ColumnType::Numbers(numbers));
        }
        if oid == Type::MONEY.oid() {
            return Ok(ColumnType::Scalar(Scalar::Money { scale: self.money_scale()? }));
        }
        let row = self.type_row(oid)?;
        let of_part = |part: ColumnType, make: &dyn Fn(Box<ColumnType>) -> ColumnType| match part {
            printed @ ColumnType::Printed(_) => printed,
            part => make(Box::new(part)),
        };
        Ok(match row.kind {
            Kind::Enum => ColumnType::Scalar(Scalar::Text),
            Kind::Domain { base, modifier } => self.column_type(base, modifier)?,
            Kind::Array(element) => {
                of_part(self.column_type(element, modifier)?, &|part| ColumnType::Array(part, element))
            }
            Kind::Composite { relation } => self.composite(relation)?,
            Kind::Range(bound) => of_part(self.column_type(bound, -1)?, &ColumnType::Range),
            Kind::Multirange(bound) => of_part(self.column_type(bound, -1)?, &ColumnType::Multirange),
            Kind::Base | Kind::Pseudo => of_base(&row),
        })
    }

    /// Columns that can be read one by one make a struct, else the whole is printed.
    fn composite(&mut self, relation: u32) -> Result<ColumnType> {
        let rows = self.client.query(PARTS, &[&relation]).map_err(|cause| from_postgres(STEP, cause))?;
        let mut parts = Vec::new();
        for row in &rows {
            let (name, oid): (String, u32) = (row.get(0), row.get(1));
            match self.column_type(oid, row.get(2))? {
                ColumnType::Printed(why) => return Ok(ColumnType::Printed(format!("its part {name}: {why}"))),
                column_type => parts.push(Part { name, oid, column_type }),
            }
        }
        if parts.is_empty() {
            return Ok(ColumnType::Printed("a composite without columns".to_owned()));
        }
        Ok(ColumnType::Composite(parts))
    }

    fn type_row(&mut self, oid: u32) -> Result<TypeRow> {
        if let Some(known) = self.known.get(&oid) {
            return Ok(known.clone());
        }
        let row = self.client.query_one(TYPE, &[&oid]).map_err(|cause| from_postgres(STEP, cause))?;
        let kind = match row.get::<_, &str>(1) {
            "e" => Kind::Enum,
            "d" => Kind::Domain { base: row.get(2), modifier: row.get(3) },
            "c" => Kind::Composite { relation: row.get(4) },
            "r" => Kind::Range(self.bound("SELECT rngsubtype FROM pg_catalog.pg_range WHERE rngtypid = $1", oid)?),
            "m" => Kind::Multirange(
                self.bound("SELECT rngsubtype FROM pg_catalog.pg_range WHERE rngmultitypid = $1", oid)?,
            ),
            "p" => Kind::Pseudo,
            _ => row.get::<_, Option<u32>>(6).map_or(Kind::Base, Kind::Array),
        };
        let row = TypeRow { name: row.get(0), kind, is_binary: row.get(5), extension: row.get(7) };
        self.known.insert(oid, row.clone());
        Ok(row)
    }

    fn bound(&mut self, query: &str, oid: u32) -> Result<u32> {
        let row: Row = self.client.query_one(query, &[&oid]).map_err(|cause| from_postgres(STEP, cause))?;
        Ok(row.get(0))
    }

    /// The decimal places of money, which the database's locale decides.
    fn money_scale(&mut self) -> Result<i8> {
        if let Some(scale) = self.money_scale {
            return Ok(scale);
        }
        let row = self.client.query_one("SELECT scale(1::money::numeric)", &[]);
        let scale: i32 = row.map_err(|cause| from_postgres(STEP, cause))?.get(0);
        let scale = i8::try_from(scale).unwrap_or_default();
        self.money_scale = Some(scale);
        Ok(scale)
    }
}

/// Types of extensions whose binary form is known; all others are printed.
fn of_base(row: &TypeRow) -> ColumnType {
    let known = match (row.extension.as_deref(), row.name.as_str()) {
        (Some("citext"), "citext") => Some(Scalar::Text),
        (Some("ltree"), "ltree" | "lquery" | "ltxtquery") => Some(Scalar::VersionedText),
        (Some("postgis"), "geometry" | "geography") => Some(Scalar::Geometry),
        _ => None,
    };
    match known {
        Some(scalar) if row.is_binary => ColumnType::Scalar(scalar),
        _ => ColumnType::Printed(format!("{} as the server prints it", row.name)),
    }
}

fn built_in(oid: u32, modifier: i32) -> Option<Scalar> {
    Some(match Type::from_oid(oid)? {
        Type::BOOL => Scalar::Boolean,
        Type::INT2 => Scalar::Int2,
        Type::INT4 => Scalar::Int4,
        Type::INT8 => Scalar::Int8,
        Type::OID | Type::XID | Type::CID => Scalar::UInt4,
        Type::XID8 => Scalar::UInt8,
        Type::FLOAT4 => Scalar::Float4,
        Type::FLOAT8 => Scalar::Float8,
        Type::NUMERIC => Scalar::of_numeric(modifier),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::REFCURSOR => Scalar::Text,
        Type::CHAR => Scalar::Char,
        Type::JSON => Scalar::Json,
        Type::JSONB => Scalar::Jsonb,
        Type::JSONPATH => Scalar::VersionedText,
        Type::BYTEA => Scalar::Bytea,
        Type::UUID => Scalar::Uuid,
        Type::DATE => Scalar::Date,
        Type::TIME => Scalar::Time,
        Type::TIMESTAMP => Scalar::Timestamp,
        Type::TIMESTAMPTZ => Scalar::TimestampTz,
        Type::INET => Scalar::Inet,
        Type::CIDR => Scalar::Cidr,
        Type::MACADDR => Scalar::MacAddress,
        Type::MACADDR8 => Scalar::MacAddress8,
        Type::BIT | Type::VARBIT => Scalar::Bits,
        Type::PG_LSN => Scalar::Lsn,
        _ => return None,
    })
}

fn numbers(oid: u32) -> Option<Numbers> {
    Some(match Type::from_oid(oid)? {
        Type::INTERVAL => Numbers::Interval,
        Type::TIMETZ => Numbers::TimeTz,
        Type::POINT => Numbers::Point,
        Type::LINE => Numbers::Line,
        Type::LSEG => Numbers::Segment,
        Type::BOX => Numbers::Box,
        Type::CIRCLE => Numbers::Circle,
        _ => return None,
    })
}
