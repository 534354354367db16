//! The one form of a JSON value (RFC 8785).

use super::json::{Object, Value, plain};

/// Most documents have fewer octets: a return, a receipt with its timestamp.
const ROOM: usize = 8 << 10;

impl Value {
    /// The octets that are signed: no blanks, members sorted, the shortest escapes.
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ROOM);
        write(self, &mut out);
        out
    }
}

impl Object {
    /// As [`Value::canonical`].
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ROOM);
        write_object(self, &mut out);
        out
    }
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Text(text) => write_text(text, out),
        Value::Array(values) => {
            out.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(value, out);
            }
            out.push(b']');
        }
        Value::Object(object) => write_object(object, out),
    }
}

fn write_object(object: &Object, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (name, value)) in object.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(name, out);
        out.push(b':');
        write(value, out);
    }
    out.push(b'}');
}

/// spec: rfc8785#3.2.2.2
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    // What stands for itself is copied at once: nearly every text is one such piece.
    loop {
        let (itself, special) = rest.split_at(plain(rest));
        out.extend_from_slice(itself);
        let Some((&byte, after)) = special.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
        rest = after;
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// The order of names and the literals of RFC 8785, 3.2.3 and 3.2.2.
    #[test]
    fn the_examples_of_the_standard() {
        let input = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
        let value = Value::parse(input.as_bytes()).unwrap();
        let names: Vec<&str> = value.as_object().unwrap().iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["\r", "1", "\u{80}", "\u{f6}", "\u{20ac}", "\u{1f600}", "\u{fb33}"]);
        let value = Value::parse(r#"{ "string" : "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals":[null , true, false] }"#.as_bytes()).unwrap();
        let expected = "{\"literals\":[null,true,false],\"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(String::from_utf8(value.canonical()).unwrap(), expected);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::Integer),
            any::<String>().prop_map(Value::Text),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::vec((any::<String>(), inner), 0..6).prop_map(|members| {
                    let mut object = Object::default();
                    for (name, value) in members {
                        object.insert(&name, value);
                    }
                    Value::Object(object)
                }),
            ]
        })
    }

    /// The same meaning in another writing: members turned round, blanks, every character escaped.
    fn otherwise(value: &Value, out: &mut String) {
        let escaped = |text: &str| text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<String>();
        match value {
            Value::Text(text) => *out += &format!("\"{}\"", escaped(text)),
            Value::Array(values) => {
                *out += "[ ";
                for (index, value) in values.iter().enumerate() {
                    *out += if index > 0 { " ,\t" } else { "" };
                    otherwise(value, out);
                }
                *out += "\n]";
            }
            Value::Object(object) => {
                *out += "{\r\n";
                let mut members: Vec<_> = object.iter().collect();
                members.reverse();
                for (index, (name, value)) in members.into_iter().enumerate() {
                    *out += if index > 0 { " , " } else { "" };
                    *out += &format!("\"{}\" : ", escaped(name));
                    otherwise(value, out);
                }
                *out += " }";
            }
            other => *out += &String::from_utf8(other.canonical()).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn the_same_meaning_is_the_same_octets(value in any_value()) {
            let canonical = value.canonical();
            prop_assert_eq!(Value::parse(&canonical).unwrap().canonical(), canonical.clone());
            let mut other = String::new();
            otherwise(&value, &mut other);
            let again = Value::parse(other.as_bytes()).unwrap();
            prop_assert!(again == value);
            prop_assert_eq!(again.canonical(), canonical);
        }

        /// Shortened to what a reader takes, and a little longer.
        #[test]
        fn what_fits_is_read_again(value in any_value(), long in prop_oneof![Just(0_usize), Just(65_536), Just(65_537)], deep in 0_usize..14) {
            let nested = (0..deep).fold(Value::Array(vec![value, Value::text("a".repeat(long))]), |inner, _| Value::Array(vec![inner]));
            let whole = Object::from([("a", nested)]);
            prop_assert_eq!(whole.fits(), Value::parse(&whole.canonical()).is_ok());
        }

        #[test]
        fn another_meaning_is_other_octets(one in any_value(), two in any_value()) {
            prop_assert_eq!(one == two, one.canonical() == two.canonical());
        }

        /// Others' reader takes the octets for the same.
        #[test]
        fn serde_reads_the_same(value in any_value()) {
            fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
                match ours {
                    Value::Null => theirs.is_null(),
                    Value::Boolean(value) => theirs.as_bool() == Some(*value),
                    Value::Integer(value) => theirs.as_i64() == Some(*value),
                    Value::Text(value) => theirs.as_str() == Some(value),
                    Value::Array(values) => theirs.as_array().is_some_and(|other| other.len() == values.len() && values.iter().zip(other).all(|(a, b)| same(a, b))),
                    Value::Object(object) => theirs.as_object().is_some_and(|other| other.len() == object.len() && object.iter().all(|(name, value)| other.get(name).is_some_and(|b| same(value, b)))),
                }
            }
            prop_assert!(same(&value, &serde_json::from_slice(&value.canonical()).unwrap()));
        }

        #[test]
        fn any_octets_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = Value::parse(&bytes) {
                prop_assert!(Value::parse(&value.canonical()).unwrap() == value);
            }
        }
    }
}
