//! A draft: the form's every field with its explanation beside it, to be filled in with any editor.

use std::fmt::Write;

use policies::filing::{Field, FieldKind, FilingPeriod, Kind, Path, Role, Step};
use policies::identity::CreditCode;

use crate::document::{FilingId, MandateId, Object, Value};

/// What stands above the form.
pub(super) struct Head<'a> {
    pub kind: &'a Kind,
    pub period: FilingPeriod,
    pub code: CreditCode,
    pub id: FilingId,
    pub mandate: Option<MandateId>,
}

/// JSON with comments, as `check` and `sign` read it.
pub(super) fn written(head: &Head<'_>, given: Option<&Object>, chinese: bool) -> String {
    let Head { kind, period, code, id, mandate } = head;
    let (title, title_en) = kind.titles();
    let mut out = String::new();
    let _ = writeln!(out, "// {}", if chinese { title } else { title_en });
    let _ = writeln!(out, "{{\n  \"attachments\": [],\n  \"filing_id\": \"{id}\",");
    if let Some(version) = kind.form_version() {
        let _ = writeln!(out, "  \"form_version\": \"{version}\",");
    }
    let _ = writeln!(out, "  \"kind\": \"{}\",\n  \"uscc\": \"{}\",\n  \"period\": \"{period}\",\n  \"revision\": 1,", kind.name(), code.as_str());
    let role = if mandate.is_some() { Role::Agent } else { Role::Operator };
    let _ = writeln!(out, "  \"signer_role\": \"{}\",", role.name());
    if let Some(mandate) = mandate {
        let _ = writeln!(out, "  \"mandate\": \"{mandate}\",");
    }
    out += "  \"payload\": {\n";
    object(kind, &Path::default(), (4, chinese), given, &mut out);
    out += "  },\n}\n";
    out
}

/// The members of an object: as given, else blank, and those that may be left out as comments.
fn object(kind: &Kind, path: &Path, (indent, chinese): (usize, bool), given: Option<&Object>, out: &mut String) {
    let is_in = |member: &Path| matches!(member.steps().split_last(), Some((Step::Member(_), above)) if above == path.steps());
    let (pad, word) = (" ".repeat(indent), |zh: &str, en: &str| if chinese { zh.to_owned() } else { en.to_owned() });
    let known = |path: &Path| given.and_then(|given| given.get(path.name()));
    for field in kind.fields().iter().filter(|field| is_in(&field.path)) {
        let (zh, en) = field.kind.form();
        let _ = writeln!(out, "{pad}// {}: {}", word(&field.zh, &field.en), word(&zh, &en));
        let _ = match known(&field.path) {
            Some(value) => writeln!(out, "{pad}\"{}\": {},", field.path.name(), text(value)),
            None => writeln!(out, "{pad}{}\"{}\": {},", if field.optional { "// " } else { "" }, field.path.name(), blank(field)),
        };
    }
    for group in kind.groups().iter().filter(|group| is_in(&group.path)) {
        let inner = known(&group.path).and_then(Value::as_object);
        let _ = writeln!(out, "{pad}// {}", word(&group.zh, &group.en));
        if group.optional && inner.is_none() {
            let _ = writeln!(out, "{pad}// \"{}\": {{}},", group.path.name());
            continue;
        }
        let _ = writeln!(out, "{pad}\"{}\": {{", group.path.name());
        object(kind, &group.path, (indent + 2, chinese), inner, out);
        let _ = writeln!(out, "{pad}}},");
    }
    for list in kind.lists().iter().filter(|list| is_in(&list.path)) {
        if let Some(items) = known(&list.path).and_then(Value::as_array) {
            let _ = writeln!(out, "{pad}// {}\n{pad}\"{}\": [", word(&list.zh, &list.en), list.path.name());
            for item in items {
                let _ = writeln!(out, "{pad}  {},", text(item));
            }
            let _ = writeln!(out, "{pad}],");
            continue;
        }
        let _ = writeln!(out, "{pad}// {}\n{pad}\"{}\": [{{", word(&list.zh, &list.en), list.path.name());
        if let Some(item) = Path::parse(&format!("{}[]", list.path)) {
            object(kind, &item, (indent + 2, chinese), None, out);
        }
        let _ = writeln!(out, "{pad}}}],");
    }
}

fn text(value: &Value) -> String {
    String::from_utf8(value.canonical()).unwrap_or_default()
}

/// What is to be filled in: nothing that a check would let pass unseen.
fn blank(field: &Field) -> &'static str {
    match field.kind {
        FieldKind::Integer { .. } | FieldKind::Boolean => "null",
        FieldKind::Choices(_) => "[]",
        FieldKind::Amount { .. } if field.absent.is_some() => "\"0.00\"",
        _ => "\"\"",
    }
}
