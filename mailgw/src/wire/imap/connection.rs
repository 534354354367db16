//! One connection: bytes, requests and changes carried between the client, the session and the store.

use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use protocol::imap::exchange::{AccountChanges, Answer, Change, Output, Question, RefusalCode, Request};
use protocol::imap::session::{Session, Settings};
use runtime::shutdown::Shutdown;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

use super::account::AccountEar;
use super::ahead::Ahead;
use super::append::append;
use super::answer::{Then, answer, kept};
use super::pipe::Pipe;
use super::{Door, Imap};
use crate::mailbox::Watch;
use crate::record::folder::Folder;
use crate::wire::accounts::{Accounts, Entered, LoginRefusal, Scope, Standing, TOKENS, Visit, Ways};
use crate::wire::brief::{brief, changing, momentary};
use crate::wire::places::Place;
use crate::wire::stream::Stream;

/// Octets read at once: little while a client waits, more while it sends much, and not so much before somebody is logged in.
const SMALL_READ: usize = 1024;
const EARLY_READ: usize = 16 * 1024;
const LARGE_READ: usize = 64 * 1024;
/// Octets gathered before they are sent, however many messages they come from.
const GATHER: usize = 64 * 1024;
/// Octets of a message, and messages found, from which on a session takes milliseconds to take them in.
const LARGE_MESSAGE: usize = 256 * 1024;
const MANY_FOUND: usize = 20_000;
/// Messages, and their octets, that are read without looking whether the login still stands. It takes a moment.
const RUN: usize = 64;
const RUN_OCTETS: u64 = 256 << 10;

pub(super) struct Connection {
    imap: Arc<Imap>,
    place: Place,
    shutdown: Shutdown,
    mailbox: Option<Arc<str>>,
    open: Option<(Folder, Watch)>,
    /// What is being read for the command that is under way.
    ahead: Option<Arc<Ahead>>,
    account: Option<AccountEar>,
    login: Option<Standing>,
    /// What the client showed within TLS.
    certificates: Vec<Vec<u8>>,
    /// What of `Imap::arranging` is ours.
    counted: usize,
    /// Since when a login is awaited.
    begun: Instant,
    /// The room for a compressed connection, until it is one.
    compressing: Option<OwnedSemaphorePermit>,
}

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("closed")]
    Closed,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a waiting session is woken by.
enum Event {
    Read(io::Result<usize>),
    Changed(Option<Arc<[Change]>>),
    AccountChanged(AccountChanges),
    Silent,
    /// The mailbox was closed or has another password.
    Ended,
    Shutdown,
}

impl Connection {
    pub fn new(imap: Arc<Imap>, place: Place, shutdown: Shutdown) -> Self {
        imap.metrics.connections.add(1);
        Self { imap, place, shutdown, mailbox: None, open: None, ahead: None, account: None, login: None, certificates: Vec::new(), counted: 0, begun: Instant::now(), compressing: None }
    }

    pub async fn serve(mut self, stream: TcpStream, door: Door) {
        // Answers are gathered here; nothing is won by the kernel waiting for more.
        let _ = stream.set_nodelay(true);
        let mut stream = Stream::Clear(stream);
        if door == Door::Tls {
            let config = self.imap.tls.current(self.ways(door).certificate);
            match stream.upgrade(config, self.imap.limits.authentication).await {
                Ok(secured) => stream = secured,
                Err(error) => return tracing::debug!(%error, "no TLS on an IMAP connection"),
            }
        }
        if let Err(error) = self.converse(Pipe::new(stream), door).await {
            tracing::debug!(%error, "an IMAP connection ended");
        }
    }

