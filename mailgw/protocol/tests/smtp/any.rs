//! Any octets, any words, cut anywhere.

use super::*;

const DIALOGUE: &str = "EHLO x\r\nMAIL FROM:<x@y.cn> SIZE=10 SMTPUTF8\r\nRCPT TO:<a@b.cn>\r\nRCPT TO:<nobody@b.cn>\r\nDATA\r\nSubject: x\r\n\r\n..x\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<\"c d\"@b.cn>\r\nRSET\r\nNOOP\r\nQUIT\r\n";

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut client = Client::greeted();
        client.send(&bytes);
    }

    #[test]
    fn mutated_dialogue_any_split(at in 0usize..200, byte in any::<u8>(), cuts in proptest::collection::vec(1usize..40, 1..20)) {
        let mut bytes = DIALOGUE.as_bytes().to_vec();
        if let Some(slot) = bytes.get_mut(at) {
            *slot = byte;
        }
        let mut whole = Client::new(false);
        let said = whole.send(&bytes);
        let mut client = Client::new(false);
        let (mut pieces, mut rest) = (String::new(), &bytes[..]);
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push_str(&client.send(piece));
            rest = after;
        }
        prop_assert_eq!(said, pieces);
        prop_assert_eq!(whole.delivered, client.delivered);
    }

    /// Words of commands and of line ends, in any order: replies are whole lines, memory stays bounded, trace fields stay fields.
    #[test]
    fn any_words(words in proptest::collection::vec(proptest::sample::select(vec![
        "EHLO x", "HELO a-b", "MAIL FROM:", "RCPT TO:", "<a@b.cn>", "<>", "<\"\\\r\"@b.cn>", " SMTPUTF8", " SIZE=9", "DATA", "\r\n", "\r\n", "\r\n", "\n", "\r", ".", "\0", "RSET", "x: y", "张", "<张@b.cn>",
    ]), 0..60)) {
        let mut client = Client::greeted();
        let reply = client.send(words.concat().as_bytes());
        prop_assert!(reply.is_empty() || reply.ends_with("\r\n"));
        prop_assert!(reply.lines().all(|line| line.len() > 4 && line.as_bytes()[..3].iter().all(u8::is_ascii_digit)));
        prop_assert!(client.session.kept() <= 2 * LIMIT);
        for (envelope, bytes) in &client.delivered {
            prop_assert!(!bytes.contains(&0) && (bytes.is_empty() || bytes.ends_with(b"\r\n")));
            let field = trace::received(envelope, &Domain::parse("b.cn").unwrap(), datetime!(2026-01-01 0:00 UTC), [192, 0, 2, 1].into(), "1");
            let text = String::from_utf8(field).unwrap();
            prop_assert!(text.ends_with("\r\n") && text.trim_end().split("\r\n").skip(1).all(|line| line.starts_with('\t')));
            prop_assert_eq!(text.matches(['\r', '\n']).count(), 2 * text.lines().count());
        }
    }
}
