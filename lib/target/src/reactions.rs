//! What becomes of the triggers and rules of a table that is there. Pure.

use crate::plan::Plan;
use crate::request::{Mode, Request};
use crate::surroundings::{Event, Surroundings, Trigger};
use std::collections::BTreeSet;
use vb_core::{Error, Result};
use vb_postgres::sql::identifier;

impl Plan {
    /// The table's triggers run unless they are asked not to; then nobody can be sure that rows stay as they were.
    pub(crate) fn quiet(&mut self, request: &Request, around: &Surroundings) {
        if around.triggers.is_empty() {
            return;
        }
        if !request.disable_triggers {
            // A part has its parent's too, by the same names.
            let names = BTreeSet::from_iter(around.triggers.iter().map(|trigger| (&trigger.part, &trigger.name)));
            let names: Vec<String> = names.into_iter().map(named).collect();
            self.warnings.push(format!(
                "triggers of {} run and may change what is restored ({}); --disable-triggers keeps them quiet",
                self.table,
                names.join(", ")
            ));
            return;
        }
        // Each on its own, so that each is again what it was.
        let mut disable = Vec::new();
        for Trigger { name, table, always, with_parts, .. } in &around.triggers {
            let (name, only) = (identifier(name), if *with_parts { "" } else { "ONLY " });
            disable.push(format!("ALTER TABLE {only}{table} DISABLE TRIGGER {name}"));
            let always = if *always { "ALWAYS " } else { "" };
            self.after.push(format!("ALTER TABLE {only}{table} ENABLE {always}TRIGGER {name}"));
        }
        self.before.splice(0..0, disable);
    }

    /// A rule makes another statement of one of ours: rows would go elsewhere, or stay. COPY knows no rules.
    ///
    /// # Errors
    /// A conflict, if a rule is about what will be done.
    pub(crate) fn check_rules(&self, around: &Surroundings) -> Result<()> {
        let inserts = self.mode == Mode::Upsert || self.loads.iter().any(|load| load.home.is_some());
        let deletes = self.mode == Mode::Replace || self.deletion.is_some() || self.merge_otherwise.is_some();
        let is_met = |event: Event| match event {
            Event::Insert => inserts,
            Event::Update => self.mode == Mode::Upsert,
            Event::Delete => deletes,
        };
        let Some(rule) = around.rules.iter().find(|rule| is_met(rule.event)) else { return Ok(()) };
        let message =
            format!("restoring {}: the rule {} of the table would make something else of it", self.table, rule.name);
        let hint = format!(
            "Nothing was changed. Disable it for the time of the restore: ALTER TABLE {} DISABLE RULE {}.",
            self.target,
            identifier(&rule.name)
        );
        Err(Error::conflict(message).with_hint(hint))
    }
}

fn named((part, name): (&Option<String>, &String)) -> String {
    part.as_ref().map_or_else(|| name.clone(), |part| format!("{name} of {part}"))
}
