//! One conversation with another server: one message, and what it says to each recipient.
// spec: rfc5321#3.3 rfc5321#4.5.4

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::smtp::exchange::Original;
use protocol::smtp::reply::{Replies, Reply, stuffed};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Patience;
use crate::queue::decide::Outcome;
use crate::record::queue::{Queued, Said, Waiting};

/// Octets written before the clock of a slow reader starts anew.
const PIECE: usize = 64 * 1024;

/// What is to be sent, to those recipients of a message that are at one domain.
pub(super) struct Letter<'a> {
    queued: &'a Queued,
    recipients: Vec<&'a Waiting>,
    bytes: &'a [u8],
}

impl<'a> Letter<'a> {
    pub fn new(queued: &'a Queued, places: &[usize], bytes: &'a [u8]) -> Self {
        Self { queued, recipients: places.iter().filter_map(|place| queued.recipients.get(*place)).collect(), bytes }
    }

    /// A header or an address that only SMTPUTF8 may carry. spec: rfc6531#3.4
    fn needs_utf8(&self) -> bool {
        let addresses = self.recipients.iter().map(|one| one.address.as_str()).chain(self.queued.reverse_path.as_deref());
        let (fields, _) = protocol::smtp::trace::fields(self.bytes);
        addresses.into_iter().any(|address| !address.is_ascii()) || self.queued.smtputf8 && fields.iter().any(|field| !field.is_ascii())
    }

    /// Delivery counts for more than what the domain promises of TLS. spec: rfc8689#3
    pub fn waives_tls(&self) -> bool {
        let (fields, _) = protocol::smtp::trace::fields(self.bytes);
        let said = |field: &&[u8]| String::from_utf8_lossy(field).split_once(':').is_some_and(|(name, value)| name.trim().eq_ignore_ascii_case("TLS-Required") && value.trim().eq_ignore_ascii_case("no"));
        fields.iter().any(said)
    }

    fn all(&self, outcome: &Outcome) -> Vec<Outcome> {
        vec![outcome.clone(); self.recipients.len()]
    }
}

