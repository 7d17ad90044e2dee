//! What belongs to a database and not to anything in it: owner, encoding, locale, settings, privileges, comment. No dump of its
//! contents holds them, so that the one that takes its place gets them from it.

use postgres::{Client, Row};
use vb_core::Result;
use vb_postgres::connection::from_postgres;
use vb_postgres::sql::{identifier, literal};

/// Settings whose value is a list of names, each quoted as it stands (`variable_is_guc_list_quote` in dumputils.c).
const LISTS: [&str; 7] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
    "restrict_nonsystem_relation_kind",
];

/// A database's own properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Properties {
    encoding: String,
    collate: Option<String>,
    ctype: Option<String>,
    /// The provider of the locale's rules, where the server knows several.
    provider: Option<&'static str>,
    /// ICU's locale, or that of the builtin provider.
    locale: Option<String>,
    tablespace: String,
    owner: String,
    connection_limit: i32,
    is_template: bool,
    comment: Option<String>,
    /// `role|name=value`; no role is every role.
    settings: Vec<(Option<String>, String)>,
    /// Where the privileges are not the usual ones.
    grants: Option<Vec<Grant>>,
}

/// A privilege.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    privilege: String,
    /// Whether it may be passed on.
    grantable: bool,
    /// Who has it; none is everybody.
    role: Option<String>,
    /// Who gave it, if that was not the owner.
    grantor: Option<String>,
}

/// The properties of this database, or none if it is not there.
pub(super) fn of(client: &mut Client, database: &str) -> Result<Option<Properties>> {
    let refused = |cause| from_postgres(format!("reading the properties of {database}"), cause);
    // The locale's column has had three names, and before 15 there was none.
    let query = "SELECT d.oid, pg_catalog.pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, t.spcname::text, \
                   pg_catalog.pg_get_userbyid(d.datdba)::text, d.datconnlimit, pg_catalog.shobj_description(d.oid, 'pg_database'), \
                   to_jsonb(d) ->> 'datlocprovider', COALESCE(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), d.datacl IS NOT NULL, d.datistemplate \
                 FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = $1";
    let Some(row) = client.query_opt(query, &[&database]).map_err(refused)? else { return Ok(None) };
    let oid: u32 = row.get(0);
    let settings = "SELECT CASE WHEN s.setrole <> 0 THEN pg_catalog.pg_get_userbyid(s.setrole)::text END, unnest(s.setconfig) \
                    FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = $1 ORDER BY 1 NULLS FIRST, 2";
    let settings = client.query(settings, &[&oid]).map_err(refused)?;
    let grants = "SELECT a.privilege_type, a.is_grantable, CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee)::text END, \
                    CASE WHEN a.grantor <> d.datdba THEN pg_catalog.pg_get_userbyid(a.grantor)::text END \
                  FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) WITH ORDINALITY a (grantor, grantee, privilege_type, is_grantable, place) \
                  WHERE d.oid = $1 ORDER BY a.grantor <> d.datdba, a.place";
    let grants = client.query(grants, &[&oid]).map_err(refused)?;
    // The template's may be another, so that it is said of libc too.
    let provider = match row.get::<_, Option<&str>>(8) {
        Some("c") => Some("libc"),
        Some("i") => Some("icu"),
        Some("b") => Some("builtin"),
        _ => None,
    };
    Ok(Some(Properties {
        encoding: row.get(1),
        collate: row.get(2),
        ctype: row.get(3),
        provider,
        locale: row.get(9),
        tablespace: row.get(4),
        owner: row.get(5),
        connection_limit: row.get(6),
        is_template: row.get(11),
        comment: row.get(7),
        settings: settings.iter().map(|row| (row.get(0), row.get(1))).collect(),
        grants: row.get::<_, bool>(10).then(|| grants.iter().map(grant).collect()),
    }))
}

fn grant(row: &Row) -> Grant {
    Grant { privilege: row.get(0), grantable: row.get(1), role: row.get(2), grantor: row.get(3) }
}

impl Properties {
    /// What stands behind `CREATE DATABASE … TEMPLATE template0`, with a blank in front.
    pub(super) fn create_options(&self) -> String {
        let mut options = format!(" ENCODING {}", literal(&self.encoding));
        options.extend(self.collate.iter().map(|name| format!(" LC_COLLATE {}", literal(name))));
        options.extend(self.ctype.iter().map(|name| format!(" LC_CTYPE {}", literal(name))));
        options.extend(self.provider.iter().map(|provider| format!(" LOCALE_PROVIDER {provider}")));
        if let (Some(provider @ ("icu" | "builtin")), Some(locale)) = (self.provider, &self.locale) {
            options.push_str(&format!(" {}_LOCALE {}", provider.to_uppercase(), literal(locale)));
        }
        options.push_str(&format!(" TABLESPACE {}", identifier(&self.tablespace)));
        options
    }

