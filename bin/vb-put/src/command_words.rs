//! What tells one command from another without saying what it is: a digest of its program and arguments, without the passwords that can be
//! told as such, so that a new password makes no new command. Pure functions.

use crate::producer::name_of;
use std::ffi::OsString;
use vb_pipe::digest::Digest;

/// What stands before a password, in any case of its letters.
const BEFORE: [&str; 4] = ["password=", "passwd=", "pwd=", "secret="];

/// So few digits tell commands apart, and let nobody find out what stood in them.
const DIGITS: usize = 8;

/// The first digits of the SHA-256 of a command, in lower-case hexadecimal: of its program without folders and its arguments, with a zero
/// between them.
pub(crate) fn digest(command: &[OsString]) -> String {
    let mut digest = Digest::default();
    digest.update(name_of(command).as_bytes());
    for word in command.iter().skip(1) {
        digest.update(b"\0");
        digest.update(without_passwords(&word.to_string_lossy()).as_bytes());
    }
    digest.sha256()[..DIGITS].to_owned()
}

fn without_passwords(word: &str) -> String {
    BEFORE.iter().fold(without_those_of_urls(word), |word, before| without_value(&word, before))
}

/// `scheme://user:password@host`, wherever it stands in the word.
fn without_those_of_urls(word: &str) -> String {
    let (mut kept, mut rest) = (String::new(), word);
    while let Some(at) = rest.find("://") {
        let (scheme, after) = rest.split_at(at + 3);
        let end = after.find(['/', '?', '#', '\'', '"']).unwrap_or(after.len());
        let end = after.find(char::is_whitespace).map_or(end, |blank| blank.min(end));
        let (authority, more) = after.split_at(end);
        kept.push_str(scheme);
        kept.push_str(&match authority.rsplit_once('@') {
            Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
            None => authority.to_owned(),
        });
        rest = more;
    }
    kept + rest
}

/// `password=value`, wherever it stands in the word.
fn without_value(word: &str, before: &str) -> String {
    let (mut kept, mut rest) = (String::new(), word);
    while let Some(at) = rest.to_ascii_lowercase().find(before) {
        let (name, value) = rest.split_at(at + before.len());
        kept.push_str(name);
        let quote = value.starts_with(['\'', '"']);
        let (quote, value) = value.split_at(usize::from(quote));
        kept.push_str(quote);
        let end = |letter: char| letter.is_whitespace() || "&;,'\"".contains(letter);
        rest = value.find(end).map_or("", |end| &value[end..]);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> String {
        digest(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_tell_commands_apart_and_folders_of_programs_do_not() {
        assert_ne!(of(&["pg_dump", "a"]), of(&["pg_dump", "b"]));
        assert_ne!(of(&["pg_dump", "a", "b"]), of(&["pg_dump", "a b"]));
        assert_ne!(of(&["pg_dump"]), of(&["mysqldump"]));
        assert_eq!(of(&["/usr/bin/pg_dump", "a"]), of(&["pg_dump", "a"]));
    }

    #[test]
    fn a_password_is_no_part_of_it() {
        for (word, kept) in [
            ("postgres://me:p@ss:word@host:5432/shop?sslmode=require", "postgres://me@host:5432/shop?sslmode=require"),
            ("postgres://me@host/shop", "postgres://me@host/shop"),
            ("postgres://host/shop", "postgres://host/shop"),
            ("mysqldump a://u:p@h/x \"b://v:q@i\" c", "mysqldump a://u@h/x \"b://v@i\" c"),
            ("host=h password=p@ss dbname=shop", "host=h password= dbname=shop"),
            ("MYSQL_PWD=x mysqldump --password='y' shop", "MYSQL_PWD= mysqldump --password='' shop"),
            ("a://b?PASSWORD=x&c=d", "a://b?PASSWORD=&c=d"),
            ("İpassword=x", "İpassword="),
            ("shop", "shop"),
        ] {
            assert_eq!(without_passwords(word), kept);
        }
        assert_eq!(of(&["pg_dump", "postgres://u:old@h/d"]), of(&["pg_dump", "postgres://u:new@h/d"]));
    }
}