/// Why nothing was said of the message: another server may say more.
pub(super) enum Trouble {
    Host(Said),
    /// As `Host`, and where nothing has to be proved it may go in the clear. With the result as reports name it.
    Tls(Said, &'static str),
    /// This server cannot take the message as it is; where no other can, nobody ever will.
    Lacks(Said),
}

/// What came of a conversation whose last word is still to be said.
pub(super) struct Talked {
    /// One for each recipient, in their order.
    pub outcomes: Vec<Outcome>,
    pub secured: bool,
    pub parting: Parting,
}

/// A connection on which all that counts was said. It is closed by `quit`, or by being dropped.
pub(super) struct Parting(Box<dyn Wire>);

impl Parting {
    /// Whether the server hears this is no matter. Called when the outcomes are recorded.
    pub async fn quit(mut self) {
        let quit = async {
            self.0.write_all(b"QUIT\r\n").await?;
            self.0.flush().await?;
            self.0.read(&mut [0; 512]).await
        };
        let _ = timeout(Duration::from_secs(2), quit).await;
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

struct Talk<'a> {
    wire: Box<dyn Wire>,
    replies: Replies,
    host: &'a str,
    patience: &'a Patience,
}

/// What the server offers.
#[derive(Default)]
struct Offers {
    starttls: bool,
    size: bool,
    eight_bit: bool,
    smtputf8: bool,
    dsn: bool,
    require_tls: bool,
}

/// Whether and how TLS is asked for.
#[derive(Clone)]
pub(super) struct Tls {
    pub config: Arc<ClientConfig>,
    /// Nothing is said without it.
    pub must: bool,
}

/// One conversation but for its QUIT. With `tls` it is asked for where it is offered.
pub(super) async fn talk(
    host: &str, address: SocketAddr, name: &str, letter: &Letter<'_>, tls: Option<Tls>, patience: &Patience,
) -> Result<Talked, Trouble> {
    // 1. A connection and a greeting.
    let failed = |error: &io::Error| Trouble::Host(Said { host: Some(host.to_owned()), code: 0, status: "4.4.1".to_owned(), text: error.to_string() });
    let connected = timeout(patience.connect, TcpStream::connect(address)).await.map_err(|_| failed(&io::ErrorKind::TimedOut.into()))?;
    let stream = connected.map_err(|error| failed(&error))?;
    let _ = stream.set_nodelay(true);
    let mut talk = Talk { wire: Box::new(stream), replies: Replies::default(), host, patience };
    let greeting = talk.reply(patience.command).await?;
    if greeting.code != 220 {
        return Err(Trouble::Host(talk.said(&greeting, "4.3.2")));
    }
    // 2. What the server offers; TLS where it does, and then anew: what was offered in the clear counts for nothing.
    let mut offers = talk.hello(name).await?;
    let mut secured = false;
    match tls {
        Some(tls) if offers.starttls => {
            talk = talk.starttls(tls.config).await?;
            offers = talk.hello(name).await?;
            secured = true;
        }
        // spec: rfc7672#2.2, rfc8461#5 what its domain promises is not to be had: perhaps somebody stands between
        Some(Tls { must: true, .. }) => {
            let said = Said { host: Some(host.to_owned()), code: 0, status: "4.7.10".to_owned(), text: "the server offers no TLS, which its domain promises".to_owned() };
            Parting(talk.wire).quit().await;
            return Err(Trouble::Tls(said, "starttls-not-supported"));
        }
        _ => {}
    }
    // 3. A server that cannot take the message as it is, is not given it otherwise: its signatures would break.
    let (needs_utf8, needs_eight_bit) = (letter.needs_utf8(), !letter.bytes.is_ascii());
    for (needed, offered, status, text) in [
        // spec: rfc8689#4.2.1
        (letter.queued.require_tls, secured && offers.require_tls, "5.7.30", "the server does not promise to pass it on under TLS alone (REQUIRETLS)"),
        (needs_utf8, offers.smtputf8, "5.6.7", "the server takes no addresses or headers beyond ASCII"),
        (needs_eight_bit, offers.eight_bit, "5.6.3", "the server takes no text beyond ASCII that is not encoded"),
    ] {
        if needed && !offered {
            let said = Said { host: Some(host.to_owned()), code: 0, status: status.to_owned(), text: text.to_owned() };
            Parting(talk.wire).quit().await;
            return Err(Trouble::Lacks(said));
        }
    }
    // 4. Envelope and message. Whatever breaks from here on leaves the message where it is.
    let outcomes = match talk.transaction(letter, &offers, needs_utf8, needs_eight_bit).await {
        Ok(outcomes) => outcomes,
        Err(Trouble::Host(said) | Trouble::Tls(said, _) | Trouble::Lacks(said)) => letter.all(&Outcome::Later(said)),
    };
    Ok(Talked { outcomes, secured, parting: Parting(talk.wire) })
}

impl Talk<'_> {
    async fn hello(&mut self, name: &str) -> Result<Offers, Trouble> {
        let reply = self.ask(&format!("EHLO {name}\r\n")).await?;
        if reply.is_positive() {
            let mut offers = Offers::default();
            for line in reply.lines.iter().skip(1) {
                match line.split(' ').next().unwrap_or_default().to_ascii_uppercase().as_str() {
                    "STARTTLS" => offers.starttls = true,
                    "SIZE" => offers.size = true,
                    "8BITMIME" => offers.eight_bit = true,
                    "SMTPUTF8" => offers.smtputf8 = true,
                    "DSN" => offers.dsn = true,
                    "REQUIRETLS" => offers.require_tls = true,
                    _ => {}
                }
            }
            return Ok(offers);
        }
        // spec: rfc5321#3.2 HELO is for a server that does not know EHLO, not for one that is busy
        if !reply.is_permanent() {
            return Err(Trouble::Host(self.said(&reply, "4.3.2")));
        }
        let reply = self.ask(&format!("HELO {name}\r\n")).await?;
        if reply.is_positive() { Ok(Offers::default()) } else { Err(Trouble::Host(self.said(&reply, "4.3.2"))) }
    }