    /// The statements that give another database the rest of them.
    pub(super) fn statements(&self, database: &str) -> Vec<String> {
        let (name, owner) = (identifier(database), identifier(&self.owner));
        let mut all = vec![format!("ALTER DATABASE {name} OWNER TO {owner}")];
        if self.connection_limit != -1 {
            all.push(format!("ALTER DATABASE {name} CONNECTION LIMIT {}", self.connection_limit));
        }
        if let Some(comment) = &self.comment {
            all.push(format!("COMMENT ON DATABASE {name} IS {}", literal(comment)));
        }
        for (role, setting) in &self.settings {
            let Some((setting, value)) = setting.split_once('=') else { continue };
            let value = if LISTS.contains(&setting) { value.to_owned() } else { literal(value) };
            let value = if value.is_empty() { "''".to_owned() } else { value };
            let setting = setting.split('.').map(identifier).collect::<Vec<_>>().join(".");
            all.push(match role {
                Some(role) => format!("ALTER ROLE {} IN DATABASE {name} SET {setting} TO {value}", identifier(role)),
                None => format!("ALTER DATABASE {name} SET {setting} TO {value}"),
            });
        }
        if let Some(grants) = &self.grants {
            all.push(format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC, {owner}"));
            for Grant { privilege, grantable, role, grantor } in grants {
                let role = role.as_deref().map_or_else(|| "PUBLIC".to_owned(), identifier);
                let option = if *grantable { " WITH GRANT OPTION" } else { "" };
                let grant = format!("GRANT {privilege} ON DATABASE {name} TO {role}{option}");
                // The owner's right comes first, so that who passes it on has it.
                all.push(match grantor {
                    Some(grantor) => format!("SET LOCAL ROLE {}; {grant}; RESET ROLE", identifier(grantor)),
                    None => grant,
                });
            }
        }
        if self.is_template {
            all.push(format!("ALTER DATABASE {name} IS_TEMPLATE true"));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_keep_their_form() {
        let grant = |grantable, role: Option<&str>, grantor: Option<&str>| Grant {
            privilege: "CONNECT".to_owned(),
            grantable,
            role: role.map(str::to_owned),
            grantor: grantor.map(str::to_owned),
        };
        let properties = Properties {
            encoding: "UTF8".to_owned(),
            collate: Some("C".to_owned()),
            ctype: None,
            provider: Some("icu"),
            locale: Some("de".to_owned()),
            tablespace: "pg_default".to_owned(),
            owner: "o\"p".to_owned(),
            connection_limit: -1,
            is_template: true,
            comment: Some("it's".to_owned()),
            settings: vec![
                (None, "search_path=\"$user\", public".to_owned()),
                (Some("bob".to_owned()), "app.mode=a b".to_owned()),
            ],
            grants: Some(vec![grant(true, Some("bob"), None), grant(false, None, Some("bob"))]),
        };
        assert_eq!(
            properties.create_options(),
            " ENCODING 'UTF8' LC_COLLATE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'de' TABLESPACE \"pg_default\""
        );
        assert_eq!(
            properties.statements("x")[..],
            [
                "ALTER DATABASE \"x\" OWNER TO \"o\"\"p\"",
                "COMMENT ON DATABASE \"x\" IS 'it''s'",
                "ALTER DATABASE \"x\" SET \"search_path\" TO \"$user\", public",
                "ALTER ROLE \"bob\" IN DATABASE \"x\" SET \"app\".\"mode\" TO 'a b'",
                "REVOKE ALL ON DATABASE \"x\" FROM PUBLIC, \"o\"\"p\"",
                "GRANT CONNECT ON DATABASE \"x\" TO \"bob\" WITH GRANT OPTION",
                "SET LOCAL ROLE \"bob\"; GRANT CONNECT ON DATABASE \"x\" TO PUBLIC; RESET ROLE",
                "ALTER DATABASE \"x\" IS_TEMPLATE true",
            ]
        );
        let plain = Properties { provider: Some("libc"), locale: None, ..properties };
        assert_eq!(
            plain.create_options(),
            " ENCODING 'UTF8' LC_COLLATE 'C' LOCALE_PROVIDER libc TABLESPACE \"pg_default\""
        );
    }
}
