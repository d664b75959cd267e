use std::collections::VecDeque;

use bytes::Bytes;

use super::{AnswerFile, FILES, REMEMBERED, Repeated};

fn text(file: &AnswerFile) -> String {
    let size = usize::try_from(file.file.metadata().unwrap().len()).unwrap();
    String::from_utf8(file.read(0, size).unwrap().to_vec()).unwrap()
}

/// The bytes of the file for this answer, which may be made of `body`.
fn file(repeated: &mut Repeated, tag: &str, body: &VecDeque<Bytes>) -> Option<String> {
    let head = format!("{tag} head ");
    let file = repeated.file(head.as_bytes(), 0..tag.len(), || body)?;
    Some(text(&file))
}

#[test]
fn an_answer_is_a_file_from_the_second_time_on() {
    let mut repeated = Repeated::default();
    let body = VecDeque::from([Bytes::from("one "), Bytes::from("body")]);
    assert_eq!(file(&mut repeated, "a", &body), None);
    assert_eq!(file(&mut repeated, "b", &body), None);
    assert_eq!(file(&mut repeated, "a", &body).unwrap(), "a head one body");
    let read_again = || panic!("the file is there");
    assert!(repeated.file(b"a head ", 0..1, read_again).is_some());
    let later = repeated.file(b"a later ", 0..1, || &body).unwrap();
    assert_eq!(text(&later), "a later one body");
}

#[test]
fn what_is_not_sent_for_a_while_is_forgotten() {
    let mut repeated = Repeated::default();
    let body = VecDeque::from([Bytes::from("body")]);
    for tag in ["a", "a", "b", "b"] {
        file(&mut repeated, tag, &body);
    }
    repeated.forget();
    assert!(file(&mut repeated, "b", &body).is_some());
    repeated.forget();
    assert_eq!(file(&mut repeated, "a", &body), None, "not sent since");
    assert!(file(&mut repeated, "b", &body).is_some());
    repeated.forget();
    repeated.forget();
    assert!(repeated.sent.is_empty());
}

#[test]
fn of_many_bodies_those_sent_last_are_remembered() {
    let mut repeated = Repeated::default();
    let body = VecDeque::from([Bytes::from("body")]);
    for number in 0..4 * REMEMBERED {
        file(&mut repeated, &format!("rare {number}"), &body);
        let often = file(&mut repeated, "often", &body);
        assert_eq!(often.is_some(), number > 0, "{number}");
        assert!(repeated.sent.len() <= REMEMBERED);
    }
    assert_eq!(file(&mut repeated, "rare 0", &body), None, "it was forgotten");
}

#[test]
fn clients_that_read_late_keep_a_bounded_number_of_files() {
    let mut repeated = Repeated::default();
    let body = VecDeque::from([Bytes::from("body")]);
    assert!(file(&mut repeated, "a", &body).is_none());
    let mut read_late = Vec::new();
    for second in 0..3 * FILES {
        let file = repeated.file(format!("a {second} ").as_bytes(), 0..1, || &body);
        assert_eq!(file.is_some(), second < FILES, "{second}");
        read_late.extend(file);
    }
    read_late.pop();
    assert!(file(&mut repeated, "a", &body).is_some(), "one was read");
}
