//! Work that gives way to all other: it is done in what time the others leave, and goes on a little however busy they are.

use std::io;
use std::thread;

use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Beside one thread that is always busy it gets a tenth of a processor.
const NICER: i32 = 10;

/// Does `work`, which may block, on a thread of its own that gives way. Ends when it ends, also where that is a panic. Errors when no
/// thread can be had.
pub async fn aside(name: &str, work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let (handle, (ends, ended)) = (Handle::current(), oneshot::channel::<()>());
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _ends = ends;
        give_way();
        handle.block_on(work);
    })?;
    // Dropped unsent, however it ends.
    let _ = ended.await;
    Ok(())
}

/// This thread alone: to Linux each has a niceness of its own. Where it is not allowed, the work is done all the same.
fn give_way() {
    let set = getpriority_process(None).and_then(|nice| setpriority_process(None, nice.saturating_add(NICER)));
    if let Err(error) = set {
        tracing::debug!(%error, "background work does not give way");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn it_alone_gives_way_and_its_end_is_heard() {
        let (says, said) = oneshot::channel();
        let before = getpriority_process(None).unwrap();
        aside("nicer", async move { says.send(getpriority_process(None).unwrap()).unwrap() }).await.unwrap();
        assert_eq!(said.await.unwrap(), (before + NICER).min(19));
        assert_eq!(getpriority_process(None).unwrap(), before);
        aside("falls", async { panic!("as it may") }).await.unwrap();
    }
}
