//! The doors that whoever holds a key comes through: what strangers do costs themselves, and closes nothing.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};

use ca::http::gate::{Counts, Gate, OpenGate, Proved, Stopped, Unproved};
use policies::authority::Hourly;
use runtime::clock::{Clock, FakeClock};
use runtime::exit::{Exit, Problem};
use time::macros::datetime;

/// Whose key, and what was said with it.
struct Key(u8, u32);

/// Something new each time.
fn says(holder: u8) -> Key {
    static SAID: AtomicU32 = AtomicU32::new(1_000);
    Key(holder, SAID.fetch_add(1, SeqCst))
}

impl Proved for Key {
    fn holder(&self) -> Vec<u8> {
        vec![self.0]
    }

    fn said(&self) -> Vec<u8> {
        self.1.to_be_bytes().to_vec()
    }
}

fn from(network: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(network.into()), 1)
}

fn gate(door: Hourly, unproved: Hourly) -> Gate {
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::new(datetime!(2026-11-29 00:00 UTC)));
    Gate::new(door, &Unproved::new(unproved, &clock), &clock)
}

fn refused() -> Result<Key, Problem> {
    Err(Problem::new(Exit::Refused, "signature", "it is nobody's", "sign it"))
}

#[tokio::test]
async fn strangers_from_everywhere_leave_the_door_open_to_holders() {
    let gate = gate(Hourly { per_address: 2, all: 6 }, Hourly { per_address: 2, all: 10 });
    for network in 0..500 {
        gate.take(from(network)).unwrap();
        assert!(matches!(gate.proved(from(network), refused).await, Err(Stopped::Problem(problem)) if problem.code == "signature"));
    }
    // Their failures are all spent by now, and that is nobody else's matter.
    for holder in 0..3 {
        for _ in 0..2 {
            gate.proved(from(9_000), move || Ok(says(holder))).await.map(drop).unwrap();
        }
        // However many networks one holder comes from.
        assert!(matches!(gate.proved(from(9_000 + u32::from(holder)), move || Ok(says(holder))).await.map(drop), Err(Stopped::Wait(_))));
    }
    assert!(matches!(gate.proved(from(9_001), || Ok(says(9))).await.map(drop), Err(Stopped::Wait(_))), "all holders together");
}

/// Something said with a key of whose making nobody knows.
struct Made(Counts);

impl Proved for Made {
    fn holder(&self) -> Vec<u8> {
        says(0).said()
    }

    fn said(&self) -> Vec<u8> {
        says(0).said()
    }

    fn counts(&self) -> Counts {
        self.0
    }
}

#[tokio::test]
async fn keys_that_anybody_makes_spend_nothing_of_holders() {
    let gate = gate(Hourly { per_address: 2, all: 6 }, Hourly { per_address: 3, all: 1_000 }).and_strangers(Hourly { per_address: 1, all: 4 });
    let made = async |network: u32, counts: Counts| gate.proved(from(network), move || Ok(Made(counts))).await.map(drop);
    // A stranger has one, all together four, and one more who sent nothing yet.
    for network in 0..4 {
        made(network, Counts::AsStrangers).await.unwrap();
        assert!(matches!(made(network, Counts::AsStrangers).await, Err(Stopped::Wait(_))));
    }
    made(5, Counts::AsStrangers).await.unwrap();
    assert!(matches!(made(6, Counts::AsStrangers).await, Err(Stopped::Wait(_))));
    // What leaves nothing behind is heard, and yet it costs arithmetic: whoever says it again and again waits.
    for network in 10..40 {
        for _ in 0..3 {
            made(network, Counts::NoMore).await.unwrap();
        }
        assert!(matches!(made(network, Counts::NoMore).await, Err(Stopped::Wait(_))));
    }
    for holder in 0..3 {
        for _ in 0..2 {
            gate.proved(from(9_000), move || Ok(says(holder))).await.map(drop).unwrap();
        }
    }
}

