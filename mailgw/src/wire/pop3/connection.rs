//! One connection: bytes and requests carried between the client, the session and the store.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use protocol::pop3::exchange::{Answer, Output, Question, Request};
use protocol::pop3::session::{Session, Settings};
use runtime::shutdown::Shutdown;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use super::answer::{failed, load, open, remove};
use super::{Door, Maildrop, Pop3};
use crate::record::folder::Folder;
use crate::wire::accounts::{Accounts, Entered, LoginRefusal, Scope, Standing, TOKENS, Visit, Ways};
use crate::wire::brief::{Panicked, brief, changing};
use crate::wire::places::Place;
use crate::wire::stream::Stream;

/// Octets read at once: commands are short.
const READ: usize = 1024;
const LOGIN_OVER: &str = "The password was changed or withdrawn, or the mailbox closed; log in again";

pub(super) struct Connection {
    pop3: Arc<Pop3>,
    place: Place,
    shutdown: Shutdown,
    login: Option<Standing>,
    maildrop: Option<(Maildrop, Folder)>,
    /// What the client showed within TLS.
    certificates: Vec<Vec<u8>>,
}

impl Connection {
    pub fn new(pop3: Arc<Pop3>, place: Place, shutdown: Shutdown) -> Self {
        pop3.metrics.connections.add(1);
        Self { pop3, place, shutdown, login: None, maildrop: None, certificates: Vec::new() }
    }

    pub async fn serve(mut self, stream: TcpStream, door: Door) {
        let started = Instant::now();
        let _ = stream.set_nodelay(true);
        let mut stream = Stream::Clear(stream);
        if door == Door::Tls {
            let config = self.pop3.tls.current(self.ways(door).certificate);
            match stream.upgrade(config, self.pop3.limits.authentication).await {
                Ok(secured) => stream = secured,
                Err(error) => return tracing::debug!(%error, "no TLS on a POP3 connection"),
            }
        }
        if let Err(error) = self.converse(stream, door, started).await {
            tracing::debug!(%error, "a POP3 connection ended early");
        }
    }

    async fn converse(&mut self, mut stream: Stream, door: Door, started: Instant) -> io::Result<()> {
        let pop3 = Arc::clone(&self.pop3);
        let limits = &pop3.limits;
        self.certificates = stream.certificates();
        let (mut session, greeting) = Session::new(Settings { tls: door == Door::Tls, offer: stream.offer(self.ways(door)), budget: limits.budget });
        let (mut todo, mut buffer, mut heard) = (VecDeque::from(greeting), vec![0; READ], started);
        loop {
            while let Some(output) = todo.pop_front() {
                match output {
                    // What is large goes out before more is asked for.
                    Output::Send(bytes) => {
                        // Whoever hears the farewell may come again at once.
                        if matches!(todo.front(), Some(Output::Close)) {
                            self.maildrop = None;
                        }
                        stream.write(&bytes, limits.write).await?;
                    }
                    Output::Do(request) => {
                        let answer = self.answer(request).await;
                        // A thief who is reading must not go on when the owner takes the password away. What was removed is removed.
                        let over = self.login_is_over() && !matches!(answer, Answer::Removed);
                        todo.extend(if over { session.bye(LOGIN_OVER) } else { session.answer(answer) });
                    }
                    Output::StartTls => {
                        let config = pop3.tls.current(self.ways(Door::StartTls).certificate);
                        stream = stream.upgrade(config, limits.authentication).await?;
                        self.certificates = stream.certificates();
                        session.tls_started(stream.offer(self.ways(Door::StartTls)));
                    }
                    Output::Close => {
                        stream.close(limits.write).await;
                        return Ok(());
                    }
                }
            }
            let until = if self.login.is_some() { heard + limits.silence } else { started + limits.authentication };
            let out = tokio::select! {
                biased;
                () = self.shutdown.wait() => session.bye("[SYS/TEMP] The server goes down; connect again"),
                () = over(&mut self.login) => session.bye(LOGIN_OVER),
                read = timeout_at(until, stream.read(&mut buffer)) => match read {
                    Ok(Ok(0)) => return Ok(()),
                    Ok(Ok(length)) => {
                        heard = Instant::now();
                        session.receive(buffer.get(..length).unwrap_or_default())
                    }
                    Ok(Err(error)) => return Err(error),
                    Err(_) => session.bye("It took too long; connect again"),
                },
            };
            todo.extend(out);
        }
    }

    fn ways(&self, door: Door) -> Ways {
        let ways = self.pop3.limits.ways;
        if door == Door::Tls { ways.tls } else { ways.starttls }
    }

