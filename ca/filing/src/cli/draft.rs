//! A draft: the form's every field with its explanation beside it, to be filled in with any editor.

use std::fmt::Write;

use policies::authority::CITY;
use policies::filing::{Field, FieldKind, FilingPeriod, Kind, Path, Role, Step};
use policies::identity::CreditCode;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::document::{Attachment, FilingId, MandateId, Object, Value};

/// What stands above the form.
pub(super) struct Head<'a> {
    pub kind: &'a Kind,
    pub period: FilingPeriod,
    pub code: CreditCode,
    pub id: FilingId,
    pub revision: u32,
    /// The filing of the revision before.
    pub previous: Option<FilingId>,
    pub attachments: Vec<Attachment>,
    pub mandate: Option<MandateId>,
    /// Of a mandate that is kept here.
    pub agent: Option<CreditCode>,
    pub region: Option<String>,
    pub created_at: OffsetDateTime,
    /// Who draws it up, and in which role.
    pub prepared_by: Option<String>,
}

/// JSON with comments, as `check` and `sign` read it.
pub(super) fn written(head: &Head<'_>, given: Option<&Object>, chinese: bool) -> String {
    let Head { kind, period, code, id, revision, previous, attachments, mandate, .. } = head;
    let (title, title_en) = kind.titles();
    let mut out = String::new();
    let _ = writeln!(out, "// {}", if chinese { title } else { title_en });
    let attachments: Vec<String> = attachments.iter().map(|one| text(&one.value())).collect();
    let _ = writeln!(out, "{{\n  \"attachments\": [{}],\n  \"filing_id\": \"{id}\",", attachments.join(", "));
    if let Some(version) = kind.form_version() {
        let _ = writeln!(out, "  \"form_version\": \"{version}\",");
    }
    let _ = writeln!(out, "  \"kind\": \"{}\",\n  \"uscc\": \"{}\",\n  \"period\": \"{period}\",\n  \"revision\": {revision},", kind.name(), code.as_str());
    if let Some(previous) = previous {
        let _ = writeln!(out, "  \"prev_filing_id\": \"{previous}\",");
    }
    let role = if mandate.is_some() { Role::Agent } else { Role::Operator };
    let _ = writeln!(out, "  \"signer_role\": \"{}\",", role.name());
    if let Some(mandate) = mandate {
        let _ = writeln!(out, "  \"mandate\": \"{mandate}\",");
    }
    people(head, role, chinese, &mut out);
    out += "  \"payload\": {\n";
    object(kind, &Path::default(), (4, chinese), given, &mut out);
    out += "  },\n}\n";
    out
}

/// Place, time and people: written where they are known, else as comments.
fn people(head: &Head<'_>, role: Role, chinese: bool, out: &mut String) {
    let Head { mandate, agent, region, created_at, prepared_by, .. } = head;
    let mut explained = |zh: &str, en: &str, member: &str, value: Option<String>, example: &str| {
        let _ = writeln!(out, "  // {}", if chinese { zh } else { en });
        let _ = match value {
            Some(value) => writeln!(out, "  \"{member}\": {value},"),
            None => writeln!(out, "  // \"{member}\": {example},"),
        };
    };
    let quoted = |text: &str| format!("\"{text}\"");
    explained("受理地区代码（GB/T 2260 六位），可改为下级地区", "where it is filed: six digits of GB/T 2260; a district's may be written", "region", region.as_deref().map(quoted), "\"\"");
    let moment = created_at.to_offset(CITY).replace_nanosecond(0).ok().and_then(|at| at.format(&Rfc3339).ok());
    explained("编制时间", "when it was drawn up", "created_at", moment.as_deref().map(quoted), "\"\"");
    let person = prepared_by.as_ref().map(|person| format!("{{\"person_ref\": \"{person}\", \"role\": \"{}\"}}", role.name()));
    explained("编制人：person_ref 为姓名或单位内编号，不要写证件或手机号码；role 为其身份", "who drew it up: person_ref is a name or a staff number, never a person's number; role as above", "prepared_by", person, &format!("{{\"person_ref\": \"\", \"role\": \"{}\"}}", role.name()));
    if let Some(mandate) = mandate {
        let agent = agent.as_ref().map(|agent| format!("{{\"uscc\": \"{}\", \"mandate_id\": \"{mandate}\"}}", agent.as_str()));
        explained("代理单位与委托编号", "the agent, and the mandate", "agent", agent, &format!("{{\"uscc\": \"\", \"mandate_id\": \"{mandate}\"}}"));
    }
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
