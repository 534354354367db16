//! Debian's Postfix and Dovecot, each in a directory of its own on ports of the loopback. Neither is made slower than it need be: what
//! only hinders a crowd of clients from one address is off, Dovecot's logins are in its high-performance mode with its cache of
//! logins, Postfix writes no log. Both are as durable as we are: Postfix as it comes, Dovecot with `mail_fsync = always`.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use certs_test::office::{Account, DOMAIN};
use certs_test::programs::{free_port, run};

const POSTFIX: &str = "/usr/lib/postfix/sbin/master";
const DOVECOT: &str = "/usr/sbin/dovecot";
/// Whose mail it is: Debian's user `mail`.
const OWNER: &str = "mail";

/// What is missing, if anything is.
pub fn missing() -> Option<&'static str> {
    [(POSTFIX, "postfix"), (DOVECOT, "dovecot-imapd"), ("/usr/lib/dovecot/lmtp", "dovecot-lmtpd")].into_iter().find(|(path, _)| !Path::new(path).exists()).map(|(_, package)| package)
}

/// A server that ends with its own bench.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, log: &Path, port: u16) -> Self {
        let said = fs::File::create(log.with_extension("said")).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if child.try_wait().unwrap().is_some() || Instant::now() > until {
                let _ = child.kill();
                panic!("{:?} does not serve: {} {}", command, fs::read_to_string(log.with_extension("said")).unwrap_or_default(), fs::read_to_string(log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // In order, so that the master takes its children with it.
        run("kill", &["-TERM", &self.0.id().to_string()], Path::new("/"));
        let _ = self.0.wait();
    }
}

fn directory(path: PathBuf, owner: Option<&str>) -> PathBuf {
    fs::create_dir_all(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    if let Some(owner) = owner {
        run("chown", &[&format!("{owner}:{owner}"), &path.to_string_lossy()], Path::new("/")).ok();
    }
    path
}

pub struct Postfix {
    pub smtp: u16,
    home: PathBuf,
    running: Running,
}

impl Postfix {
    /// Takes mail for the accounts and delivers it to a virtual mailbox (Maildir) of each.
    pub fn start(home: &Path, accounts: &[Account]) -> Self {
        let home = directory(home.to_owned(), None);
        let (smtp, shown) = (free_port(), home.display());
        directory(home.join("spool"), None);
        directory(home.join("data"), Some("postfix"));
        directory(home.join("mail"), Some(OWNER));
        let mailboxes: String = accounts.iter().map(|account| format!("{} {}/\n", account.address, local(account))).collect();
        fs::write(home.join("mailboxes"), mailboxes).unwrap();
        let id = run("id", &["-u", OWNER], &home).ok();
        let id = id.trim();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {shown}/spool\ndata_directory = {shown}/data\nmail_owner = postfix\nsetgid_group = postdrop\n\
             daemon_directory = /usr/lib/postfix/sbin\ncommand_directory = /usr/sbin\nmeta_directory = /etc/postfix\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
             myhostname = mx.neighbour.example\nmydestination =\nmynetworks = 127.0.0.0/8\nalias_maps =\nalias_database =\nlocal_recipient_maps =\nbiff = no\n\
             smtpd_peername_lookup = no\nsmtpd_client_connection_count_limit = 0\nin_flow_delay = 0s\nsmtp_dns_support_level = disabled\n\
             virtual_mailbox_domains = {DOMAIN}\nvirtual_mailbox_base = {shown}/mail\nvirtual_mailbox_maps = texthash:{shown}/mailboxes\n\
             virtual_minimum_uid = 1\nvirtual_uid_maps = static:{id}\nvirtual_gid_maps = static:{id}\n"
        );
        fs::write(home.join("main.cf"), main).unwrap();
        let master = format!(
            "127.0.0.1:{smtp} inet n - n - - smtpd\npickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\n\
             bounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nverify unix - - n - 1 verify\nflush unix n - n 1000? 0 flush\nproxymap unix - - n - - proxymap\n\
             proxywrite unix - - n - 1 proxymap\nerror unix - - n - - error\nretry unix - - n - - error\ndiscard unix - - n - - discard\nvirtual unix - n n - - virtual\nanvil unix - - n - 1 anvil\n"
        );
        fs::write(home.join("master.cf"), master).unwrap();
        let configuration = home.to_string_lossy().into_owned();
        // Makes the queue's directories.
        let checked = run("postfix", &["-c", &configuration, "check"], &home);
        assert_eq!(checked.code, 0, "{checked:?}");
        let mut command = Command::new(POSTFIX);
        command.args(["-c", &configuration, "-s"]).env("MAIL_CONFIG", &configuration);
        let running = Running::start(&mut command, &home.join("log"), smtp);
        Self { smtp, home, running }
    }

    pub fn id(&self) -> u32 {
        self.running.0.id()
    }

    /// Until all that was taken is delivered.
    pub fn wait_delivered(&self) {
        let waiting = || ["incoming", "active", "deferred"].iter().map(|queue| files(&self.home.join("spool").join(queue))).sum::<usize>();
        while waiting() > 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn files(path: &Path) -> usize {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| if entry.file_type().is_ok_and(|kind| kind.is_dir()) { files(&entry.path()) } else { 1 }).sum()
}

pub struct Dovecot {
    pub imaps: u16,
    pub lmtp: u16,
    home: PathBuf,
    running: Running,
}

impl Dovecot {
    /// `certificate` and `key` are files in PEM. Mailboxes are Maildirs.
    pub fn start(home: &Path, accounts: &[Account], certificate: &str, key: &str) -> Self {
        let home = directory(home.to_owned(), None);
        let (imaps, lmtp, shown) = (free_port(), free_port(), home.display());
        directory(home.join("home"), Some(OWNER));
        let users: String = accounts.iter().map(|account| format!("{}:{{PLAIN}}{}\n", account.address, account.password)).collect();
        fs::write(home.join("users"), users).unwrap();
        let configuration = format!(
            "base_dir = {shown}/run\nstate_dir = {shown}/state\nlog_path = {shown}/log\nprotocols = imap lmtp\nlisten = 127.0.0.1\n\
             ssl = required\nssl_cert = <{certificate}\nssl_key = <{key}\nauth_mechanisms = plain\nauth_cache_size = 64 M\nauth_cache_ttl = 1 hour\n\
             mail_location = maildir:~/Maildir\nmail_fsync = always\nmail_max_userip_connections = 0\nfirst_valid_uid = 1\ndefault_vsz_limit = 0\n\
             passdb {{\n driver = passwd-file\n args = {shown}/users\n}}\nuserdb {{\n driver = static\n args = uid={OWNER} gid={OWNER} home={shown}/home/%n allow_all_users=yes\n}}\n\
             service imap-login {{\n service_count = 0\n process_min_avail = 2\n client_limit = 10000\n inet_listener imap {{\n  port = 0\n }}\n inet_listener imaps {{\n  port = {imaps}\n  ssl = yes\n }}\n}}\n\
             service imap {{\n process_limit = 10000\n}}\nservice lmtp {{\n inet_listener lmtp {{\n  port = {lmtp}\n }}\n}}\n\
             service anvil {{\n client_limit = 30000\n}}\nservice auth {{\n client_limit = 30000\n}}\nservice stats {{\n client_limit = 30000\n}}\n"
        );
        fs::write(home.join("dovecot.conf"), configuration).unwrap();
        let mut command = Command::new(DOVECOT);
        command.args(["-F", "-c", &home.join("dovecot.conf").to_string_lossy()]);
        let running = Running::start(&mut command, &home.join("log"), imaps);
        Self { imaps, lmtp, home, running }
    }

    pub fn id(&self) -> u32 {
        self.running.0.id()
    }

    /// As a mailbox that nobody has listed yet: what Dovecot keeps of envelopes and structures goes.
    pub fn forget_listing(&self, account: &Account) {
        let cache = self.home.join("home").join(local(account)).join("Maildir/dovecot.index.cache");
        let _ = fs::remove_file(cache);
    }
}

fn local(account: &Account) -> &str {
    account.address.split('@').next().unwrap_or_default()
}
