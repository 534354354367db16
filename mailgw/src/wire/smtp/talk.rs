//! One SMTP connection: a session's outputs done, its requests answered, its time and memory counted.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use protocol::smtp::exchange::{Answer, BodyKind, Output, Question, Request};
use protocol::smtp::session::{Session, Settings};
use runtime::shutdown::Shutdown;
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{Desk, Door, Limits, Metrics, PIECE, Server};
use crate::flow::accept::{Examined, Origin, Prepared, Reception};
use crate::flow::submit::Submission;
use crate::wire::accounts::{Entered, Scope, Standing, TOKENS, Visit};
use crate::wire::brief::{Panicked, asking, momentary, waiting};
use crate::wire::places::Place;
use crate::wire::stream::Stream;

const READ: usize = 32 * 1024;
/// A message of so many bytes, its copies counted, is put together in a moment.
const BRIEF: usize = 256 * 1024;
const LOGIN_OVER: &str = "The password was changed or withdrawn, or the mailbox closed; log in again";

/// One connection.
pub(super) struct Talk<'a> {
    pub server: &'a Server,
    pub place: Place,
    pub peer: IpAddr,
    pub begun: Instant,
    /// What of `Server::receiving` is ours.
    pub counted: usize,
    /// Errors whose replies were late already.
    pub slowed: u32,
    pub login: Option<Standing>,
    /// What the client showed within TLS.
    pub certificates: Vec<Vec<u8>>,
    pub shutdown: Shutdown,
}