    async fn starttls(mut self, config: Arc<ClientConfig>) -> Result<Self, Trouble> {
        let tls = |text: String| Said { host: Some(self.host.to_owned()), code: 0, status: "4.7.5".to_owned(), text };
        let reply = match self.ask("STARTTLS\r\n").await {
            Ok(reply) => reply,
            Err(Trouble::Host(said) | Trouble::Tls(said, _) | Trouble::Lacks(said)) => return Err(Trouble::Tls(said, "starttls-not-supported")),
        };
        // spec: rfc3207#4.2 what was said ahead in the clear may be anybody's
        if reply.code != 220 || !self.replies.is_empty() {
            return Err(Trouble::Tls(tls("the server offered TLS and did not begin it".to_owned()), "starttls-not-supported"));
        }
        // The name is for the server to choose a certificate by; a literal or an odd name gets none.
        let name = ServerName::try_from(self.host.to_owned()).or_else(|_| ServerName::try_from("invalid".to_owned()));
        let name = name.map_err(|error| Trouble::Tls(tls(error.to_string()), "validation-failure"))?;
        let handshake = TlsConnector::from(config).connect(name, self.wire);
        let stream = match timeout(self.patience.connect, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Trouble::Tls(tls(error.to_string()), failure(&error))),
            Err(_) => return Err(Trouble::Tls(tls("no TLS in time".to_owned()), "validation-failure")),
        };
        Ok(Self { wire: Box::new(stream), replies: Replies::default(), host: self.host, patience: self.patience })
    }

    async fn transaction(&mut self, letter: &Letter<'_>, offers: &Offers, utf8: bool, eight_bit: bool) -> Result<Vec<Outcome>, Trouble> {
        let mut mail = format!("MAIL FROM:<{}>", letter.queued.reverse_path.as_deref().unwrap_or_default());
        for (given, parameter) in [
            (offers.size, format!(" SIZE={}", letter.bytes.len())),
            (eight_bit, " BODY=8BITMIME".to_owned()),
            (utf8, " SMTPUTF8".to_owned()),
            (letter.queued.require_tls, " REQUIRETLS".to_owned()),
            (offers.dsn && letter.queued.ret.is_some(), format!(" RET={}", letter.queued.ret.as_deref().unwrap_or_default())),
            (offers.dsn && letter.queued.envelope_id.is_some(), format!(" ENVID={}", letter.queued.envelope_id.as_deref().unwrap_or_default())),
        ] {
            if given {
                mail.push_str(&parameter);
            }
        }
        let reply = self.ask(&(mail + "\r\n")).await?;
        if !reply.is_positive() {
            return Ok(letter.all(&self.refused(&reply)));
        }
        // Each recipient has an answer of its own.
        let mut outcomes = Vec::with_capacity(letter.recipients.len());
        for recipient in &letter.recipients {
            let mut rcpt = format!("RCPT TO:<{}>", recipient.address);
            if offers.dsn {
                if let Some(notify) = &recipient.notify {
                    rcpt.push_str(&format!(" NOTIFY={notify}"));
                }
                if let Some(original) = recipient.original.as_deref().and_then(Original::parse) {
                    rcpt.push_str(&format!(" ORCPT={}", original.encoded()));
                }
            }
            let reply = self.ask(&(rcpt + "\r\n")).await?;
            outcomes.push(if reply.is_positive() { None } else { Some(self.refused(&reply)) });
        }
        if outcomes.iter().all(Option::is_some) {
            return Ok(outcomes.into_iter().flatten().collect());
        }
        let reply = self.ask("DATA\r\n").await?;
        let outcome = if reply.code == 354 {
            self.write(&stuffed(letter.bytes)).await?;
            let reply = self.reply(self.patience.end).await?;
            if reply.is_positive() { Outcome::Sent { said: self.said(&reply, "2.0.0"), reports: offers.dsn } } else { self.refused(&reply) }
        } else {
            self.refused(&reply)
        };
        Ok(outcomes.into_iter().map(|refused| refused.unwrap_or_else(|| outcome.clone())).collect())
    }

    async fn ask(&mut self, command: &str) -> Result<Reply, Trouble> {
        self.write(command.as_bytes()).await?;
        self.reply(self.patience.command).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        for piece in bytes.chunks(PIECE) {
            let written = async {
                self.wire.write_all(piece).await?;
                self.wire.flush().await
            };
            let written = timeout(self.patience.block, written).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            written.map_err(|error| self.broken(&error.to_string()))?;
        }
        Ok(())
    }

