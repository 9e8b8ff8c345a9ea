//! Names from the kernel or a recording may hold anything; a terminal must get no escape and no reordering from them.

/// `name` with everything that a terminal would not just print replaced by `?`; with `ascii` everything beyond ASCII too.
pub fn sanitize(name: &str, ascii: bool) -> String {
    name.chars()
        .map(|c| {
            if is_harmful(c) || (ascii && !c.is_ascii()) {
                '?'
            } else {
                c
            }
        })
        .collect()
}

/// Whether a terminal would do something else than print `c`.
pub(super) fn is_harmful(c: char) -> bool {
    // Beyond control characters: soft hyphen, zero-width, bidirectional and invisible ones, line separators, tags.
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_names_stay() {
        assert_eq!(sanitize("kworker/0:1-ev", false), "kworker/0:1-ev");
        assert_eq!(sanitize("größe", false), "größe");
        assert_eq!(sanitize("größe", true), "gr??e");
    }

    #[test]
    fn escapes_and_reordering_go() {
        assert_eq!(sanitize("a\u{1b}[31mb\u{9b}0m\r\n", false), "a?[31mb?0m??");
        assert_eq!(sanitize("x\u{202e}gnp\u{2066}\u{200b}", false), "x?gnp??");
    }

    proptest! {
        #[test]
        fn ascii_output_is_printable(name in ".*") {
            prop_assert!(sanitize(&name, true).bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
    }
}