impl Talk<'_> {
    pub async fn run(mut self, mut stream: Stream, door: Door) -> io::Result<()> {
        let limits = &self.server.limits;
        if door == Door::Tls {
            let config = self.server.tls.current(limits.ways.tls.certificate);
            stream = stream.upgrade(config, limits.handshake).await?;
            self.server.metrics.tls.increment();
        }
        self.certificates = stream.certificates();
        let (mut session, greeting) = Session::new(Settings {
            host: self.server.desk.host().clone(),
            tls: door == Door::Tls,
            starttls: !matches!(self.server.desk, Desk::Neighbours(_)),
            role: self.server.desk.role(),
            dsn: match &self.server.desk {
                Desk::Submission(_) => true,
                Desk::Reception(reception) => reception.queue.is_some(),
                // A neighbour tells its own senders.
                Desk::Neighbours(_) => false,
            },
            offer: stream.offer(if door == Door::Tls { limits.ways.tls } else { limits.ways.starttls }),
            budget: limits.budget,
            max_size: limits.max_size,
            max_recipients: limits.max_recipients,
            max_copies: limits.memory / 2,
        });
        let (mut todo, mut said, mut buffer) = (VecDeque::from(greeting), Vec::new(), vec![0; READ]);
        loop {
            while let Some(output) = todo.pop_front() {
                match output {
                    Output::Send(bytes) => said.extend(bytes),
                    Output::Do(request) => {
                        // A thief who is sending must not go on when the owner takes the password away.
                        let answer = if self.login_is_over() { None } else { Some(self.work(request).await) };
                        todo.extend(match answer {
                            // What is durable is said to be: the client would send it again. Then the login ends.
                            Some(answer @ Answer::Durable { .. }) => session.answer(answer),
                            Some(answer) if !self.login_is_over() => session.answer(answer),
                            _ => session.bye("4.7.0", LOGIN_OVER),
                        });
                    }
                    Output::StartTls => {
                        stream.write(&std::mem::take(&mut said), limits.handshake).await?;
                        let config = self.server.tls.current(limits.ways.starttls.certificate);
                        stream = stream.upgrade(config, limits.handshake).await?;
                        self.server.metrics.tls.increment();
                        self.certificates = stream.certificates();
                        session.tls_started(stream.offer(limits.ways.starttls));
                    }
                    Output::Close => {
                        stream.write(&said, limits.handshake).await?;
                        linger(&mut stream, limits.linger).await;
                        return Ok(());
                    }
                }
            }
            self.slow_down(session.errors()).await;
            stream.write(&std::mem::take(&mut said), limits.handshake).await?;
            self.count(&mut session);
            // A message on its way is awaited even when the service ends.
            let between = !session.in_data();
            if between && self.login_is_over() {
                todo.extend(session.bye("4.7.0", LOGIN_OVER));
                continue;
            }
            let until = self.until(limits).min(Instant::now() + limits.idle);
            let out = tokio::select! {
                biased;
                () = self.shutdown.wait(), if between => session.bye("4.3.2", "The server goes down; connect again"),
                read = timeout_at(until, stream.read(&mut buffer)) => match read {
                    Ok(Ok(0)) => return Ok(()),
                    Ok(Ok(length)) => session.receive(buffer.get(..length).unwrap_or_default()),
                    Ok(Err(error)) => return Err(error),
                    Err(_) => session.bye("4.4.2", "It took too long; connect again"),
                },
            };
            todo.extend(out);
        }
    }

    /// When the connection ends, whatever is said on it: sooner where somebody is to log in and does not.
    fn until(&self, limits: &Limits) -> Instant {
        let awaits_login = matches!(self.server.desk, Desk::Submission(_)) && self.login.is_none();
        self.begun + if awaits_login { limits.authentication.min(limits.connection) } else { limits.connection }
    }

    async fn work(&mut self, request: Request) -> Answer {
        match self.server.desk.clone() {
            Desk::Reception(reception) => self.reception(reception, Origin::Host(self.peer), request).await,
            Desk::Neighbours(reception) => self.reception(reception, Origin::Neighbour, request).await,
            Desk::Submission(submission) => self.submission(submission, request).await,
        }
    }

    async fn reception(&mut self, reception: Arc<Reception>, origin: Origin, request: Request) -> Answer {
        let now = self.server.clock.now();
        match request {
            Request::Recipient { reverse_path, recipient, declared } => {
                self.recipient(move || reception.recipient(origin, reverse_path.as_ref(), &recipient, declared, now)).await
            }
            Request::Deliver { envelope, bytes } => {
                // A binary message is written anew in characters first.
                let anew = if envelope.body == BodyKind::BinaryMime { 3 } else { 0 };
                let copies = bytes.len().saturating_mul(envelope.recipients.len().saturating_add(anew));
                // The memory for copies is lent when the DNS has answered, not while it is waited for.
                match reception.examine(origin, Arc::new(envelope), Arc::new(bytes), now).await {
                    Ok(examined) => self.taken(copies, reception, examined, now).await,
                    Err(answer) => {
                        Metrics::count(&self.server.metrics.messages, &answer);
                        answer
                    }
                }
            }
            // This desk never asks who it is.
            Request::Login { .. } | Request::Sasl(_) | Request::Sender { .. } => Answer::Failed,
        }
    }

    /// Nobody guesses quickly.
    async fn slow_down(&mut self, errors: u32) {
        let limits = &self.server.limits;
        let late = errors.saturating_sub(self.slowed.max(limits.patience.saturating_sub(1)));
        // An accepted message begins the count anew.
        self.slowed = errors;
        if late > 0 && !limits.tarpit.is_zero() {
            tokio::select! {
                () = sleep(limits.tarpit.saturating_mul(late)) => {}
                () = self.shutdown.wait() => {}
            }
        }
    }

    async fn submission(&mut self, submission: Arc<Submission>, request: Request) -> Answer {
        let now = self.server.clock.now();
        match (request, self.login.as_ref().map(|standing| standing.login)) {
            (Request::Login { user, password }, _) => self.log_in(submission, &self.server.logins, move |submission, visit| submission.login(&user, &password, visit)).await,
            (Request::Sasl(Question::Salt { user }), _) => blocking(move || submission.salt(&user)).await,
            (Request::Sasl(Question::Proof(proof)), _) => self.log_in(submission, &self.server.logins, move |submission, visit| submission.prove(&proof, visit)).await,
            (Request::Sasl(Question::Certificate { user }), _) => {
                let certificates = self.certificates.clone();
                self.log_in(submission, &self.server.certificates, move |submission, visit| submission.certificate(&certificates, user.as_deref(), visit)).await
            }
            (Request::Sasl(Question::Token(bearer)), _) => {
                let told = submission.accounts.token_refused();
                match self.log_in(submission, &TOKENS, move |submission, visit| submission.token(&bearer, visit)).await {
                    Answer::Denied => Answer::NoToken(told),
                    answer => answer,
                }
            }
            (Request::Sender { reverse_path }, Some(login)) => blocking(move || submission.sender(login, reverse_path.as_ref(), now)).await,
            (Request::Recipient { recipient, declared, .. }, Some(_)) => self.recipient(move || submission.recipient(&recipient, declared)).await,
            (Request::Deliver { envelope, bytes }, Some(login)) => {
                let copies = bytes.len().saturating_mul(3);
                self.deliver(copies, move || submission.submit(login, &envelope, &bytes, now)).await
            }
            (_, None) => Answer::Failed,
        }
    }

    async fn log_in(&mut self, submission: Arc<Submission>, turns: &Semaphore, check: impl FnOnce(&Submission, Visit) -> Result<Entered, Answer> + Send + 'static) -> Answer {
        let (server, peer, ended) = (self.server, self.place.address(), submission.accounts.ended());
        // The semaphore is never closed.
        let checked = match turns.acquire().await {
            Ok(_turn) => tokio::task::spawn_blocking(move || check(&submission, Visit { scope: Scope::Smtp, peer })).await.unwrap_or(Err(Answer::Failed)),
            Err(_) => Err(Answer::Failed),
        };
        let answer = match checked {
            Ok(entered) => {
                let signature = entered.signature;
                self.login = Some(Standing::new(entered, ended));
                self.place.logged_in();
                signature.map_or(Answer::LoggedIn, |signature| Answer::Proved { signature })
            }
            Err(answer) => {
                // Nobody tries passwords quickly.
                tokio::select! {
                    () = sleep(server.limits.refusal) => {}
                    () = self.shutdown.wait() => {}
                }
                answer
            }
        };
        Metrics::count(&server.metrics.logins, &answer);
        answer
    }

    async fn recipient(&self, find: impl FnOnce() -> Answer + Send + 'static) -> Answer {
        let answer = momentary(find).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a recipient was not looked for");
            Answer::Failed
        });
        Metrics::count(&self.server.metrics.recipients, &answer);
        answer
    }

    /// A message put together, recorded and answered, by no thread that waits for its commit. `bytes`: the memory it takes.
    async fn taken(&self, bytes: usize, reception: Arc<Reception>, examined: Examined, now: OffsetDateTime) -> Answer {
        let (began, _lent) = (Instant::now(), self.lend(bytes).await);
        // Lists of revoked certificates may be fetched.
        let (desk, slow) = (Arc::clone(&reception), move |examined| asking(move || reception.accept(examined, now)));
        let prepare = { let desk = Arc::clone(&desk); move || desk.prepare(examined, now) };
        let prepared = if bytes <= BRIEF { momentary(prepare).await } else { waiting(prepare).await };
        let answer = match prepared {
            Ok(Prepared::Ready(ready)) => match desk.record(ready).await {
                Ok(answer) => answer,
                Err(examined) => slow(examined).await.unwrap_or_else(|error| abnormal(&error)),
            },
            Ok(Prepared::Slowly(examined)) => slow(examined).await.unwrap_or_else(|error| abnormal(&error)),
            Ok(Prepared::Answered(answer)) => answer,
            Err(error) => abnormal(&error),
        };
        self.answered(began, answer)
    }

    /// `bytes`: the memory it takes.
    async fn deliver(&self, bytes: usize, deliver: impl FnOnce() -> Answer + Send + 'static) -> Answer {
        let (began, _lent) = (Instant::now(), self.lend(bytes).await);
        self.answered(began, blocking(deliver).await)
    }

    async fn lend(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let all = u32::try_from(self.server.limits.memory / PIECE).unwrap_or(u32::MAX);
        let pieces = u32::try_from(bytes / PIECE + 1).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        Arc::clone(&self.server.delivering).acquire_many_owned(pieces.min(all)).await.ok()
    }

    fn answered(&self, began: Instant, answer: Answer) -> Answer {
        self.server.metrics.seconds.observe(began.elapsed().as_secs_f64());
        Metrics::count(&self.server.metrics.messages, &answer);
        answer
    }

    /// Whether the login is over since.
    fn login_is_over(&mut self) -> bool {
        self.login.as_mut().is_some_and(Standing::is_over)
    }

    /// Counts the memory of the message being received, which stays counted while it is delivered. Beyond the limit it is shed.
    fn count(&mut self, session: &mut Session) {
        self.recount(session.kept());
        if self.server.receiving.load(Relaxed) > self.server.limits.memory && session.kept() > 0 {
            session.shed();
            self.recount(session.kept());
        }
    }

    fn recount(&mut self, now: usize) {
        self.server.receiving.fetch_add(now, Relaxed);
        self.server.receiving.fetch_sub(self.counted, Relaxed);
        self.counted = now;
    }
}

