//! Texts that are longer than their column. The server refuses them, but for spaces at their end, which it cuts off without a word.

use arrow_array::Array;
use arrow_array::cast::AsArray;

/// The first row with a text of more than this many characters, be it in a list; none in what holds no texts.
pub(crate) fn first_longer(array: &dyn Array, characters: usize) -> Option<usize> {
    if let Some(lists) = array.as_list_opt::<i32>() {
        let element = first_longer(lists.values().as_ref(), characters)?;
        // The rows before have come to their ends at or before that element.
        return Some(
            lists.value_offsets().partition_point(|end| usize::try_from(*end).is_ok_and(|end| end <= element)) - 1,
        );
    }
    let texts = array.as_string_opt::<i32>()?;
    texts.iter().position(|text| text.is_some_and(|text| text.len() > characters && text.chars().count() > characters))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{Int32Array, StringArray};

    #[test]
    fn characters_are_counted_and_not_bytes() {
        let texts = StringArray::from(vec![Some("üü€"), None, Some(""), Some("abc "), Some("abcde")]);
        assert_eq!([2, 3, 4, 5].map(|most| first_longer(&texts, most)), [Some(0), Some(3), Some(4), None]);
        assert_eq!(first_longer(&Int32Array::from(vec![1000]), 1), None);
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("a"), None]);
        lists.append_null();
        lists.append_value([] as [Option<&str>; 0]);
        lists.append_value([Some("b"), Some("long")]);
        lists.append_value([Some("longer")]);
        let lists = lists.finish();
        assert_eq!([3, 4, 5, 6].map(|most| first_longer(&lists, most)), [Some(3), Some(4), Some(4), None]);
    }
}
