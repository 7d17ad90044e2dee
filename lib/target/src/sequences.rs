//! Sequences go on behind the restored rows, so that new rows do not collide with them.

use crate::plan::Plan;
use postgres::Client;
use vb_core::Result;
use vb_postgres::connection::from_postgres;

/// Advances the sequence of every restored column that owns one, never backwards; but for those that were set to where they stood.
/// Returns what could not be advanced.
pub(crate) fn advance(client: &mut Client, plan: &Plan) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let sent = plan.loads.last().into_iter().flat_map(|load| &load.sent);
    for sent in sent.filter(|sent| !plan.set.contains(&sent.name)) {
        let step = format!("advancing the sequence of column {:?}", sent.name);
        let query = "SELECT pg_get_serial_sequence($1, $2), COALESCE(has_sequence_privilege(pg_get_serial_sequence($1, $2), 'SELECT, UPDATE'), false), \
                     COALESCE((SELECT seqincrement > 0 FROM pg_catalog.pg_sequence WHERE seqrelid = pg_get_serial_sequence($1, $2)::regclass), true)";
        let row = client.query_one(query, &[&plan.target, &sent.name]).map_err(|cause| from_postgres(&step, cause))?;
        let Some(sequence) = row.get::<_, Option<String>>(0) else { continue };
        if !row.get::<_, bool>(1) {
            warnings.push(format!(
                "the role may not change the sequence {sequence}: new rows may collide with restored ones"
            ));
            continue;
        }
        let statement = statement(&plan.target, &sent.name, &sequence, row.get(2));
        client.batch_execute(&statement).map_err(|cause| from_postgres(&step, cause))?;
    }
    Ok(warnings)
}

fn statement(table: &str, column: &str, sequence: &str, ascending: bool) -> String {
    let (furthest, beyond) = if ascending { ("max", ">") } else { ("min", "<") };
    let column = vb_postgres::sql::identifier(column);
    let name = vb_postgres::sql::literal(sequence);
    format!(
        "SELECT pg_catalog.setval({name}, restored.furthest) FROM (SELECT {furthest}({column})::bigint FROM {table}) AS restored (furthest), {sequence} AS now \
         WHERE restored.furthest {beyond} now.last_value OR (restored.furthest = now.last_value AND NOT now.is_called)"
    )
}
