//! Text for people never runs past 80 columns: what is longer goes on in the next line.

/// Width of text.
pub const COLUMNS: usize = 80;

/// `text` broken at spaces, the first line behind `first`, the others behind `rest`, each with a line break.
/// Control characters become spaces, since kernels and errors write it. A word longer than a line is broken too.
pub fn wrapped(text: &str, first: &str, rest: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut page = String::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in clean.split_whitespace() {
        let needed = line.chars().count() + usize::from(!empty) + word.chars().count();
        if !empty && needed > COLUMNS {
            page.extend([line.as_str(), "\n"]);
            rest.clone_into(&mut line);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        for c in word.chars() {
            if line.chars().count() == COLUMNS {
                page.extend([line.as_str(), "\n"]);
                rest.clone_into(&mut line);
            }
            line.push(c);
        }
        empty = false;
    }
    page + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_break_at_spaces() {
        let long = "word ".repeat(30);
        let text = wrapped(&long, "", "  ");
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().nth(1).unwrap().starts_with("  word"), "{text}");
        assert_eq!(wrapped("a\x1bb  c", " ", ""), " a b c\n");
        assert_eq!(wrapped("", "", ""), "\n");
    }

    proptest! {
        #[test]
        fn nothing_is_wider_and_nothing_gets_lost(text in "([a-z]{1,100} ?){0,9}") {
            let wrapped = wrapped(&text, "", "    ");
            prop_assert!(wrapped.lines().all(|line| line.chars().count() <= COLUMNS), "{}", wrapped);
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(letters(&wrapped), letters(&text));
        }
    }
}
