//! A receipt as the enterprise proves it: canonical, of this very filing and signature, sealed with the certificate it names.
//! What the seal itself is worth is `verify`'s answer.

use pki::cades::{Assessment, Signature};

use crate::desk::record::receipt::ReceiptNumber;
use crate::desk::{sha256_hex, sm3_hex};
use crate::document::{Filing, Value};
use crate::logged::{LogNames, Named};

/// Leaves that tell of a receipt's seal, with its number in clear and by its name.
const SEALED: [u8; 2] = [3, 121];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    #[error("it is no receipt in canonical JSON; ask the desk for it again")]
    Form,
    #[error("its `{0}` is not that of this filing; keep both and ask the bureau")]
    Other(&'static str),
    #[error("it was not sealed with the certificate that it names; keep it and ask the bureau")]
    Seal,
    #[error("the log tells of another receipt at its place or under its number; keep receipt and log and ask the bureau")]
    Log,
}

impl ReceiptError {
    pub fn chinese(&self) -> (String, &'static str) {
        match self {
            Self::Form => ("不是规范 JSON 的回执".into(), "请向受理系统重新索取"),
            Self::Other(member) => (format!("回执的 {member} 与该申报不一致"), "请保留两者并向受理单位查询"),
            Self::Seal => ("回执所盖的章不是其所载的证书".into(), "请保留回执并向受理单位查询"),
            Self::Log => ("日志在该位置或该编号下所记的不是这份回执".into(), "请保留回执与日志并向受理单位查询"),
        }
    }
}

/// Read, not yet proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    number: ReceiptNumber,
    value: Value,
}

impl Receipt {
    /// Reads the canonical octets and no others.
    pub fn parse(document: &[u8]) -> Result<Self, ReceiptError> {
        let value = Value::parse(document).map_err(|_| ReceiptError::Form)?;
        let number = value.pointer("/receipt_no").and_then(Value::as_text).and_then(ReceiptNumber::parse).ok_or(ReceiptError::Form)?;
        if value.canonical() == document { Ok(Self { number, value }) } else { Err(ReceiptError::Form) }
    }

    pub fn number(&self) -> &ReceiptNumber {
        &self.number
    }

