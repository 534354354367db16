//! Citizens and enterprises: every kind of document, rare characters and `·` among the names.

use super::Dice;

/// A citizen as a mailbox is opened for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// As `id_type` has it: `01` resident identity card, `04` foreigner's permanent residence, `05` residence
    /// permit for Hong Kong, Macao and Taiwan residents.
    pub document_type: &'static str,
    pub number: String,
    pub name: String,
}

/// An employer of the demonstration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enterprise {
    pub code: String,
    pub name: String,
}

/// A bureau of the demonstration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bureau {
    pub code: &'static str,
    pub credit_code: String,
    pub name: &'static str,
    pub name_en: &'static str,
    pub alias: &'static str,
    pub hotline: &'static str,
}

const GUANGZHOU: [&str; 11] = [
    "440103", "440104", "440105", "440106", "440111", "440112", "440113", "440114", "440115", "440117", "440118",
];
/// Sichuan, Hunan, Guangxi, Henan, Xinjiang: people who came to work here.
const ELSEWHERE: [&str; 5] = ["510104", "430102", "450102", "410102", "650102"];
const HONG_KONG_MACAO_TAIWAN: [&str; 3] = ["810000", "820000", "830000"];
const SURNAMES: [&str; 14] = ["陈", "李", "黄", "张", "梁", "林", "刘", "吴", "罗", "欧阳", "㐱", "𠅤", "仝", "司徒"];
const GIVEN: [&str; 14] = ["伟", "秀英", "嘉欣", "志强", "𬭼", "㛃", "思敏", "国栋", "䶮", "晓彤", "俊杰", "雅婷", "浩然", "𫖯"];
const FAR_NAMES: [&str; 4] = ["阿依古丽·买买提", "艾力·吐尔逊", "才旦·卓玛", "迪丽·阿卜杜拉"];
const FOREIGN_NAMES: [&str; 4] = ["ANNA DEMO", "JOÃO TESTE", "PAVEL OBRAZEC", "MARIE EXEMPLE"];

/// ISO 7064 MOD 11-2 over seventeen digits.
// spec: gb11643#appendix-a
pub fn resident_check(first_seventeen: &str) -> char {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = first_seventeen.chars().zip(WEIGHTS).map(|(c, w)| c.to_digit(10).unwrap_or(0) * w).sum();
    "10X98765432".chars().nth((sum % 11) as usize).unwrap_or('0')
}

/// Days that people of the demonstration are born on: 1890 to 1905, the 1st to the 28th.
const BIRTHDAYS: u64 = 16 * 12 * 28;

/// A birthday and a sequence number; no two of the first `BIRTHDAYS` thousand people have the same.
fn birth_and_sequence(offset: u64, index: u64) -> String {
    let sequence = index % 1000;
    // 13 has no factor in common with the number of birthdays, so a sequence number meets each of them once.
    let birthday = ((index / 1000 % BIRTHDAYS) * 13 + sequence * 97 + offset % BIRTHDAYS) % BIRTHDAYS;
    let (year, month, day) = (1890 + birthday / 336, 1 + birthday / 28 % 12, 1 + birthday % 28);
    format!("{year:04}{month:02}{day:02}{sequence:03}")
}