#[tokio::test]
async fn strangers_fill_no_disk_in_a_day() {
    let clock = Arc::new(FakeClock::new(datetime!(2026-11-29 00:00 UTC)));
    let held: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let wide = Hourly { per_address: 1_000, all: 100_000 };
    let gate = Gate::new(wide, &Unproved::new(wide, &held), &held).and_strangers(Hourly { per_address: 2, all: 10 });
    let mut taken = 0;
    // Every hour from many networks, each new.
    for hour in 0..24 {
        for network in 0..40 {
            taken += u32::from(gate.proved(from(hour * 1_000 + network), || Ok(Made(Counts::AsStrangers))).await.is_ok());
        }
        clock.advance(time::Duration::hours(1));
    }
    // Four hours' worth at once, and what a day's leak gives back.
    assert!((40..=80).contains(&taken), "{taken}");
}

#[test]
fn few_who_send_much_leave_room_for_who_sent_nothing() {
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::new(datetime!(2026-11-29 00:00 UTC)));
    let hourly = Hourly { per_address: 4, all: 16 };
    let (orders, timestamps) = (OpenGate::new(hourly, &clock), OpenGate::new(hourly, &clock));
    for network in 0..4 {
        (0..4).for_each(|_| orders.take(from(network)).unwrap());
        assert!(orders.take(from(network)).is_err());
    }
    // All is spent. Whoever sent nothing is heard once, and so many of them.
    for network in 10..14 {
        orders.take(from(network)).unwrap();
        assert!(orders.take(from(network)).is_err());
    }
    assert!(orders.take(from(14)).is_err() && orders.take(from(0)).is_err());
    // Another door has a budget of its own.
    timestamps.take(from(0)).unwrap();
}

#[tokio::test]
async fn what_was_said_before_spends_nothing_however_often_others_send_it_again() {
    let gate = gate(Hourly { per_address: 3, all: 6 }, Hourly { per_address: 2, all: 10 });
    let sent = async |network: u32, holder: u8, said: u32| gate.proved(from(network), move || Ok(Key(holder, said))).await.map(drop);
    sent(1, 1, 1).await.unwrap();
    for network in 0..500 {
        sent(network, 1, 1).await.unwrap();
    }
    sent(1, 1, 2).await.unwrap();
    sent(1, 1, 3).await.unwrap();
    // What was not taken is not remembered as said; what was taken is answered again even now.
    for _ in 0..2 {
        assert!(matches!(sent(1, 1, 4).await, Err(Stopped::Wait(_))));
    }
    sent(1, 1, 3).await.unwrap();
    // The same words of another key are others, and all together count what was new alone: three more.
    for said in 1..4 {
        sent(2, 2, said).await.unwrap();
    }
    assert!(matches!(sent(3, 3, 1).await, Err(Stopped::Wait(_))));
}

#[tokio::test]
async fn who_failed_too_often_waits_and_a_fault_of_ours_is_no_failure() {
    let gate = gate(Hourly { per_address: 100, all: 100 }, Hourly { per_address: 2, all: 10 });
    let broken = || Err::<Key, _>(Problem::new(Exit::Unavailable, "store", "the disk is full", "make room"));
    for _ in 0..5 {
        assert!(matches!(gate.proved(from(1), broken).await, Err(Stopped::Problem(_))));
    }
    for _ in 0..2 {
        assert!(matches!(gate.proved(from(1), refused).await, Err(Stopped::Problem(_))));
    }
    assert!(matches!(gate.proved(from(1), || Ok(says(1))).await.map(drop), Err(Stopped::Wait(seconds)) if seconds > 0));
    gate.proved(from(2), || Ok(says(1))).await.map(drop).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn once_strangers_failed_too_often_one_proof_is_looked_at_at_a_time() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let gate = gate(Hourly { per_address: 100, all: 1_000 }, Hourly { per_address: 1, all: 3 });
    for network in 0..3 {
        assert!(gate.proved(from(network), refused).await.is_err());
    }
    let slow = || {
        MOST.fetch_max(NOW.fetch_add(1, SeqCst) + 1, SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(2));
        NOW.fetch_sub(1, SeqCst);
        Ok(says(1))
    };
    let asking: Vec<_> = (0..16).map(|network| { let gate = gate.clone(); tokio::spawn(async move { gate.proved(from(100 + network), slow).await.map(drop) }) }).collect();
    for one in asking {
        one.await.unwrap().unwrap();
    }
    assert_eq!(MOST.load(SeqCst), 1);
}