    async fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Login { user, password } => self.enter(|pop3| &pop3.logins, move |accounts, visit| accounts.login(&user, &password, visit)).await,
            Request::Sasl(Question::Salt { user }) => {
                let accounts = Arc::clone(&self.pop3.accounts);
                finished(brief(move || accounts.salt(&user).map_or_else(refused, Answer::Salted)).await)
            }
            Request::Sasl(Question::Proof(proof)) => self.enter(|pop3| &pop3.logins, move |accounts, visit| accounts.prove(&proof, visit)).await,
            Request::Sasl(Question::Certificate { user }) => {
                let certificates = self.certificates.clone();
                self.enter(|pop3| &pop3.certificates, move |accounts, visit| accounts.certificate(&certificates, user.as_deref(), visit)).await
            }
            Request::Sasl(Question::Token(bearer)) => match self.enter(|_| &TOKENS, move |accounts, visit| accounts.token(&bearer, visit)).await {
                Answer::Denied => Answer::NoToken(self.pop3.accounts.token_refused()),
                answer => answer,
            },
            Request::Open => self.open().await,
            Request::Load { uid, shows } => {
                let (Some((_, folder)), Some(standing), pop3) = (&self.maildrop, &self.login, Arc::clone(&self.pop3)) else { return Answer::Failed };
                let (folder, mailbox) = (*folder, standing.login.number.to_string());
                let shown = shows.then(|| (mailbox, crate::gateway::unix_millis(pop3.clock.now())));
                let answer = finished(brief(move || load(&pop3.messages, &folder, uid, shown)).await);
                if matches!(answer, Answer::Bytes(_)) {
                    self.pop3.metrics.retrieved.increment();
                }
                answer
            }
            Request::Remove { uids } => {
                let (Some((_, folder)), Some(standing)) = (&self.maildrop, &self.login) else { return Answer::Failed };
                let (folder, mailbox, pop3) = (*folder, standing.login.number.to_string(), Arc::clone(&self.pop3));
                let removing = move || match remove(&pop3.messages, &mailbox, &folder, &uids, crate::gateway::unix_millis(pop3.clock.now())) {
                    Ok(removed) => {
                        pop3.metrics.removed.add(removed);
                        Answer::Removed
                    }
                    Err(error) => failed(&error),
                };
                finished(changing(removing).await)
            }
        }
    }

    async fn open(&mut self) -> Answer {
        let Some(standing) = &self.login else { return Answer::Failed };
        let number = standing.login.number;
        let Some(maildrop) = self.pop3.maildrops.take(number) else { return Answer::InUse };
        let messages = Arc::clone(&self.pop3.messages);
        match tokio::task::spawn_blocking(move || open(&messages, &number.to_string())).await {
            Ok((answer, folder)) => {
                self.maildrop = folder.map(|folder| (maildrop, folder));
                answer
            }
            Err(error) => {
                tracing::error!(%error, "a POP3 request was not finished");
                Answer::Failed
            }
        }
    }

    async fn enter(&mut self, turns: fn(&Pop3) -> &Semaphore, check: impl FnOnce(&dyn Accounts, Visit) -> Result<Entered, LoginRefusal> + Send + 'static) -> Answer {
        let pop3 = Arc::clone(&self.pop3);
        let ended = pop3.accounts.ended();
        let checked = match turns(&pop3).acquire().await {
            Ok(_turn) => {
                let (accounts, visit) = (Arc::clone(&pop3.accounts), Visit { scope: Scope::Pop3, peer: self.place.address() });
                tokio::task::spawn_blocking(move || check(&*accounts, visit)).await.unwrap_or(Err(LoginRefusal::Unavailable))
            }
            // The semaphore is never closed.
            Err(_) => Err(LoginRefusal::Unavailable),
        };
        let checked = checked.and_then(|entered| if pop3.limits.not_for.contains(&entered.login.number) { Err(LoginRefusal::Denied) } else { Ok(entered) });
        pop3.metrics.login(checked.as_ref().map(|_| ()).map_err(|refusal| *refusal));
        match checked {
            Ok(entered) => {
                let signature = entered.signature;
                self.login = Some(Standing::new(entered, ended));
                self.place.logged_in();
                signature.map_or(Answer::LoggedIn, |signature| Answer::Proved { signature })
            }
            Err(refusal) => {
                // Nobody tries passwords quickly.
                tokio::select! {
                    () = sleep(pop3.limits.refusal) => {}
                    () = self.shutdown.wait() => {}
                }
                refused(refusal)
            }
        }
    }

    fn login_is_over(&mut self) -> bool {
        self.login.as_mut().is_some_and(Standing::is_over)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.pop3.metrics.connections.add(-1);
    }
}

fn refused(refusal: LoginRefusal) -> Answer {
    match refusal {
        LoginRefusal::Denied => Answer::Denied,
        LoginRefusal::Later => Answer::TooMany,
        LoginRefusal::Unavailable => Answer::Failed,
    }
}

/// For ever while the login stands, or there is none.
async fn over(login: &mut Option<Standing>) {
    match login {
        Some(standing) => standing.over().await,
        None => std::future::pending().await,
    }
}

fn finished(work: Result<Answer, Panicked>) -> Answer {
    work.unwrap_or_else(|error| {
        tracing::error!(%error, "a POP3 request was not finished");
        Answer::Failed
    })
}
