//! A receipt as a page: Chinese first, one table, read well by a screen reader and on a telephone, nothing fetched.

use std::fmt::Write as _;

use super::rows;
use crate::desk::problem::DeskError;

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
        out
    })
}

/// Of the receipt's canonical octets.
pub fn page(document: &[u8]) -> Result<String, DeskError> {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"zh-CN\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>申报回执</title>\n\
         <style>body{font:1rem/1.5 sans-serif;margin:1rem auto;max-width:48rem;padding:0 1rem;color:#111;background:#fff}table{border-collapse:collapse;width:100%}th,td{border-top:1px solid #767676;padding:.4rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}th{width:14rem;font-weight:600}th span{display:block;font-weight:400;color:#4a4a4a;font-size:.85rem}</style>\n\
         </head>\n<body>\n<main>\n<h1>申报回执 <span lang=\"en\">Receipt</span></h1>\n<table>\n<caption>由受理单位加盖电子印章；请保存 JSON 与印章文件 <span lang=\"en\">Sealed by the bureau; keep the JSON and its seal</span></caption>\n<tbody>\n",
    );
    for (zh, en, value) in rows(document)? {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "<tr><th scope=\"row\">{zh}<span lang=\"en\">{en}</span></th><td>{}</td></tr>", escaped(&value));
    }
    page.push_str("</tbody>\n</table>\n<p>离线查验：<code>filing receipt verify</code>，只需本市根证书。 <span lang=\"en\">Verify offline with nothing but the city's root.</span></p>\n</main>\n</body>\n</html>\n");
    Ok(page)
}