    /// A text member, by its JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.value.pointer(pointer).and_then(Value::as_text)
    }

    pub fn timely(&self) -> Option<bool> {
        match self.value.pointer("/timely") {
            Some(Value::Boolean(timely)) => Some(*timely),
            _ => None,
        }
    }

    /// Whether it is of this filing, and, where it tells one, of this signature. The first receipt always does.
    pub fn is_of(&self, filing: &Filing, signature: &[u8]) -> Result<(), ReceiptError> {
        let same = |member: &'static str, expected: &str| if self.text(member) == Some(expected) { Ok(()) } else { Err(ReceiptError::Other(member)) };
        if self.number.filing != filing.id().as_str() {
            return Err(ReceiptError::Other("/receipt_no"));
        }
        same("/filing_id", filing.id().as_str())?;
        same("/kind", filing.kind().as_str())?;
        same("/uscc", filing.uscc().as_str())?;
        same("/period", &filing.period().to_string())?;
        if self.value.pointer("/revision") != Some(&Value::Integer(filing.revision().into())) {
            return Err(ReceiptError::Other("/revision"));
        }
        same("/content_digest/sha256", &sha256_hex(filing.canonical()))?;
        // Receipts from before it was told have one hash.
        if self.value.pointer("/content_digest/sm3").is_some() {
            same("/content_digest/sm3", &sm3_hex(filing.canonical()))?;
        }
        if self.number.number == 1 || self.value.pointer("/signature_digest").is_some() {
            // The octets as they came, or, as the bureau keeps them and as an archive renews them, around the same value.
            let value = || Signature::read(signature).ok().map(|signature| sha256_hex(signature.value()));
            let remade = self.text("/signature_value_digest/sha256").is_some_and(|told| value().as_deref() == Some(told));
            if !remade {
                same("/signature_digest/sha256", &sha256_hex(signature))?;
            }
        }
        Ok(())
    }

    /// The place of its leaf in the bureau's log.
    pub fn log_index(&self) -> Option<u64> {
        match self.value.pointer("/log_index") {
            Some(Value::Integer(index)) => u64::try_from(*index).ok(),
            _ => None,
        }
    }

    /// What the log tells of it, which is shown entry after entry.
    pub fn trace(&self) -> Result<Trace<'_>, ReceiptError> {
        let index = self.log_index().ok_or(ReceiptError::Log)?;
        // Receipts from before each filing had a salt are told of in clear.
        let names = self.text("/log_salt").map(|salt| LogNames::of_salt(salt).ok_or(ReceiptError::Form)).transpose()?;
        Ok(Trace { receipt: self, index, names, content: sha256_hex(&self.value.canonical()), recorded: None, sealed: false, other: false })
    }

    /// Whether this entry, which stands at its place, tells of it: number, filing, signature and what was filed.
    fn is_recorded_by(&self, leaf: &merkle::Leaf, names: Option<&LogNames>) -> Result<(), ReceiptError> {
        let Ok(Value::Object(told)) = Value::parse(leaf.payload().as_bytes()) else { return Err(ReceiptError::Log) };
        let name = |what, text: &str| names.map_or_else(|| text.to_owned(), |names| names.name(what, text));
        let number = self.number.to_string();
        let mut expected = vec![("filing", name(Named::Filing, &self.number.filing)), ("receipt", name(Named::Receipt, &number))];
        let kinds: &[u8] = match (self.number.number == 1, names.is_some()) {
            (true, true) => &[120],
            (true, false) => &[1, 110],
            (false, true) => &[122],
            (false, false) => &[4, 32],
        };
        if self.number.number == 1 {
            expected.push(("signature", name(Named::Signature, self.text("/signature_digest/sha256").unwrap_or_default())));
            // Kind 110 told it by a key of the desk's.
            if leaf.kind() != 110 {
                expected.push(("content", name(Named::Content, self.text("/content_digest/sha256").unwrap_or_default())));
            }
        } else {
            expected.push(("status", self.text("/status").unwrap_or_default().to_owned()));
        }
        let timely = self.number.number > 1 || told.get("timely") == self.value.pointer("/timely");
        let same = expected.iter().all(|(member, text)| told.get(member).and_then(Value::as_text) == Some(text));
        if kinds.contains(&leaf.kind()) && timely && same { Ok(()) } else { Err(ReceiptError::Log) }
    }

    /// Whether who sealed it is who it says.
    pub fn is_sealed_by(&self, seal: &Assessment) -> Result<(), ReceiptError> {
        if self.text("/bureau/certificate/sha256") == Some(sha256_hex(seal.proved.signer_certificate()).as_str()) { Ok(()) } else { Err(ReceiptError::Seal) }
    }
}

/// The entries of a log held against one receipt: the leaf at its place tells of its number and of what it was for, and one after
/// that, of its seal, of every octet of it. Another receipt of the same number, wherever it stands, has another seal's leaf, or none;
/// one that tells another salt is not found so, since nothing public binds a number to its salt.
pub struct Trace<'a> {
    receipt: &'a Receipt,
    index: u64,
    names: Option<LogNames>,
    /// SHA-256 of the receipt, hexadecimal.
    content: String,
    recorded: Option<Result<(), ReceiptError>>,
    sealed: bool,
    /// Something else was sealed under its number.
    other: bool,
}

