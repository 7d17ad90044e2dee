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
    /// ICU's locale, or that of the builtin provider, with the provider's name.
    locale: Option<(String, String)>,
    tablespace: String,
    owner: String,
    connection_limit: i32,
    comment: Option<String>,
    /// `role|name=value`; no role is every role.
    settings: Vec<(Option<String>, String)>,
    /// Privilege, whether it may be passed on, and role, where the privileges are not the usual ones.
    grants: Option<Vec<(String, bool, Option<String>)>>,
}

/// The properties of this database, or none if it is not there.
pub(super) fn of(client: &mut Client, database: &str) -> Result<Option<Properties>> {
    let refused = |cause| from_postgres(format!("reading the properties of {database}"), cause);
    // The locale's column has had three names, and before 15 there was none.
    let query = "SELECT d.oid, pg_catalog.pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, t.spcname::text, \
                   pg_catalog.pg_get_userbyid(d.datdba)::text, d.datconnlimit, pg_catalog.shobj_description(d.oid, 'pg_database'), \
                   to_jsonb(d) ->> 'datlocprovider', COALESCE(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), d.datacl IS NOT NULL \
                 FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = $1";
    let Some(row) = client.query_opt(query, &[&database]).map_err(refused)? else { return Ok(None) };
    let oid: u32 = row.get(0);
    let settings = "SELECT CASE WHEN s.setrole <> 0 THEN pg_catalog.pg_get_userbyid(s.setrole)::text END, unnest(s.setconfig) \
                    FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = $1 ORDER BY 1 NULLS FIRST, 2";
    let settings = client.query(settings, &[&oid]).map_err(refused)?;
    let grants = "SELECT a.privilege_type, a.is_grantable, CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee)::text END \
                  FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a WHERE d.oid = $1";
    let grants = client.query(grants, &[&oid]).map_err(refused)?;
    let locale = match (row.get::<_, Option<&str>>(8), row.get::<_, Option<String>>(9)) {
        (Some("i"), Some(locale)) => Some(("icu".to_owned(), locale)),
        (Some("b"), Some(locale)) => Some(("builtin".to_owned(), locale)),
        _ => None,
    };
    Ok(Some(Properties {
        encoding: row.get(1),
        collate: row.get(2),
        ctype: row.get(3),
        locale,
        tablespace: row.get(4),
        owner: row.get(5),
        connection_limit: row.get(6),
        comment: row.get(7),
        settings: settings.iter().map(|row| (row.get(0), row.get(1))).collect(),
        grants: row.get::<_, bool>(10).then(|| grants.iter().map(grant).collect()),
    }))
}

fn grant(row: &Row) -> (String, bool, Option<String>) {
    (row.get(0), row.get(1), row.get(2))
}

impl Properties {
    /// What stands behind `CREATE DATABASE … TEMPLATE template0`, with a blank in front.
    pub(super) fn create_options(&self) -> String {
        let mut options = format!(" ENCODING {}", literal(&self.encoding));
        options.extend(self.collate.iter().map(|name| format!(" LC_COLLATE {}", literal(name))));
        options.extend(self.ctype.iter().map(|name| format!(" LC_CTYPE {}", literal(name))));
        if let Some((provider, locale)) = &self.locale {
            let name = if provider == "icu" { "ICU_LOCALE" } else { "BUILTIN_LOCALE" };
            options.push_str(&format!(" LOCALE_PROVIDER {provider} {name} {}", literal(locale)));
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
            for (privilege, grantable, role) in grants {
                let role = role.as_deref().map_or_else(|| "PUBLIC".to_owned(), identifier);
                let option = if *grantable { " WITH GRANT OPTION" } else { "" };
                all.push(format!("GRANT {privilege} ON DATABASE {name} TO {role}{option}"));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_keep_their_form() {
        let properties = Properties {
            encoding: "UTF8".to_owned(),
            collate: Some("C".to_owned()),
            ctype: None,
            locale: Some(("icu".to_owned(), "de".to_owned())),
            tablespace: "pg_default".to_owned(),
            owner: "o\"p".to_owned(),
            connection_limit: -1,
            comment: Some("it's".to_owned()),
            settings: vec![
                (None, "search_path=\"$user\", public".to_owned()),
                (Some("bob".to_owned()), "app.mode=a b".to_owned()),
            ],
            grants: Some(vec![("CONNECT".to_owned(), false, None)]),
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
                "GRANT CONNECT ON DATABASE \"x\" TO PUBLIC",
            ]
        );
    }
}
