//! A person's document: its type and its number, one value for one document however it is written.
//!
//! The codes 01 to 04 and 99 are those of JGJ/T 320-2014. It has none for the papers of Hong Kong, Macao and
//! Taiwan residents, so 05, 06 and 07 are ours; senders who write 99 for them are understood where the
//! number tells the paper.

use std::fmt;

use time::Date;

use super::{
    ChinesePassportNumber, ForeignPassportNumber, ForeignPermanentNumber, HmtResidenceNumber, HomeReturnNumber, NumberError,
    OldForeignPermanentNumber, OtherNumber, ResidentNumber, TaiwanPermitNumber, canonical,
};
use crate::document::named;

named! {
    /// The kinds of document, by the code that stands in `id_type`.
    DocumentKind {
        ResidentCard = "01",
        OfficerCard = "02",
        Passport = "03",
        ForeignPermanent = "04",
        HmtResidence = "05",
        HomeReturn = "06",
        TaiwanPermit = "07",
        Other = "99",
    }
}

impl DocumentKind {
    pub const ALL: [Self; 8] = [
        Self::ResidentCard, Self::OfficerCard, Self::Passport, Self::ForeignPermanent, Self::HmtResidence, Self::HomeReturn,
        Self::TaiwanPermit, Self::Other,
    ];

    pub fn code(self) -> &'static str {
        self.name()
    }

    /// Chinese and English, as a citizen reads it.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::ResidentCard => ("居民身份证", "Resident identity card"),
            Self::OfficerCard => ("军官证", "Officer's card"),
            Self::Passport => ("护照", "Passport"),
            Self::ForeignPermanent => ("外国人永久居留身份证", "Foreigner's permanent residence card"),
            Self::HmtResidence => ("港澳台居民居住证", "Residence permit for Hong Kong, Macao and Taiwan residents"),
            Self::HomeReturn => ("港澳居民来往内地通行证", "Mainland travel permit for Hong Kong and Macao residents"),
            Self::TaiwanPermit => ("台湾居民来往大陆通行证", "Mainland travel permit for Taiwan residents"),
            Self::Other => ("其他证件", "Other document"),
        }
    }
}

/// Why a document was refused. Fields never hold the number or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("the document type is not one of 01 to 07 and 99; write the two digits")]
    Type,
    #[error("the number of a document of type {kind}: {error}")]
    Number { kind: DocumentKind, error: NumberError },
}

/// A document with a valid number. Equal when it is the same document of the same person.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Document(Number);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Number {
    Resident(ResidentNumber),
    Officer(OtherNumber),
    ChinesePassport(ChinesePassportNumber),
    ForeignPassport(ForeignPassportNumber),
    ForeignPermanent(ForeignPermanentNumber),
    OldForeignPermanent(OldForeignPermanentNumber),
    HmtResidence(HmtResidenceNumber),
    HomeReturn(HomeReturnNumber),
    TaiwanPermit(TaiwanPermitNumber),
    Other(OtherNumber),
}

impl Document {
    /// Reads a type code and a number. A foreign passport is written with its state: `FRA-12AB34567`.
    /// `today` bounds the age of numbers that tell the date of birth.
    pub fn parse(code: &str, number: &str, today: Date) -> Result<Self, DocumentError> {
        let kind = DocumentKind::from_name(code.trim()).ok_or(DocumentError::Type)?;
        parse(kind, number, today).map(Self).map_err(|error| DocumentError::Number { kind, error })
    }

    pub fn kind(&self) -> DocumentKind {
        match self.0 {
            Number::Resident(_) => DocumentKind::ResidentCard,
            Number::Officer(_) => DocumentKind::OfficerCard,
            Number::ChinesePassport(_) | Number::ForeignPassport(_) => DocumentKind::Passport,
            Number::ForeignPermanent(_) | Number::OldForeignPermanent(_) => DocumentKind::ForeignPermanent,
            Number::HmtResidence(_) => DocumentKind::HmtResidence,
            Number::HomeReturn(_) => DocumentKind::HomeReturn,
            Number::TaiwanPermit(_) => DocumentKind::TaiwanPermit,
            Number::Other(_) => DocumentKind::Other,
        }
    }

