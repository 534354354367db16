//! What a message draws of the months before is what this gateway had delivered when its push began: a pause changes nothing of it.

use super::month::order;
use super::*;

const OPEN: u64 = 16_349_296;
const PAID: u64 = 380_270;

/// A month of the three people's accounts, `after` whole months since one that closed with 163492.96.
fn fund(city: &City, batch: &str, period: &str, after: u64) -> mailgw::flow::push::Order {
    let yuan = |fen: u64| format!("{}.{:02}", fen / 100, fen % 100);
    let source = month(city, "housing-fund", "source", 3);
    let text = std::fs::read_to_string(&source.order.rows).unwrap();
    let mut lines = text.lines();
    let mut out = lines.next().unwrap().to_owned();
    let open = OPEN + after * PAID;
    for line in lines.take(3) {
        let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        fields[0] = fields[0].replace("source", batch);
        (fields[1], fields[26]) = (period.into(), period.into());
        (fields[15], fields[23], fields[25]) = (yuan(open), yuan(open + PAID), yuan(open + PAID - 7_984_513));
        out = format!("{out}\r\n{}", fields.join(","));
    }
    let made = order(city, FUND, "housing-fund", batch, &out, 3, [3 * (open + PAID), 3 * PAID], None);
    let manifest = made.manifest.replace("\"202610\"", &format!("\"{period}\""));
    mailgw::flow::push::Order { signature: city.sign(&manifest), manifest, ..made }
}

fn texts(city: &City, gateway: &Gateway) -> Vec<String> {
    let found = delivered(city, gateway);
    let mut texts = Vec::new();
    for read in found.values().flatten() {
        let view = gateway.messages.view(&read.mailbox, "INBOX").unwrap();
        for message in view.messages {
            let bytes = gateway.messages.load(&view.folder, message.uid).unwrap();
            let parsed = mail_parser::MessageParser::default().parse(&bytes).unwrap();
            texts.push(parsed.body_text(0).unwrap().into_owned());
        }
    }
    texts
}

#[test]
fn a_push_that_goes_on_after_another_month_came_draws_what_it_had_drawn() {
    let city = City::found();
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let october = fund(&city, "october", "202610", 1);
    // Sealed, and cut off before it is delivered: begun, a block of body ids, the rows.
    let cut = city.gateway(faulty(&city.store, Some((2, Fault::Lost))));
    assert!(push(&cut, &sealer, &city.lists, &october, &mut |_| true).is_err());
    city.clock.set(NOW + time::Duration::MINUTE);
    let gateway = city.gateway(Arc::clone(&city.store));
    assert_eq!(push(&gateway, &sealer, &city.lists, &fund(&city, "september", "202609", 0), &mut |_| true).unwrap().counts.delivered, 3);
    let report = push(&gateway, &sealer, &city.lists, &october, &mut |_| true).unwrap();
    assert_eq!(report.counts, Counts { delivered: 3, duplicate: 0, quarantined: 0, undeliverable: 0 }, "{:?}", report.not_delivered);
    assert!(texts(&city, &gateway).iter().all(|text| !text.contains("近十二个月余额")));
    // What begins now draws both.
    city.clock.set(NOW + time::Duration::MINUTE * 2);
    assert_eq!(push(&gateway, &sealer, &city.lists, &fund(&city, "november", "202611", 2), &mut |_| true).unwrap().counts.delivered, 3);
    let drawn = "2026年9月: 167,295.66 元\n2026年10月: 171,098.36 元\n2026年11月: 174,901.06 元\n";
    assert_eq!(texts(&city, &gateway).iter().filter(|text| text.replace("\r\n", "\n").contains(drawn)).count(), 9, "three messages of each of three people");
}

#[test]
fn a_month_is_pushed_from_its_first_day_on_in_the_time_of_the_city() {
    let city = City::found();
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let gateway = city.gateway(Arc::clone(&city.store));
    let december = fund(&city, "december", "202612", 0);
    let length = city.store.stream_length(STREAM).unwrap();
    for until in [NOW, time::macros::datetime!(2026-11-30 15:59:59 UTC)] {
        city.clock.set(until);
        let refused = push(&gateway, &sealer, &city.lists, &december, &mut |_| true);
        assert!(matches!(refused, Err(PushError::FutureMonth { period }) if period.to_string() == "202612"), "{until}");
    }
    assert_eq!(city.store.stream_length(STREAM).unwrap(), length);
    city.clock.set(time::macros::datetime!(2026-11-30 16:00 UTC));
    assert_eq!(push(&gateway, &sealer, &city.lists, &december, &mut |_| true).unwrap().counts.delivered, 3);
}
