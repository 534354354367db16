//! `GET /receipts/NUMBER`: receipt and seal for programs; `.html` and `.pdf` for people; `.json` and `.p7s` as files.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::filings::encoded;
use super::{Public, Refused, worked};
use crate::desk::flow::seal;
use crate::desk::problem::DeskError;
use crate::desk::receipt::{html, pdf};
use crate::desk::record::receipt::ReceiptNumber;

pub async fn one(State(public): State<Arc<Public>>, Path(file): Path<String>) -> Result<Response, Refused> {
    let (name, form) = file.split_once('.').map_or((file.as_str(), ""), |(name, form)| (name, form));
    let missing = || DeskError::NotFound { what: "receipt", id: file.chars().take(80).collect() };
    let number = ReceiptNumber::parse(name).ok_or_else(missing)?;
    let sealed = worked(move || seal::stored(&public.desk, &number)).await?.ok_or_else(missing)?;
    // Who has its number may keep it; a cache between may not.
    let (kind, body) = match form {
        "" => return Ok(([(header::CACHE_CONTROL, "no-store")], Json(encoded(&sealed))).into_response()),
        "json" => ("application/json", sealed.document),
        "p7s" => ("application/pkcs7-signature", sealed.seal),
        "html" => ("text/html; charset=utf-8", html::page(&sealed.document)?.into_bytes()),
        "pdf" => ("application/pdf", pdf::page(&sealed.document)?),
        _ => return Err(missing().into()),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The page runs nothing and fetches nothing.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    Ok((headers, body).into_response())
}