    /// `type|number`, the one text of this document, for the keyed index and the seal and for nothing that is
    /// printed. A resident's 15-digit number is here the 18-digit one.
    pub fn canonical(&self) -> String {
        match &self.0 {
            Number::ForeignPassport(number) => format!("{}|{}-{}", self.kind().code(), number.state(), number.expose()),
            _ => format!("{}|{}", self.kind().code(), self.expose()),
        }
    }

    /// At most three and four characters, never the date of birth.
    pub fn masked(&self) -> String {
        match &self.0 {
            Number::Resident(number) => number.masked(),
            Number::Officer(number) | Number::Other(number) => number.masked(),
            Number::ChinesePassport(number) => number.masked(),
            Number::ForeignPassport(number) => number.masked(),
            Number::ForeignPermanent(number) => number.masked(),
            Number::OldForeignPermanent(number) => number.masked(),
            Number::HmtResidence(number) => number.masked(),
            Number::HomeReturn(number) => number.masked(),
            Number::TaiwanPermit(number) => number.masked(),
        }
    }

    /// The date of birth, where the number tells it: the eighteen characters of residents, permits and foreigners' cards.
    pub fn born(&self) -> Option<Date> {
        let tells = matches!(self.0, Number::Resident(_) | Number::HmtResidence(_) | Number::ForeignPermanent(_));
        let written = self.expose().get(6..14).filter(|_| tells)?;
        Date::parse(written, time::macros::format_description!("[year][month][day]")).ok()
    }

    fn expose(&self) -> &str {
        match &self.0 {
            Number::Resident(number) => number.expose(),
            Number::Officer(number) | Number::Other(number) => number.expose(),
            Number::ChinesePassport(number) => number.expose(),
            Number::ForeignPassport(number) => number.expose(),
            Number::ForeignPermanent(number) => number.expose(),
            Number::OldForeignPermanent(number) => number.expose(),
            Number::HmtResidence(number) => number.expose(),
            Number::HomeReturn(number) => number.expose(),
            Number::TaiwanPermit(number) => number.expose(),
        }
    }

    /// Whether the number stands in `text`, in whatever case and whatever parts it: such a text may not be shown. A
    /// resident's is looked for in its old form too. Seven or eight characters stand in many a text by chance: they
    /// are looked for as a word of their own, and fewer are not.
    pub fn stands_in(&self, text: &str) -> bool {
        let bare: String = letters(text).collect();
        let number: String = letters(self.expose()).collect();
        match &self.0 {
            Number::Resident(resident) if resident.fifteen().is_some_and(|old| bare.contains(&old)) => true,
            _ if number.chars().count() >= 9 => bare.contains(&number),
            _ => number.chars().count() >= 7 && has_word(&text.to_uppercase(), self.expose()),
        }
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Document({})", self.kind().code())
    }
}

/// Letters and digits in upper case, without what stands between them.
fn letters(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase)
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + word.len()..).unwrap_or_default());
        !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
    })
}

fn parse(kind: DocumentKind, text: &str, today: Date) -> Result<Number, NumberError> {
    let text = canonical(text);
    let text = text.as_str();
    // The resident's number of before 1999 and the foreigner's of before 2023.
    let short = text.chars().count() == 15;
    Ok(match kind {
        // No resident's region is one of these: whoever writes 01 for a permit means the permit, which never had 15 digits.
        DocumentKind::ResidentCard if matches!(text.get(..6), Some("810000" | "820000" | "830000")) => {
            Number::HmtResidence(HmtResidenceNumber::parse(text, today)?)
        }
        DocumentKind::ResidentCard if short => Number::Resident(ResidentNumber::upgrade(text, today)?),
        DocumentKind::ResidentCard => Number::Resident(ResidentNumber::parse(text, today)?),
        DocumentKind::OfficerCard => Number::Officer(OtherNumber::parse(text)?),
        DocumentKind::Passport => match text.split_once('-') {
            None => Number::ChinesePassport(ChinesePassportNumber::parse(text)?),
            Some(("CHN", number)) => Number::ChinesePassport(ChinesePassportNumber::parse(number)?),
            Some((state, number)) => Number::ForeignPassport(ForeignPassportNumber::parse(state, number)?),
        },
        DocumentKind::ForeignPermanent if short => Number::OldForeignPermanent(OldForeignPermanentNumber::parse(text)?),
        DocumentKind::ForeignPermanent => Number::ForeignPermanent(ForeignPermanentNumber::parse(text, today)?),
        DocumentKind::HmtResidence => Number::HmtResidence(HmtResidenceNumber::parse(text, today)?),
        DocumentKind::HomeReturn => Number::HomeReturn(HomeReturnNumber::parse(text)?),
        DocumentKind::TaiwanPermit => Number::TaiwanPermit(TaiwanPermitNumber::parse(text)?),
        DocumentKind::Other => told(text, today).map_or_else(|| OtherNumber::parse(text).map(Number::Other), Ok)?,
    })
}