    async fn converse(&mut self, mut stream: Pipe, door: Door) -> Result<(), End> {
        let switches = &self.imap.limits.switches;
        let off = if door == Door::Tls { switches.tls } else { switches.starttls };
        let ways = self.ways(door);
        self.certificates = stream.certificates();
        let settings = Settings { tls: door == Door::Tls, starttls: true, offer: stream.offer(ways), budget: self.imap.limits.budget, append_limit: self.imap.limits.append, arrange_limit: self.imap.limits.arrange, off };
        let (session, greeting) = Session::new(settings);
        // It goes from hand to hand.
        let mut session = Box::new(session);
        (session, stream) = self.work(session, stream, greeting).await?;
        let shutdown = self.shutdown.clone();
        let mut stop = pin!(shutdown.wait());
        let mut buffer = vec![0; SMALL_READ];
        let mut heard = self.begun;
        loop {
            let limits = &self.imap.limits;
            let until = if self.mailbox.is_some() { heard + limits.silence } else { self.begun + limits.authentication };
            let event = tokio::select! {
                biased;
                () = stop.as_mut() => Event::Shutdown,
                () = login_over(&mut self.login) => Event::Ended,
                changes = next_change(&mut self.open) => Event::Changed(changes),
                read = stream.read(&mut buffer) => Event::Read(read),
                changes = account_changes(&self.account) => Event::AccountChanged(changes),
                () = sleep_until(until) => Event::Silent,
            };
            let account_told = matches!(event, Event::AccountChanged(_));
            let outputs = match event {
                Event::Read(read) => {
                    let count = read?;
                    if count == 0 {
                        return Err(End::Closed);
                    }
                    heard = Instant::now();
                    // What was committed before these bytes came is known before they are acted upon.
                    let mut outputs = self.catch_up(&mut session);
                    outputs.extend(session.receive(buffer.get(..count).unwrap_or_default()));
                    resize(&mut buffer, count, if self.mailbox.is_some() { LARGE_READ } else { EARLY_READ });
                    outputs
                }
                Event::Changed(Some(changes)) => session.changed(changes.iter().cloned()),
                Event::AccountChanged(changes) => session.account_changed(changes),
                Event::Changed(None) => {
                    self.imap.metrics.outrun.increment();
                    said_bye(&mut session, "The mailbox was deleted, renamed or changed too fast; connect again")
                }
                Event::Ended => said_bye(&mut session, "The password was changed or withdrawn, or the mailbox closed; log in again"),
                Event::Silent if self.mailbox.is_some() => said_bye(&mut session, "Silent for too long"),
                Event::Silent => said_bye(&mut session, "No login in time"),
                Event::Shutdown => said_bye(&mut session, "The server is going down; connect again later"),
            };
            let begun = Instant::now();
            (session, stream) = self.work(session, stream, outputs).await?;
            if let Some(account) = self.account.as_mut().filter(|_| account_told) {
                account.rest(begun.elapsed());
            }
        }
    }

