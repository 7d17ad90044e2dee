//! Numbers of things, as people say them.

/// `1 backup`, `2 backups`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_several() {
        assert_eq!([0, 1, 2].map(|number| count(number, "deletion")), ["0 deletions", "1 deletion", "2 deletions"]);
    }
}