/// The paper that a number under 99 tells: one of eighteen characters with its check, region and date, or a home return
/// permit. A temporary card and a household register carry the resident's own number. What has fewer characters could be
/// anything: a Taiwan permit is known by 07 only.
fn told(text: &str, today: Date) -> Option<Number> {
    let permit = || HmtResidenceNumber::parse(text, today).map(Number::HmtResidence).ok();
    let resident = || ResidentNumber::parse(text, today).map(Number::Resident).ok();
    let foreigner = || ForeignPermanentNumber::parse(text, today).map(Number::ForeignPermanent).ok();
    let home_return = || HomeReturnNumber::parse(text).map(Number::HomeReturn).ok();
    permit().or_else(resident).or_else(foreigner).or_else(home_return)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::date;

    fn read(code: &str, number: &str) -> Result<Document, DocumentError> {
        Document::parse(code, number, date!(2026 - 11 - 24))
    }

    #[test]
    fn one_text_for_one_document() {
        let canonical = |code, number| read(code, number).unwrap().canonical();
        for (code, number, text) in [
            ("01", "440106189602290015", "01|440106189602290015"),
            ("01", " 44010218880808003x ", "01|44010218880808003X"),
            ("02", "军字第0012345号", "02|军字第0012345号"),
            ("03", "e12345678", "03|E12345678"),
            ("03", "CHN-E12345678", "03|E12345678"),
            ("03", "uto-L898902C3", "03|UTO-L898902C3"),
            ("04", "944840189602290018", "04|944840189602290018"),
            ("04", "VAT440131022810", "04|VAT440131022810"),
            ("05", "810000189602290010", "05|810000189602290010"),
            ("01", "810000189602290010", "05|810000189602290010"),
            ("06", "H1234567803", "06|H12345678"),
            ("07", "01234567", "07|01234567"),
            // JGJ/T 320 has no code for these two, so a sender may write 99.
            ("99", "810000189602290010", "05|810000189602290010"),
            ("99", "M12345678", "06|M12345678"),
            ("99", "01234567", "99|01234567"),
            // A temporary card has no code either, and the number of the card itself.
            ("99", "440106189602290015", "01|440106189602290015"),
            ("99", "944840189602290018", "04|944840189602290018"),
            ("99", "440106189602290016", "99|440106189602290016"),
        ] {
            assert_eq!(canonical(code, number), text);
            assert_eq!(&text[..2], read(code, number).unwrap().kind().code());
            // What is stored reads back.
            assert_eq!(read(&text[..2], &text[3..]), read(code, number));
        }
        // The number of before 1999 and the one of today are one document.
        assert_eq!(read("01", "440102010808003"), read("01", "440102190108080031"));
    }

    #[test]
    fn each_type_takes_its_own_numbers_only() {
        let refused = |code, number| read(code, number).unwrap_err();
        for code in ["", "1", "00", "08", "001", "０１", "resident"] {
            assert_eq!(refused(code, "440106189602290015"), DocumentError::Type, "{code}");
        }
        let number = |kind, error| DocumentError::Number { kind, error };
        use DocumentKind::{ForeignPermanent, HmtResidence, HomeReturn, Passport, ResidentCard, TaiwanPermit};
        assert_eq!(refused("01", "440106189602290016"), number(ResidentCard, NumberError::CheckDigit));
        // The trap of the 15-digit form: naively upgraded it is a foreigner's.
        assert_eq!(refused("01", "990106010101001"), number(ResidentCard, NumberError::Region));
        // A permit never had 15 digits, and upgraded it would be two documents.
        assert_eq!(refused("01", "810000800301896"), number(ResidentCard, NumberError::Length { expected: 18, found: 15 }));
        assert_eq!(refused("01", "944840189602290018"), number(ResidentCard, NumberError::Region));
        assert_eq!(refused("04", "440106189602290015"), number(ForeignPermanent, NumberError::Region));
        assert_eq!(refused("04", "VAT440131022811"), number(ForeignPermanent, NumberError::CheckDigit));
        assert_eq!(refused("05", "440106189602290015"), number(HmtResidence, NumberError::Region));
        assert_eq!(refused("05", "H12345678"), number(HmtResidence, NumberError::Length { expected: 18, found: 9 }));
        assert_eq!(refused("03", "L898902C3"), number(Passport, NumberError::Passport));
        assert_eq!(refused("03", "UTOPIA-L898902C3"), number(Passport, NumberError::Nationality));
        assert_eq!(refused("06", "01234567"), number(HomeReturn, NumberError::Shape));
        assert_eq!(refused("07", "H12345678"), number(TaiwanPermit, NumberError::Shape));
    }

    #[test]
    fn birth_is_known_where_the_number_tells_it() {
        for (code, number, born) in [
            ("01", "440106189602290015", Some(date!(1896 - 02 - 29))),
            ("01", "440102010808003", Some(date!(1901 - 08 - 08))),
            ("04", "944840189602290018", Some(date!(1896 - 02 - 29))),
            ("04", "VAT440131022810", None),
            ("05", "810000189602290010", Some(date!(1896 - 02 - 29))),
            ("03", "E12345678", None),
        ] {
            assert_eq!(read(code, number).unwrap().born(), born, "{code}");
        }
    }

    #[test]
    fn a_number_is_never_printed() {
        for (code, number) in [
            ("01", "440106189602290015"), ("02", "军字第0012345号"), ("03", "E12345678"), ("03", "UTO-L898902C3"),
            ("04", "944840189602290018"), ("04", "VAT440131022810"), ("05", "810000189602290010"), ("06", "H12345678"),
            ("07", "01234567"), ("99", "A-1234567"),
        ] {
            let document = read(code, number).unwrap();
            assert_eq!(format!("{document:?}"), format!("Document({code})"));
            let masked = document.masked();
            let shown = masked.chars().filter(|&c| c != '*').count();
            assert!(shown <= 7 && shown * 2 <= masked.chars().count(), "{masked}");
            for wrong in [number.replace('1', "O"), format!("{number}{number}{number}")] {
                if let Err(error) = read(code, &wrong) {
                    assert!(!error.to_string().contains(&number[number.len() - 4..]), "{error}");
                }
            }
            let (long, parted) = (letters(document.expose()).count() >= 9, format!("x-{}.y", document.expose().to_lowercase()));
            assert_eq!(document.stands_in(&format!("x{}", document.expose().to_lowercase())), long);
            assert!(document.stands_in(&parted) && !document.stands_in("HF202610-00000001"));
        }
        assert_eq!(read("01", "440106189602290015").unwrap().masked(), "440***********0015");
    }

    #[test]
    fn a_number_in_parts_or_in_its_old_form_is_found() {
        let resident = read("01", "44010218880808003X").unwrap();
        for text in ["440102-18880808-003x", "hf.440102_18880808_003X-1"] {
            assert!(resident.stands_in(text), "{text}");
        }
        let upgraded = read("01", "440102010808003").unwrap();
        assert!(upgraded.stands_in("HF-440102010808003") && upgraded.stands_in("440102 010808 003"));
        // Born in 1888, and not with a sequence that told it: it never had the old form.
        assert!(!resident.stands_in("HF-440102880808003"));
        assert!(read("01", "440106900101999").unwrap().stands_in("440106900101999"));
        assert!(!read("03", "UTO-12345").unwrap().stands_in("HF-12345"));
    }

    #[test]
    fn what_follows_many_spaces_is_not_dropped() {
        let padded = format!("440106189602290015{}9", " ".repeat(60));
        assert_eq!(
            read("01", &padded),
            Err(DocumentError::Number { kind: DocumentKind::ResidentCard, error: NumberError::Length { expected: 18, found: 65 } })
        );
    }

    proptest! {
        #[test]
        fn what_is_read_is_read_again_from_its_one_text(
            code in prop::sample::select(&DocumentKind::ALL),
            text in "[A-Z]{0,3}-?[0-9]{4,18}[0-9X]?|[HM][0-9]{8,10}|.{0,70}",
        ) {
            if let Ok(document) = read(code.code(), &text) {
                let canonical = document.canonical();
                let (kind, number) = canonical.split_once('|').unwrap();
                prop_assert_eq!(kind, document.kind().code());
                prop_assert_eq!(read(kind, number), Ok(document));
            }
        }
    }
}