    fn catch_up(&mut self, session: &mut Session) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Some((_, watch)) = &mut self.open {
            while let Some(changes) = watch.try_next() {
                outputs.extend(session.changed(changes.iter().cloned()));
            }
        }
        outputs
    }

    /// Does what the session asks for until it waits for the client again.
    async fn work(&mut self, mut session: Box<Session>, mut stream: Pipe, outputs: Vec<Output>) -> Result<(Box<Session>, Pipe), End> {
        let limit = self.imap.limits.write;
        let mut left = VecDeque::from(outputs);
        let mut unsent = Vec::new();
        while let Some(output) = left.pop_front() {
            match output {
                Output::Send(bytes) if unsent.is_empty() => unsent = bytes,
                Output::Send(bytes) => {
                    // What is gathered grows once, not with each message.
                    if unsent.capacity() - unsent.len() < bytes.len() {
                        unsent.reserve(GATHER.max(bytes.len()));
                    }
                    unsent.extend_from_slice(&bytes);
                }
                Output::Do(request) => {
                    if unsent.len() >= GATHER {
                        stream.write(&std::mem::take(&mut unsent), limit).await?;
                    }
                    let (back, outputs) = match (request, self.mailbox.clone()) {
                        (load @ (Request::Load { .. } | Request::Outlines { .. }), Some(mailbox)) => self.load_on(session, load, mailbox).await?,
                        (request, _) => {
                            // Marking what was told as seen changes nothing of what is to be told.
                            self.ahead = self.ahead.take().filter(|_| matches!(request, Request::Store { .. }));
                            let answer = Box::pin(self.answer(request)).await;
                            // spec: rfc3501#6.3.11 a message that comes to the opened mailbox is told before the command's end ·
                            // rfc7162#3.2.7 and so is what others changed before this MODSEQ
                            if matches!(answer, Answer::Appended { .. } | Answer::Copied { .. } | Answer::Expunged(_)) {
                                left.extend(self.catch_up(&mut session));
                            }
                            // What the client did itself is among it now, and left out with the answer. What others do while they are
                            // told of waits, or telling would never end.
                            if let Some(account) = self.account.as_ref().filter(|_| !matches!(answer, Answer::Status(_) | Answer::Mailboxes(_))) {
                                left.extend(session.account_changed(account.take()));
                            }
                            take_in(session, answer).await?
                        }
                    };
                    session = back;
                    left.extend(outputs);
                    if self.is_too_much(session.kept()) {
                        // Its next step is not taken.
                        left.pop_back();
                        left.extend(session.shed());
                        self.recount(0);
                    }
                    // A thief who is reading must not go on when the owner takes the password away.
                    if self.login.as_mut().is_some_and(Standing::is_over) {
                        left.clear();
                        left.extend(said_bye(&mut session, "The password was changed or withdrawn, or the mailbox closed; log in again"));
                    }
                    if self.shutdown.is_set() {
                        left.extend(said_bye(&mut session, "The server is going down; connect again later"));
                    }
                }
                Output::StartTls => {
                    stream.write(&std::mem::take(&mut unsent), limit).await?;
                    let config = self.imap.tls.current(self.ways(Door::StartTls).certificate);
                    stream = stream.upgrade(config, self.imap.limits.authentication).await?;
                    self.certificates = stream.certificates();
                    session.tls_started(stream.offer(self.ways(Door::StartTls)));
                }
                Output::Compress => {
                    stream.write(&std::mem::take(&mut unsent), limit).await?;
                    if let Some(place) = self.compressing.take() {
                        stream.compress(place);
                    }
                }
                Output::Close => {
                    stream.write(&unsent, limit).await?;
                    stream.close(limit).await;
                    return Err(End::Closed);
                }
            }
        }
        // The command is over, or waits for its client: what comes next is read when it is asked for.
        self.ahead = None;
        stream.write(&unsent, limit).await?;
        Ok((session, stream))
    }

    /// Messages that a command reads one after another are read and taken in at one go: until there is enough to send, or the session
    /// asks for something else. What a SORT or THREAD keeps is counted after each.
    async fn load_on(&mut self, mut session: Box<Session>, mut request: Request, mailbox: Arc<str>) -> Result<(Box<Session>, Vec<Output>), End> {
        let imap = Arc::clone(&self.imap);
        let (open, now) = (self.open.as_ref().map(|(folder, _)| *folder), imap.clock.now());
        if let (Request::Load { ahead, .. }, Some(folder)) = (&mut request, open)
            && !ahead.is_empty()
        {
            self.ahead = Ahead::begin(&imap.messages, folder, std::mem::take(ahead));
        }
        let (is_brief, ahead) = (octets(&request) > RUN_OCTETS, self.ahead.clone());
        let read = move || {
            let (mut outputs, mut gathered, mut loaded) = (Vec::new(), 0, 0);
            for read in 1.. {
                loaded += octets(&request);
                let started = std::time::Instant::now();
                let (answer, _) = answer(&imap.messages, &mailbox, open, ahead.as_deref(), request, now);
                imap.metrics.requests.observe(started.elapsed().as_secs_f64());
                let mut next = session.answer(answer);
                gathered += next.iter().map(|output| if let Output::Send(bytes) = output { bytes.len() } else { 0 }).sum::<usize>();
                let goes_on = read < RUN && gathered < GATHER && session.kept() == 0;
                // What it asks for stands last.
                match next.pop() {
                    Some(Output::Do(load @ (Request::Load { .. } | Request::Outlines { .. }))) if goes_on && !announces(&load) && loaded + octets(&load) <= RUN_OCTETS => request = load,
                    last => {
                        outputs.extend(next.into_iter().chain(last));
                        break;
                    }
                }
                outputs.extend(next);
            }
            (session, outputs)
        };
        let done = if is_brief { brief(read).await } else { momentary(read).await };
        // A panic there leaves no session to go on with.
        done.map_err(|error| {
            tracing::error!(%error, "an IMAP request was not finished");
            End::Closed
        })
    }

    /// Counts what a SORT or THREAD keeps; whether all of them together keep more than is allowed.
    fn is_too_much(&mut self, kept: usize) -> bool {
        self.recount(kept);
        kept > 0 && self.imap.arranging.load(Relaxed) > self.imap.limits.arrange_all
    }

    fn recount(&mut self, kept: usize) {
        self.imap.arranging.fetch_add(kept, Relaxed);
        self.imap.arranging.fetch_sub(self.counted, Relaxed);
        self.counted = kept;
    }

    async fn answer(&mut self, request: Request) -> Answer {
        let mailbox = match (request, &self.mailbox) {
            (Request::Login { user, password }, _) => return self.login(|imap| &imap.logins, move |accounts, visit| accounts.login(&user, &password, visit)).await,
            (Request::Sasl(question), _) => return self.sasl(question).await,
            // What was gathered has gone out before this is asked.
            (Request::Drain, _) => return Answer::Done,
            // Nothing is read for it.
            (Request::Close, Some(_)) => {
                self.open = None;
                return Answer::Done;
            }
            (Request::Compress, Some(_)) => return self.compress(),
            (Request::Unauthenticate, Some(_)) => return self.log_out(),
            (request, Some(mailbox)) => (request, Arc::clone(mailbox)),
            (_, None) => return Answer::Refused { code: RefusalCode::NoPermission, text: "Log in first".to_owned() },
        };
        let ((request, mailbox), imap) = (mailbox, Arc::clone(&self.imap));
        let (open, now) = (self.open.as_ref().map(|(folder, _)| *folder), imap.clock.now());
        let reads = matches!(
            request,
            Request::Open { .. } | Request::List | Request::Status { .. } | Request::Quota | Request::Metadata { .. } | Request::Time | Request::Vanished { .. } | Request::Find { .. } | Request::WatchAccount | Request::UnwatchAccount
        );
        let started = std::time::Instant::now();
        if let Some((answer, then)) = kept(&imap.messages, &mailbox, &request) {
            imap.metrics.requests.observe(started.elapsed().as_secs_f64());
            self.follow(then);
            return answer;
        }
        if let Request::Append { mailbox: folder, messages } = request {
            let answer = append(&imap.messages, mailbox, folder, messages, now).await;
            imap.metrics.requests.observe(started.elapsed().as_secs_f64());
            return answer;
        }
        let work = move || {
            let started = std::time::Instant::now();
            let done = answer(&imap.messages, &mailbox, open, None, request, now);
            imap.metrics.requests.observe(started.elapsed().as_secs_f64());
            done
        };
        let done = if reads { brief(work).await } else { changing(work).await };
        match done {
            Ok((answer, then)) => {
                self.follow(then);
                answer
            }
            Err(error) => {
                tracing::error!(%error, "an IMAP request was not finished");
                Answer::Refused { code: RefusalCode::ServerBug, text: "The request was not finished".to_owned() }
            }
        }
    }

    fn follow(&mut self, then: Then) {
        match then {
            Then::Stays => {}
            Then::Opened(folder, watch) => self.open = Some((folder, watch)),
            Then::Left => self.open = None,
            // One that listens already goes on: what it heard is not lost.
            Then::Watched(watch) => {
                self.account.get_or_insert_with(|| AccountEar::new(watch));
            }
            Then::Unwatched => self.account = None,
        }
    }

    fn compress(&mut self) -> Answer {
        match Arc::clone(&self.imap.compressed).try_acquire_owned() {
            Ok(place) => {
                self.compressing = Some(place);
                Answer::Done
            }
            Err(_) => Answer::Refused { code: RefusalCode::Limit, text: "Too many connections are compressed at this moment; go on without".to_owned() },
        }
    }

    fn log_out(&mut self) -> Answer {
        if !self.place.logged_out() {
            return Answer::Refused { code: RefusalCode::Limit, text: "Too many connections wait for a login; connect again".to_owned() };
        }
        (self.mailbox, self.open, self.account, self.login, self.begun) = (None, None, None, None, Instant::now());
        Answer::Done
    }

    fn ways(&self, door: Door) -> Ways {
        let ways = self.imap.limits.ways;
        if door == Door::Tls { ways.tls } else { ways.starttls }
    }

    async fn sasl(&mut self, question: Question) -> Answer {
        match question {
            Question::Salt { user } => {
                let accounts = Arc::clone(&self.imap.accounts);
                let salted = tokio::task::spawn_blocking(move || accounts.salt(&user)).await.unwrap_or(Err(LoginRefusal::Unavailable));
                salted.map_or_else(refused, Answer::Salted)
            }
            Question::Proof(proof) => self.login(|imap| &imap.logins, move |accounts, visit| accounts.prove(&proof, visit)).await,
            Question::Certificate { user } => {
                let certificates = self.certificates.clone();
                self.login(|imap| &imap.certificates, move |accounts, visit| accounts.certificate(&certificates, user.as_deref(), visit)).await
            }
            Question::Token(bearer) => match self.login(|_| &TOKENS, move |accounts, visit| accounts.token(&bearer, visit)).await {
                Answer::Refused { code: RefusalCode::AuthenticationFailed, .. } => Answer::NoToken(self.imap.accounts.token_refused()),
                answer => answer,
            },
        }
    }

    async fn login(&mut self, turns: fn(&Imap) -> &Semaphore, check: impl FnOnce(&dyn Accounts, Visit) -> Result<Entered, LoginRefusal> + Send + 'static) -> Answer {
        let imap = Arc::clone(&self.imap);
        let ended = imap.accounts.ended();
        let checked = match turns(&imap).acquire().await {
            Ok(_turn) => {
                let (accounts, peer) = (Arc::clone(&imap.accounts), self.place.address());
                let visit = Visit { scope: Scope::Imap, peer };
                tokio::task::spawn_blocking(move || check(&*accounts, visit)).await.unwrap_or(Err(LoginRefusal::Unavailable))
            }
            Err(_) => Err(LoginRefusal::Unavailable),
        };
        imap.metrics.login(checked.as_ref().map(|_| ()).map_err(|refusal| *refusal));
        let refusal = match checked {
            Ok(entered) => {
                let (mailbox, signature) = (entered.login.number.to_string(), entered.signature);
                let off = imap.limits.switches.mailboxes.get(&mailbox).copied().unwrap_or_default();
                (self.mailbox, self.login) = (Some(mailbox.into()), Some(Standing::new(entered, ended)));
                self.place.logged_in();
                return signature.map_or(Answer::LoggedIn { off }, |signature| Answer::Proved { off, signature });
            }
            Err(refusal) => refusal,
        };
        // Nobody tries passwords quickly.
        tokio::select! {
            () = sleep(imap.limits.refusal) => {}
            () = self.shutdown.wait() => {}
        }
        refused(refusal)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.recount(0);
        self.imap.metrics.connections.add(-1);
    }
}

