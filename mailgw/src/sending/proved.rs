//! Questions to the DNS whose answers count only as far as the operator's resolver has proved them by DNSSEC: it says so by a bit
//! (AD), and is believed since it is the operator's own, on this machine or reached by a wire that is.
// spec: rfc6840#5.7, rfc7672#2.1, rfc4035#4.9.3

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);
const TRIES: usize = 2;
/// Octets of an answer that fits into one packet nearly everywhere.
const PAYLOAD: u16 = 1_232;
/// Records of one answer that are looked at.
const MAX_RECORDS: usize = 100;

/// The resolver does not say: it cannot be reached, or what it was told is nobody's word (SERVFAIL).
#[derive(Debug)]
pub(crate) struct Silent;

/// What there is of a name, perhaps nothing.
#[derive(Debug)]
pub(crate) struct Answer {
    pub secure: bool,
    pub records: Vec<RData>,
}

#[derive(Clone, Copy)]
pub(crate) struct Proved(pub SocketAddr);

impl Proved {
    pub async fn ask(self, name: &str, kind: RecordType) -> Result<Answer, Silent> {
        let mut name = Name::from_utf8(name).map_err(|_| Silent)?;
        name.set_fqdn(true);
        let mut question = Message::query();
        question.metadata.recursion_desired = true;
        question.metadata.authentic_data = true;
        question.add_query(Query::query(name, kind));
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        question.set_edns(edns);
        for _ in 0..TRIES {
            let Ok(Some(answer)) = timeout(PATIENCE, self.exchange(&question)).await else { continue };
            return match answer.metadata.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => {
                    let records = answer.answers.iter().filter(|record| record.record_type() == kind).take(MAX_RECORDS).map(|record| record.data.clone()).collect();
                    Ok(Answer { secure: answer.metadata.authentic_data, records })
                }
                _ => Err(Silent),
            };
        }
        Err(Silent)
    }

    async fn exchange(self, question: &Message) -> Option<Message> {
        let bytes = question.to_vec().ok()?;
        let any: SocketAddr = if self.0.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).await.ok()?;
        socket.connect(self.0).await.ok()?;
        socket.send(&bytes).await.ok()?;
        let mut buffer = vec![0; 4_096];
        loop {
            let length = socket.recv(&mut buffer).await.ok()?;
            let Some(answer) = buffer.get(..length).and_then(|bytes| answers(question, bytes)) else { continue };
            return if answer.metadata.truncation { self.by_stream(question, &bytes).await } else { Some(answer) };
        }
    }

    async fn by_stream(self, question: &Message, bytes: &[u8]) -> Option<Message> {
        let mut stream = TcpStream::connect(self.0).await.ok()?;
        stream.write_all(&u16::try_from(bytes.len()).ok()?.to_be_bytes()).await.ok()?;
        stream.write_all(bytes).await.ok()?;
        let mut buffer = vec![0; usize::from(stream.read_u16().await.ok()?)];
        stream.read_exact(&mut buffer).await.ok()?;
        answers(question, &buffer)
    }
}

/// An answer to this question and to no other.
fn answers(question: &Message, bytes: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    (answer.metadata.id == question.metadata.id && answer.queries == question.queries).then_some(answer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use hickory_resolver::proto::op::MessageType;
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::A;
    use tokio::net::TcpListener;

    use super::*;

    /// A resolver that says by packet that it has too much to say, and says so many addresses by stream.
    async fn resolver(addresses: usize) -> Proved {
        let stream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = stream.local_addr().unwrap();
        let packets = UdpSocket::bind(at).await.unwrap();
        tokio::spawn(async move {
            let mut buffer = vec![0; 4_096];
            let (length, from) = packets.recv_from(&mut buffer).await.unwrap();
            let mut answer = Message::from_vec(buffer.get(..length).unwrap()).unwrap();
            answer.metadata.message_type = MessageType::Response;
            answer.metadata.truncation = true;
            packets.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            let (mut stream, _) = stream.accept().await.unwrap();
            let mut question = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut question).await.unwrap();
            answer.metadata.truncation = false;
            for number in 0..addresses {
                let address = A(std::net::Ipv4Addr::from(u32::try_from(number).unwrap()));
                answer.add_answer(Record::from_rdata(Name::from_utf8("mx.b.example.").unwrap(), 60, RData::A(address)));
            }
            let bytes = answer.to_vec().unwrap();
            stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        });
        Proved(at)
    }

    #[tokio::test]
    async fn of_a_long_answer_the_first_records_are_looked_at() {
        for (said, looked_at) in [(MAX_RECORDS, MAX_RECORDS), (MAX_RECORDS + 400, MAX_RECORDS)] {
            let answer = resolver(said).await.ask("mx.b.example", RecordType::A).await.unwrap();
            let expected: Vec<RData> = (0..looked_at).map(|number| RData::A(A(std::net::Ipv4Addr::from(u32::try_from(number).unwrap())))).collect();
            assert_eq!(answer.records, expected, "{said}");
        }
    }
}
