//! Which of several package names carries the newest version.

use std::cmp::Ordering;

/// Compares names piece by piece, runs of digits as numbers: `-9` comes before `-32`.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (text_a, number_a, rest_a) = piece(a);
        let (text_b, number_b, rest_b) = piece(b);
        let order = text_a.cmp(text_b).then(number_a.cmp(&number_b));
        if order != Ordering::Equal || (rest_a.is_empty() && rest_b.is_empty()) {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// Text up to the first digit, the number that follows (nothing before any number), and the rest.
fn piece(name: &str) -> (&str, Option<u64>, &str) {
    let digits = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let (text, tail) = name.split_at(digits);
    let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
    let (number, rest) = tail.split_at(end);
    (text, number.parse().ok(), rest)
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn numbers_are_numbers() {
        let mut names = [
            "linux-6.12.107+deb13",
            "linux-6.12.94+deb13",
            "linux-6.9.9",
            "linux-6.12.94",
        ];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(
            names,
            [
                "linux-6.9.9",
                "linux-6.12.94",
                "linux-6.12.94+deb13",
                "linux-6.12.107+deb13"
            ]
        );
    }
}