impl Trace<'_> {
    /// Every entry once, in their order.
    pub fn see(&mut self, index: u64, entry: &[u8]) {
        let leaf = merkle::Leaf::parse(entry);
        if index == self.index {
            self.recorded = Some(leaf.map_err(|_| ReceiptError::Log).and_then(|leaf| self.receipt.is_recorded_by(&leaf, self.names.as_ref())));
        } else if let Ok(leaf) = leaf
            && SEALED.contains(&leaf.kind())
            && let Ok(Value::Object(told)) = Value::parse(leaf.payload().as_bytes())
        {
            let says = |member: &str, text: &str| told.get(member).and_then(Value::as_text) == Some(text);
            let number = self.receipt.number.to_string();
            let its = says("receipt", &self.names.as_ref().map_or_else(|| number.clone(), |names| names.name(Named::Receipt, &number)));
            // One told of in clear, and sealed after the desk had salts, is found by its content alone.
            let same = says("content", &self.content) && (its || self.names.is_none());
            self.sealed |= same && index > self.index;
            self.other |= its && !same;
        }
    }

    /// Where it stands, once every entry was seen; `None` where the log does not tell so much yet.
    pub fn end(self) -> Result<Option<u64>, ReceiptError> {
        let Some(recorded) = self.recorded else { return Ok(None) };
        recorded?;
        if self.other {
            return Err(ReceiptError::Log);
        }
        Ok(self.sealed.then_some(self.index))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn filing(change: &str) -> Filing {
        let text = format!(
            "{{\"attachments\":[],\"filing_id\":\"00000000000000000000000001\",\"form_version\":\"2021-20\",\"kind\":\"VAT_GENERAL\",\"payload\":{{{change}}},\"period\":\"202610\",\"revision\":1,\"signer_role\":\"legal-representative\",\"uscc\":\"91440101MAT000018G\"}}"
        );
        Filing::parse(text.as_bytes()).unwrap()
    }

    fn receipt(filing: &Filing, signature: &[u8]) -> String {
        format!(
            "{{\"content_digest\":{{\"sha256\":\"{}\"}},\"filing_id\":\"{}\",\"kind\":\"VAT_GENERAL\",\"period\":\"202610\",\"receipt_no\":\"{}-1\",\"revision\":1,\"signature_digest\":{{\"sha256\":\"{}\"}},\"timely\":true,\"uscc\":\"91440101MAT000018G\"}}",
            sha256_hex(filing.canonical()),
            filing.id(),
            filing.id(),
            sha256_hex(signature)
        )
    }

    #[test]
    fn a_receipt_is_of_one_filing_and_one_signature() {
        let (ours, text) = (filing(""), receipt(&filing(""), b"signature"));
        let read = Receipt::parse(text.as_bytes()).unwrap();
        assert_eq!((read.is_of(&ours, b"signature"), read.timely()), (Ok(()), Some(true)));
        assert_eq!(read.is_of(&ours, b"another"), Err(ReceiptError::Other("/signature_digest/sha256")));
        assert_eq!(read.is_of(&filing("\"a\":1"), b"signature"), Err(ReceiptError::Other("/content_digest/sha256")));
        for (from, to, member) in [("202610\"", "202611\"", "/period"), ("-1\"", "-0\"", ""), ("\"revision\":1", "\"revision\":2", "/revision"), ("018G", "026B", "/uscc"), ("VAT_GENERAL", "SI_WAGE_BASE", "/kind")] {
            match Receipt::parse(text.replacen(from, to, 1).as_bytes()) {
                Ok(read) => assert_eq!(read.is_of(&ours, b"signature"), Err(ReceiptError::Other(member))),
                Err(error) => assert_eq!((error, member), (ReceiptError::Form, "")),
            }
        }
        // The first receipt tells its signature; canonical octets only.
        let with = |sm3: &str| text.replacen("\"},\"filing_id\"", &format!("\",\"sm3\":\"{sm3}\"}},\"filing_id\""), 1);
        assert_eq!(Receipt::parse(with(&sm3_hex(ours.canonical())).as_bytes()).unwrap().is_of(&ours, b"signature"), Ok(()));
        assert_eq!(Receipt::parse(with(&sm3_hex(b"another")).as_bytes()).unwrap().is_of(&ours, b"signature"), Err(ReceiptError::Other("/content_digest/sm3")));
        let bare = text.replace("signature_digest", "signature_digesu");
        assert_eq!(Receipt::parse(bare.as_bytes()).unwrap().is_of(&ours, b"signature"), Err(ReceiptError::Other("/signature_digest/sha256")));
        assert_eq!(Receipt::parse(format!(" {text}").as_bytes()), Err(ReceiptError::Form));
    }

    #[test]
    fn an_entry_of_the_log_is_of_one_receipt_named_or_as_it_was_told_before() {
        let salt = "ab".repeat(32);
        let names = LogNames::of_salt(&salt).unwrap();
        let filing = filing("");
        let clear = receipt(&filing, b"signature");
        let salted = clear.replacen(",\"period\"", &format!(",\"log_salt\":\"{salt}\",\"period\""), 1);
        let entry = |kind, payload: String| merkle::Leaf::new(kind, 0, payload).unwrap().to_bytes();
        let told = |filing: &str, content: &str, signature: &str, receipt: &str, timely: bool| format!("{{\"filing\":\"{filing}\",\"content\":\"{content}\",\"signature\":\"{signature}\",\"receipt\":\"{receipt}\",\"timely\":{timely}}}");
        let (id, content, signature) = (filing.id().as_str(), sha256_hex(filing.canonical()), sha256_hex(b"signature"));
        let number = format!("{id}-1");
        let [a, b, c, d] = [(Named::Filing, id), (Named::Content, &content), (Named::Signature, &signature), (Named::Receipt, &number)].map(|(what, text)| names.name(what, text));
        // At its place the leaf that records it, then its seal's.
        let [salted, clear] = [(&salted, ",\"log_salt\""), (&clear, ",\"period\"")].map(|(receipt, before)| receipt.replacen(before, &format!(",\"log_index\":1{before}"), 1));
        let (new, old) = (Receipt::parse(salted.as_bytes()).unwrap(), Receipt::parse(clear.as_bytes()).unwrap());
        let seal = |receipt: &str, document: &str| format!("{{\"content\":\"{}\",\"receipt\":\"{receipt}\",\"seal\":\"\"}}", sha256_hex(document.as_bytes()));
        let logged = |receipt: &Receipt, leaves: &[Vec<u8>]| {
            let mut trace = receipt.trace().unwrap();
            std::iter::once(&entry(9, "{}".into())).chain(leaves).zip(0..).for_each(|(entry, at)| trace.see(at, entry));
            trace.end()
        };
        let (named, cleared) = (entry(121, seal(&d, &salted)), entry(3, seal(&number, &clear)));
        assert_eq!(logged(&new, &[entry(120, told(&a, &b, &c, &d, true)), named.clone()]), Ok(Some(1)));
        assert_eq!(logged(&old, &[entry(1, told(id, &content, &signature, &number, true)), cleared.clone()]), Ok(Some(1)));
        assert_eq!(logged(&old, &[entry(110, told(id, "keyed", &signature, &number, true)), cleared.clone()]), Ok(Some(1)));
        // Recorded before the desk had salts, sealed after.
        assert_eq!(logged(&old, &[entry(110, told(id, "keyed", &signature, &number, true)), entry(121, seal("named", &clear))]), Ok(Some(1)));
        // The log ends too early; another receipt has this number, alone or beside it.
        let recorded = entry(120, told(&a, &b, &c, &d, true));
        assert_eq!((logged(&new, &[]), logged(&new, std::slice::from_ref(&recorded))), (Ok(None), Ok(None)));
        let other = entry(121, seal(&d, "another"));
        for leaves in [vec![recorded.clone(), other.clone()], vec![recorded.clone(), named.clone(), other.clone()], vec![recorded.clone(), other.clone(), named.clone()]] {
            assert_eq!(logged(&new, &leaves), Err(ReceiptError::Log));
        }
        // Or it was sealed before this one was recorded.
        let late = salted.replacen(",\"log_index\":1,", ",\"log_index\":2,", 1);
        let (later, its) = (Receipt::parse(late.as_bytes()).unwrap(), entry(121, seal(&d, &late)));
        assert_eq!(logged(&later, &[other.clone(), recorded.clone(), its.clone()]), Err(ReceiptError::Log));
        assert_eq!(logged(&later, &[entry(9, "{}".into()), recorded.clone(), its]), Ok(Some(2)));
        // A seal's leaf of another receipt is none of its.
        assert_eq!(logged(&new, &[recorded, entry(121, seal(&a, &salted))]), Ok(None));
        // Another kind, time, content, or the clear form where there is a salt.
        for (receipt, kind, payload) in [
            (&new, 122, told(&a, &b, &c, &d, true)),
            (&new, 120, told(&a, &b, &c, &d, false)),
            (&new, 120, told(&a, &c, &c, &d, true)),
            (&new, 120, told(id, &content, &signature, &number, true)),
            (&new, 1, told(id, &content, &signature, &number, true)),
            (&old, 120, told(&a, &b, &c, &d, true)),
            (&old, 1, told(id, "keyed", &signature, &number, true)),
            (&old, 110, told("00000000000000000000000002", "keyed", &signature, &number, true)),
        ] {
            assert_eq!(logged(receipt, &[entry(kind, payload), named.clone(), cleared.clone()]), Err(ReceiptError::Log), "{kind}");
        }
        assert_eq!(logged(&new, &[b"no entry".to_vec(), named]), Err(ReceiptError::Log));
    }
}
