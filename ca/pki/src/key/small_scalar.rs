//! Private keys that anybody finds by counting: k and n − k for k up to 4,096, which share the x coordinate of k·G.
// spec: zlint e_ecdsa_small_private_key; FIPS 186-5 A.2 (the scalar is drawn from the whole range)

use std::sync::OnceLock;

use p256::elliptic_curve::group::Curve;
use p256::elliptic_curve::point::AffineCoordinates;

/// Worked out once in a process, at the first key of the curve: more would be felt.
const LARGEST: usize = 1 << 12;
/// Points made before they are brought to coordinates, which is dear one at a time.
const BATCH: usize = 1 << 10;

/// The first eight octets of each x, in order. A good key shares them with a chance of one in 2^52, and is then refused
/// as a small one: another is made in a moment.
type Table = Vec<u64>;

pub fn p256(point: &[u8]) -> bool {
    static TABLE: OnceLock<Table> = OnceLock::new();
    holds(TABLE.get_or_init(table::<p256::ProjectivePoint>), point)
}

pub fn p384(point: &[u8]) -> bool {
    static TABLE: OnceLock<Table> = OnceLock::new();
    holds(TABLE.get_or_init(table::<p384::ProjectivePoint>), point)
}

fn holds(table: &Table, point: &[u8]) -> bool {
    point.get(1..9).and_then(first).is_some_and(|x| table.binary_search(&x).is_ok())
}

fn first(x: &[u8]) -> Option<u64> {
    x.first_chunk().map(|octets| u64::from_be_bytes(*octets))
}

/// The x of every k·G.
fn table<P: Curve<Affine: AffineCoordinates>>() -> Table {
    let mut table = Vec::with_capacity(LARGEST);
    let (generator, mut next) = (P::generator().to_affine(), P::generator());
    while table.len() < LARGEST {
        let mut points = Vec::with_capacity(BATCH);
        while points.len() < BATCH {
            points.push(next);
            next += &generator;
        }
        let mut affine = vec![generator; BATCH];
        P::batch_normalize(&points, &mut affine);
        table.extend(affine.iter().filter_map(|point| first(point.x().as_ref())));
    }
    table.sort_unstable();
    table
}