fn refused(refusal: LoginRefusal) -> Answer {
    let (code, text) = match refusal {
        LoginRefusal::Denied => (RefusalCode::AuthenticationFailed, "The name or the password is wrong"),
        LoginRefusal::Later => (RefusalCode::Limit, "Too many attempts; try again later"),
        LoginRefusal::Unavailable => (RefusalCode::Unavailable, "Logins are not possible now; try again later"),
    };
    Answer::Refused { code, text: text.to_owned() }
}

/// For ever when no folder is open.
async fn next_change(open: &mut Option<(Folder, Watch)>) -> Option<Arc<[Change]>> {
    match open {
        Some((_, watch)) => watch.next().await,
        None => std::future::pending().await,
    }
}

/// For ever when nobody asked for them.
async fn account_changes(account: &Option<AccountEar>) -> AccountChanges {
    match account {
        Some(account) => account.next().await,
        None => std::future::pending().await,
    }
}

/// For ever while the login stands, or there is none.
async fn login_over(login: &mut Option<Standing>) {
    match login {
        Some(standing) => standing.over().await,
        None => std::future::pending().await,
    }
}

/// The session takes an answer. What takes long to read, a large message or a search of a large folder, is read where it keeps nobody
/// else from being served.
async fn take_in(mut session: Box<Session>, answer: Answer) -> Result<(Box<Session>, Vec<Output>), End> {
    let large = match &answer {
        Answer::Bytes(bytes) => bytes.len() > LARGE_MESSAGE,
        Answer::Opened { messages, .. } => messages.len() > MANY_FOUND && session.resyncs(),
        Answer::Found { known, .. } => known.len() > MANY_FOUND,
        // Patterns against names.
        Answer::Mailboxes(names) => names.len() > 100,
        Answer::Done => session.is_to_arrange(),
        _ => false,
    };
    let read = move || {
        let outputs = session.answer(answer);
        (session, outputs)
    };
    // A panic there leaves no session to go on with.
    if large { tokio::task::spawn_blocking(read).await.map_err(|_| End::Closed) } else { Ok(read()) }
}

fn announces(request: &Request) -> bool {
    matches!(request, Request::Load { ahead, .. } if !ahead.is_empty())
}

/// Octets that are read for it.
fn octets(request: &Request) -> u64 {
    match request {
        Request::Load { size, .. } => *size,
        // A block of outlines is read whole, whatever is asked of it.
        _ => RUN_OCTETS + 1,
    }
}

fn said_bye(session: &mut Session, text: &str) -> Vec<Output> {
    session.bye(text);
    session.take_output()
}

fn resize(buffer: &mut Vec<u8>, count: usize, most: usize) {
    if count == buffer.len() && count < most {
        buffer.resize(most.min(count * 4), 0);
    } else if buffer.len() > SMALL_READ && count <= SMALL_READ {
        *buffer = vec![0; SMALL_READ];
    }
}
