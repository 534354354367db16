//! What a month takes of the store.

use std::sync::Arc;

use mailgw::record::message::Message;

use super::city::{City, Watched};
use super::month::month;
use super::{all, forget_months, pushed, whole};

/// A message is mostly what all of its template have in common, its certificates with it: that stands in the store once.
#[test]
fn a_body_holds_little_but_what_is_its_own() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    for (dictionaries, (kind, good)) in (1..).zip([("pension", 3), ("housing-fund", 6)]) {
        for batch in ["first", "second"] {
            forget_months(&city);
            let month = month(&city, kind, &format!("{kind}-{batch}"), good);
            let report = pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month).unwrap();
            whole(&city, &gateway, &month, &report, batch);
        }
        assert_eq!(all(&*city.store, "dictionary").len(), dictionaries, "one for each kind, whatever is pushed");
    }
    let messages = all(&*city.store, "message");
    let octets: u64 = messages.iter().map(|(_, message)| u64::from(Message::decode(message).unwrap().0.size)).sum();
    let bodies = all(&*city.store, "body");
    let stored: u64 = bodies.iter().map(|(_, body)| body.len() as u64).sum();
    println!("{} octets of a message are {} of its body", octets / messages.len() as u64, stored / bodies.len() as u64);
    assert_eq!(messages.len(), bodies.len());
    assert!(stored * 12 < octets, "{octets} octets of {} messages are {stored} in the store", messages.len());
}
