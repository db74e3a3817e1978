//! The page: what `collector/ui` was built into, embedded; without it a plain page says how to build it.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

#[derive(rust_embed::RustEmbed)]
#[folder = "ui/dist"]
#[allow_missing = true]
struct Assets;

const PLACEHOLDER: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Flowgauge</title></head><body>\n\
<h1>Flowgauge</h1>\n<p>The collector runs, but its page was not built into this binary. Build it with\n\
<code>cd collector/ui &amp;&amp; npm ci &amp;&amp; npm run build</code>, then build the collector again; <code>make demo</code> does both.</p>\n\
<p>The API works: <a href=\"/api/v1/status\">status</a>, <a href=\"/api/v1/flows?limit=10\">flows</a>,\n\
<a href=\"/api/openapi.json\">description</a>.</p>\n</body></html>\n";

/// An asset, or the page itself for every path that the page routes on its own.
pub async fn page(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Problem::not_found(format!("there is no /{path}; /api/openapi.json lists what there is"))
            .into_response();
    }
    if let Some(asset) = Assets::get(path).filter(|_| !path.is_empty()) {
        return serve(path, &asset, &headers);
    }
    // Names with a dot are files; the others are places within the page.
    if path.rsplit('/').next().is_some_and(|name| name.contains('.')) {
        return Problem::not_found(format!("there is no /{path}")).into_response();
    }
    match Assets::get("index.html") {
        Some(index) => serve("index.html", &index, &headers),
        None => (
            [(
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            )],
            PLACEHOLDER,
        )
            .into_response(),
    }
}

/// Vite puts a hash of the content into the names under `assets/`: those never change.
fn serve(path: &str, asset: &rust_embed::EmbeddedFile, headers: &HeaderMap) -> Response {
    let hash: String = asset
        .metadata
        .sha256_hash()
        .iter()
        .take(16)
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let tag = format!("\"{hash}\"");
    let cache = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|sent| sent.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = HeaderValue::from_static(content_type(path));
        ([(header::CONTENT_TYPE, kind)], asset.data.clone().into_owned()).into_response()
    };
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" | "webmanifest" => "application/json",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
