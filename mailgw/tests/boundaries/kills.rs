//! A large job that is cut fifty times: uploads that break, gateway and sealer that end at any write, once with the write lost
//! and once with it done but unheard of. Nobody repairs anything; each person has each statement once, and the report is right.

use std::io::{Cursor, Error, ErrorKind, Read};

use mailgw::flow::push::job::{self, JobError, Jobs, Opening, Turn};
use mailgw::record::job::Format;

use super::*;

const CUTS: u32 = 50;

/// The same run for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A connection that breaks after so many octets.
struct Breaks<'a>(Cursor<&'a [u8]>, u64);

impl Read for Breaks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.0.position() >= self.1 {
            return Err(Error::new(ErrorKind::ConnectionReset, "cut"));
        }
        let room = usize::try_from(self.1 - self.0.position()).unwrap().min(buffer.len());
        self.0.read(&mut buffer[..room])
    }
}

/// `SUIYIN_KILLS` pushes a hundred thousand rows.
fn rows() -> u64 {
    if std::env::var_os("SUIYIN_KILLS").is_some() { 100_000 } else { 5_000 }
}

#[test]
fn a_large_job_that_is_cut_fifty_times_delivers_each_statement_once() {
    let city = City::found();
    let month = month(&city, "housing-fund", "cut", rows());
    let at = (month.bureau, month.batch.as_str());
    let bytes = std::fs::read(&month.order.rows).unwrap();
    let (mut dice, mut cuts) = (Dice(20_261_101), 0);
    let opening = || Opening { manifest: month.order.manifest.clone(), signature: month.order.signature.clone(), format: Format::Csv };

    // The client: its connection breaks, or the gateway ends at a write; it opens the job again and goes on from the byte it is shown.
    let done = loop {
        let gateway = city.gateway(Arc::clone(&city.store));
        let shown = job::open(&gateway, &city.lists, &Jobs::default(), at, opening()).unwrap();
        let rest = &bytes[usize::try_from(shown.bytes).unwrap()..];
        if cuts >= CUTS / 5 {
            break job::append(&gateway, &Jobs::default(), at, shown.bytes, Cursor::new(rest)).unwrap();
        }
        cuts += 1;
        if dice.below(2) == 0 {
            let broken = Breaks(Cursor::new(rest), dice.below(bytes.len() as u64 / 12) + 1);
            assert!(matches!(job::append(&gateway, &Jobs::default(), at, shown.bytes, broken), Err(JobError::Broken { .. })));
        } else {
            let fault = FAULTS[usize::try_from(dice.below(2)).unwrap()];
            let gateway = city.gateway(faulty(&city.store, Some((0, fault))) as Arc<dyn Store>);
            let few = Cursor::new(&rest[..usize::try_from(dice.below(200_000)).unwrap().clamp(1, rest.len())]);
            assert!(job::append(&gateway, &Jobs::default(), at, shown.bytes, few).is_err());
        }
    };
    assert_eq!(done.bytes, bytes.len() as u64);
    let gateway = city.gateway(Arc::clone(&city.store));
    job::act(&gateway, &Jobs::default(), at, job::Act::Close).unwrap();

    // The gateway and the sealer: each run ends at a write of one of them, mostly early, so that the cuts are spread over the job.
    let mut last = 0;
    while cuts < CUTS {
        let fault = FAULTS[usize::try_from(dice.below(2)).unwrap()];
        let place = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2][usize::try_from(dice.below(12)).unwrap()];
        let in_sealer = dice.below(3) == 0;
        let (store, sealing) = (faulty(&city.store, (!in_sealer).then_some((place, fault))), faulty(&city.sealing, in_sealer.then_some((place, fault))));
        let gateway = city.gateway(Arc::clone(&store) as Arc<dyn Store>);
        let sealer = Watched::new(&city, Arc::clone(&sealing) as Arc<dyn Store>, None);
        let turn = job::run(&gateway, &sealer, &city.lists, &Jobs::default(), at, &|| true);
        cuts += 1;
        let gateway = city.gateway(Arc::clone(&city.store));
        let shown = Jobs::default().watch(&gateway, at.0, at.1).unwrap().borrow().clone();
        assert_eq!(shown.counts.all() + shown.waiting, shown.rows, "cut {cuts}: the report does not add up");
        assert!(shown.counts.all() >= last, "cut {cuts}: what was told is not so any more");
        last = shown.counts.all();
        match turn {
            Ok(Turn::Done) if shown.state == "ended" => break,
            Ok(Turn::Later(_)) | Err(_) => {}
            other => panic!("cut {cuts}: {other:?}"),
        }
    }
    assert!(cuts >= CUTS / 2, "the job ended after {cuts} cuts: cut earlier");
    let (gateway, sealer) = (city.gateway(Arc::clone(&city.store)), Watched::new(&city, Arc::clone(&city.sealing), None));
    assert_eq!(job::run(&gateway, &sealer, &city.lists, &Jobs::default(), at, &|| true).unwrap(), Turn::Done);
    let report = pushed(&city, &gateway, &sealer, &month).unwrap();
    whole(&city, &gateway, &month, &report, "after all cuts");
    assert!(all(&*city.store, "push piece").is_empty(), "rows that name persons are left");
}
