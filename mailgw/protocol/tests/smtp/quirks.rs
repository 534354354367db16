//! What mail programs do otherwise than a reader of the RFCs would think.

use super::submission::Submitter;

/// Outlook greets with the bare name of its machine, gives the user's name with AUTH LOGIN, and puts a space after the colon of MAIL and RCPT,
/// which the grammar has not. Written from what it is known to do, not from a recording. spec: rfc5321#4.1.1.2
#[test]
fn outlook_sends() {
    let mut client = Submitter::new(true);
    client.script(&[
        ("EHLO DESKTOP-7KQ2V1_A", "250-"),
        ("AUTH LOGIN bWU=", "334 UGFzc3dvcmQ6\r\n"),
        ("cmlnaHQ=", "235 2.7.0 "),
        ("MAIL FROM: <me@b.cn>", "250 2.1.0 "),
        ("RCPT TO: <a@b.cn>", "250 2.1.5 "),
        ("RCPT TO: <b@elsewhere.cn>", "250 2.1.5 "),
        ("DATA", "354 "),
        ("From: <me@b.cn>\r\nSubject: x\r\nX-Mailer: Microsoft Outlook 16.0\r\n\r\nhi\r\n.", "250 2.0.0 "),
        ("QUIT", "221 2.0.0 "),
    ]);
    assert_eq!(client.delivered.len(), 1);
    assert_eq!(client.delivered[0].hello.name(), "DESKTOP-7KQ2V1_A");
    assert_eq!(client.delivered[0].recipients.iter().map(|one| one.as_str()).collect::<Vec<_>>(), ["a@b.cn", "b@elsewhere.cn"]);
    // A name with characters that no header may bear as they are is refused, and the next greeting is as good as the first.
    let mut client = Submitter::new(true);
    client.script(&[("EHLO \u{5f20}\u{4e09}-PC", "501 5.5.4 "), ("EHLO [192.168.1.7]", "250-"), ("AUTH LOGIN bWU=", "334 UGFzc3dvcmQ6\r\n"), ("d3Jvbmc=", "535 5.7.8 ")]);
}