    async fn reply(&mut self, patience: Duration) -> Result<Reply, Trouble> {
        let mut buffer = [0; 4 * 1024];
        loop {
            if let Some(reply) = self.replies.take().map_err(|error| self.broken(&error.to_string()))? {
                return Ok(reply);
            }
            let read = timeout(patience, self.wire.read(&mut buffer)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            match read.map_err(|error| self.broken(&error.to_string()))? {
                0 => return Err(self.broken("the server closed the connection")),
                length => self.replies.feed(buffer.get(..length).unwrap_or_default()),
            }
        }
    }

    fn refused(&self, reply: &Reply) -> Outcome {
        if reply.is_permanent() { Outcome::Never(self.said(reply, "5.0.0")) } else { Outcome::Later(self.said(reply, "4.0.0")) }
    }

    /// `otherwise`: the status where the server gives none.
    fn said(&self, reply: &Reply, otherwise: &str) -> Said {
        let status = reply.status.map_or_else(|| otherwise.to_owned(), |status| status.to_string());
        Said { host: Some(self.host.to_owned()), code: reply.code, status, text: reply.text.clone() }
    }

    fn broken(&self, text: &str) -> Trouble {
        Trouble::Host(Said { host: Some(self.host.to_owned()), code: 0, status: "4.4.2".to_owned(), text: text.to_owned() })
    }
}

/// Why a handshake failed, as reports name it. spec: rfc8460#4.3
fn failure(error: &io::Error) -> &'static str {
    use rustls::{CertificateError, Error};
    let error = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    match error {
        Some(Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => "certificate-host-mismatch",
        Some(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => "certificate-expired",
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Revoked)) => "certificate-not-trusted",
        _ => "validation-failure",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;
    use crate::queue::decide::tests::{queued, waiting};

    /// A server that answers by `answer`, `354` with the rest of the message unanswered until its dot; and the commands it hears.
    async fn server(answer: fn(&str) -> Option<&'static str>) -> (SocketAddr, UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, (told, heard)) = (listener.local_addr().unwrap(), unbounded_channel());
        tokio::spawn(async move {
            let (read, mut write) = listener.accept().await.unwrap().0.into_split();
            write.write_all(b"220 x\r\n").await.unwrap();
            let (mut lines, mut data) = (BufReader::new(read).lines(), false);
            while let Ok(Some(line)) = lines.next_line().await {
                let asked = if data { if line == "." { "." } else { continue } } else { &line };
                data = asked == "DATA";
                let _ = told.send(asked.to_owned());
                if let Some(said) = answer(asked) {
                    write.write_all(said.as_bytes()).await.unwrap();
                }
            }
        });
        (address, heard)
    }

    async fn talked(address: SocketAddr, bytes: &[u8]) -> Result<Talked, Trouble> {
        let queued = queued(vec![waiting("a@c.cn", None)]);
        talk("mx.c.cn", address, "mx.mail.gz.example", &Letter::new(&queued, &[0], bytes), None, &Patience::default()).await
    }

    fn plain(asked: &str) -> Option<&'static str> {
        match asked {
            "DATA" => Some("354 go on\r\n"),
            "QUIT" => None,
            _ => Some("250 2.0.0 good\r\n"),
        }
    }

    #[tokio::test]
    async fn the_outcome_is_there_before_the_last_word() {
        let (address, mut heard) = server(plain).await;
        let talked = talked(address, b"Subject: x\r\n\r\nx\r\n").await.unwrap_or_else(|_| panic!("it was taken"));
        assert!(matches!(talked.outcomes.as_slice(), [Outcome::Sent { .. }]));
        let mut all = Vec::new();
        while let Ok(asked) = heard.try_recv() {
            all.push(asked);
        }
        assert_eq!(all.last().map(String::as_str), Some("."));
        tokio::spawn(talked.parting.quit());
        assert_eq!(heard.recv().await.as_deref(), Some("QUIT"));
    }