/// The `index`-th citizen; the mix is fixed: of twenty, twelve residents, five migrants, one from Hong
/// Kong, Macao or Taiwan, one of a people with `·` in the name, one foreigner.
pub fn person(dice: &mut Dice, index: u64) -> Person {
    let tail = birth_and_sequence(dice.seed(), index);
    let han = format!(
        "{}{}",
        dice.pick(&SURNAMES).copied().unwrap_or("陈"),
        dice.pick(&GIVEN).copied().unwrap_or("伟")
    );
    let (document_type, first, name) = match index % 20 {
        0..=11 => ("01", dice.pick(&GUANGZHOU).copied().unwrap_or("440106").to_owned(), han),
        12..=16 => ("01", dice.pick(&ELSEWHERE).copied().unwrap_or("510104").to_owned(), han),
        17 => ("05", dice.pick(&HONG_KONG_MACAO_TAIWAN).copied().unwrap_or("810000").to_owned(), han),
        18 => ("01", "650102".to_owned(), dice.pick(&FAR_NAMES).copied().unwrap_or("才旦·卓玛").to_owned()),
        // Nine, province of application, ISO 3166-1 numeric nationality (Portugal, France, Russia).
        _ => {
            let nation = dice.pick(&["620", "250", "643"]).copied().unwrap_or("620");
            ("04", format!("944{nation}")[..6].to_owned(), dice.pick(&FOREIGN_NAMES).copied().unwrap_or("ANNA DEMO").to_owned())
        }
    };
    let seventeen = format!("{first}{tail}");
    let check = resident_check(&seventeen);
    Person { document_type, number: format!("{seventeen}{check}"), name }
}

/// GB 11714 check character over eight.
// spec: gb11714#4
fn organisation_check(eight: &str) -> char {
    const WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = eight.chars().zip(WEIGHTS).map(|(c, w)| c.to_digit(36).unwrap_or(0) * w).sum();
    match 11 - sum % 11 {
        10 => 'X',
        11 => '0',
        digit => char::from_digit(digit, 10).unwrap_or('0'),
    }
}

/// A unified social credit code in the unassigned series `MAT`.
// spec: gb32100#5
pub fn credit_code(index: u64) -> String {
    const CHARSET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let eight = format!("MAT{:05}", index % 100_000);
    let seventeen = format!("91440101{eight}{}", organisation_check(&eight));
    let mut weight = 1;
    let mut sum = 0;
    for character in seventeen.chars() {
        sum += CHARSET.find(character).unwrap_or(0) * weight;
        weight = weight * 3 % 31;
    }
    format!("{seventeen}{}", CHARSET.chars().nth((31 - sum % 31) % 31).unwrap_or('0'))
}

/// The bureaus that send statements: code, unified social credit code, name, English name, mail alias, hotline.
pub fn bureaus() -> [Bureau; 2] {
    [
        Bureau {
            code: "gz-housing-fund",
            credit_code: credit_code(99_001),
            name: "广州住房公积金管理中心（示范）",
            name_en: "Guangzhou Housing Fund Centre (demonstration)",
            alias: "gjj",
            hotline: "12329",
        },
        Bureau {
            code: "gz-social-insurance",
            credit_code: credit_code(99_002),
            name: "广州市社会保险基金管理中心（示范）",
            name_en: "Guangzhou Social Insurance Fund Centre (demonstration)",
            alias: "shebao",
            hotline: "12333",
        },
    ]
}

pub fn enterprise(index: u64) -> Enterprise {
    Enterprise { code: credit_code(index), name: format!("广州示范{index:04}有限公司") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn published_vectors_hold() {
        assert_eq!(resident_check("44010618960229001"), '5');
        assert_eq!(resident_check("44010218880808003"), 'X');
        assert_eq!(credit_code(1), "91440101MAT000018G");
        assert_eq!(credit_code(2), "91440101MAT000026B");
    }

    #[test]
    fn people_are_distinct_and_long_dead() {
        let mut dice = Dice::new(1);
        let numbers: HashSet<String> = (0..50_000).map(|index| person(&mut dice, index).number).collect();
        assert_eq!(numbers.len(), 50_000);
        for number in &numbers {
            assert_eq!(number.len(), 18);
            let year: u32 = number[6..10].parse().unwrap();
            assert!((1890..=1905).contains(&year));
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_city() {
        let city = |seed| {
            let mut dice = Dice::new(seed);
            (0..50).map(|index| person(&mut dice, index)).collect::<Vec<_>>()
        };
        assert_eq!(city(7), city(7));
        assert_ne!(city(7), city(8));
    }
}