impl Drop for Talk<'_> {
    fn drop(&mut self) {
        self.recount(0);
    }
}

/// What may wait for a commit.
async fn blocking(work: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    waiting(work).await.unwrap_or_else(|error| abnormal(&error))
}

fn abnormal(error: &Panicked) -> Answer {
    tracing::error!(%error, "taking mail ended abnormally");
    Answer::Failed
}

/// Whether the client spoke before the greeting, as those do who have no interest in our replies.
pub(super) fn early(stream: TcpStream) -> io::Result<(TcpStream, bool)> {
    // tokio would first ask its poll, which has not looked at this socket yet.
    let stream = stream.into_std()?;
    let spoke = match stream.peek(&mut [0]) {
        Ok(length) => length > 0,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
        Err(error) => return Err(error),
    };
    Ok((TcpStream::from_std(stream)?, spoke))
}

pub(super) async fn turn_away(stream: TcpStream, line: &str, time: Duration) {
    let mut stream = Stream::Clear(stream);
    // Nothing was promised to this client.
    if stream.write(line.as_bytes(), time).await.is_ok() {
        linger(&mut stream, time).await;
    }
}

/// Ends our side and reads on for a while: closing with input unread would reset the connection and lose the last reply.
async fn linger(stream: &mut Stream, time: Duration) {
    stream.close(time).await;
    let mut buffer = [0; 1024];
    let rest = async { while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {} };
    // Whoever does not close by then is cut off.
    let _ = timeout(time, rest).await;
}