    #[tokio::test]
    async fn a_busy_server_is_not_taken_for_an_old_one() {
        let (address, _heard) = server(|asked| if asked.starts_with("EHLO") { Some("421 4.3.2 busy\r\n") } else { plain(asked) }).await;
        assert!(matches!(talked(address, "Subject: x\r\n\r\n文\r\n".as_bytes()).await, Err(Trouble::Host(said)) if said.code == 421));
        let (address, _heard) = server(|asked| if asked.starts_with("EHLO") { Some("502 5.5.1 what\r\n") } else { plain(asked) }).await;
        assert!(talked(address, b"Subject: x\r\n\r\nx\r\n").await.is_ok());
    }

    #[tokio::test]
    async fn what_one_server_lacks_another_may_have() {
        let (address, _heard) = server(plain).await;
        assert!(matches!(talked(address, "Subject: x\r\n\r\n文\r\n".as_bytes()).await, Err(Trouble::Lacks(said)) if said.status == "5.6.3"));
    }

    /// A server that offers TLS, `clear` before it and `under` once it is there; its certificate, and the commands it hears under TLS.
    async fn secured(clear: &'static str, under: &'static str) -> (SocketAddr, Arc<ClientConfig>, UnboundedReceiver<String>) {
        let made = rcgen::generate_simple_self_signed(vec!["mx.c.cn".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let proving = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, (told, heard)) = (listener.local_addr().unwrap(), unbounded_channel());
        tokio::spawn(async move {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            let (mut ehlo, mut starttls) = (String::new(), String::new());
            stream.write_all(b"220 x\r\n").await.unwrap();
            stream.read_line(&mut ehlo).await.unwrap();
            stream.write_all(format!("250-x\r\n{clear}250 STARTTLS\r\n").as_bytes()).await.unwrap();
            stream.read_line(&mut starttls).await.unwrap();
            assert_eq!(starttls, "STARTTLS\r\n");
            stream.write_all(b"220 go on\r\n").await.unwrap();
            let stream = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream.into_inner()).await.unwrap();
            let (read, mut write) = tokio::io::split(stream);
            let (mut lines, mut data) = (BufReader::new(read).lines(), false);
            while let Ok(Some(line)) = lines.next_line().await {
                if data && line != "." {
                    continue;
                }
                data = line == "DATA";
                let said = if line.starts_with("EHLO") { format!("250-x\r\n{under}250 SIZE\r\n") } else { plain(&line).unwrap_or("221 2.0.0 bye\r\n").to_owned() };
                let _ = told.send(line);
                write.write_all(said.as_bytes()).await.unwrap();
                write.flush().await.unwrap();
            }
        });
        (address, Arc::new(proving), heard)
    }

    /// spec: rfc8689#4.2.1 that the server is proved is not enough, and what it said in the clear may be anybody's word
    #[tokio::test]
    async fn a_proved_server_that_promises_no_tls_onward_is_not_given_the_message() {
        for (clear, under, given) in [("", "", false), ("250-REQUIRETLS\r\n", "", false), ("", "250-REQUIRETLS\r\n", true)] {
            let (address, config, mut heard) = secured(clear, under).await;
            let sent = Queued { require_tls: true, ..queued(vec![waiting("a@c.cn", None)]) };
            let letter = Letter::new(&sent, &[0], b"Subject: x\r\n\r\nx\r\n");
            let talked = talk("mx.c.cn", address, "mx.mail.gz.example", &letter, Some(Tls { config, must: true }), &Patience::default()).await;
            match talked {
                Ok(talked) => {
                    assert!(given && talked.secured && matches!(talked.outcomes.as_slice(), [Outcome::Sent { .. }]), "{clear}{under}");
                    talked.parting.quit().await;
                }
                Err(Trouble::Lacks(said)) => assert!(!given && said.status == "5.7.30" && said.host.as_deref() == Some("mx.c.cn"), "{said:?}"),
                Err(Trouble::Host(said) | Trouble::Tls(said, _)) => panic!("{said:?}"),
            }
            let mut all = Vec::new();
            while let Some(asked) = heard.recv().await {
                all.push(asked);
            }
            let mail = all.iter().find(|asked| asked.starts_with("MAIL"));
            assert!(if given { mail.is_some_and(|mail| mail.ends_with(" REQUIRETLS")) } else { mail.is_none() && all.last().is_some_and(|last| last == "QUIT") }, "{all:?}");
        }
    }
}
