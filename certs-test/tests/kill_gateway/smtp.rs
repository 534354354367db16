//! A mail server that sends until the other end is gone and counts what was taken.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A message on its way to every recipient.
pub struct Sent {
    pub id: String,
    pub recipients: Vec<usize>,
    /// The 250 after its end came.
    pub taken: bool,
    /// A temporary refusal came: it is to be sent again, and nobody has it.
    pub later: bool,
}

pub struct Smtp {
    stream: BufReader<TcpStream>,
    later: bool,
}

impl Smtp {
    pub fn open(port: u16) -> Option<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut this = Self { stream: BufReader::new(socket), later: false };
        this.reply("220")?;
        this.ask("EHLO client.example.cn", "250")?;
        Some(this)
    }

    /// The end of a reply with this code; `None` when the server is gone, or goes. Another code is none of ours.
    fn reply(&mut self, code: &str) -> Option<()> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).ok()? == 0 || !line.ends_with('\n') {
                return None;
            }
            if line.starts_with("421 4.3.2 ") || line.starts_with("451 ") {
                self.later = true;
                return None;
            }
            assert!(line.starts_with(code), "{line}");
            if line.as_bytes().get(3) == Some(&b' ') {
                return Some(());
            }
        }
    }

    fn ask(&mut self, command: &str, code: &str) -> Option<()> {
        self.stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).ok()?;
        self.reply(code)
    }

    /// Sends a message and says into `sent` what became of it.
    pub fn send(&mut self, id: &str, to: &[(usize, &str)], sent: &mut Vec<Sent>) -> Option<()> {
        self.ask("MAIL FROM:<sender@example.cn>", "250")?;
        for (_, address) in to {
            self.ask(&format!("RCPT TO:<{address}>"), "250")?;
        }
        self.ask("DATA", "354")?;
        sent.push(Sent { id: id.to_owned(), recipients: to.iter().map(|(place, _)| *place).collect(), taken: false, later: false });
        let text = format!("From: <sender@example.cn>\r\nMessage-ID: {id}\r\nSubject: kill\r\n\r\n{}\r\n.", "A line like any other.\r\n".repeat(40));
        let taken = self.ask(&text, "250");
        if let Some(last) = sent.last_mut() {
            (last.taken, last.later) = (taken.is_some(), self.later);
        }
        taken
    }
}
