//! The response as problem details (RFC 9457).

use std::fmt::{self, Write as _};

use bytes::Bytes;
use http::Response;

use super::Rejection;

impl Rejection {
    /// Returns the HTTP response to this rejection as problem details ([RFC
    /// 9457](https://www.rfc-editor.org/rfc/rfc9457)). The status and the headers are those of the
    /// default response, the media type is `application/problem+json`, and the body is, in one
    /// line,
    ///
    /// ```json
    /// {
    ///   "type": "about:blank",
    ///   "title": "Service Unavailable",
    ///   "status": 503,
    ///   "detail": "the queue is full for resource \"db\"",
    ///   "resource": "db",
    ///   "reason": "queue_full",
    ///   "retry_after": 3
    /// }
    /// ```
    ///
    /// `reason` is [`Reason::as_str`](super::Reason::as_str). `retry_after` is the number of
    /// seconds in the header `retry-after`, and is absent without that header. With
    /// [`reject_with_too_many_requests`](crate::limiter::LimiterBuilder::reject_with_too_many_requests),
    /// `status` may be 429 and `title` `Too Many Requests`.
    ///
    /// If a layer rejected a gRPC request, this returns [`grpc_response`](Self::grpc_response).
    ///
    /// To use it for all layers of a limiter, pass it to
    /// [`LimiterBuilder::on_reject`](crate::limiter::LimiterBuilder::on_reject); for one of them,
    /// pass [`ProblemDetails`](crate::middleware::ProblemDetails) to its `reject_with`.
    ///
    /// ```
    /// use tower_concurrency_limiter::{Limiter, Resource};
    ///
    /// let db = Resource::new("db", 5);
    /// let limiter = Limiter::builder()
    ///     .resources([&db])
    ///     .on_reject(|rejection| rejection.problem_response())
    ///     .build();
    /// ```
    pub fn problem_response(&self) -> Response<Bytes> {
        if self.grpc_media_type().is_some() {
            return self.grpc_response();
        }
        let body = self.problem().expect("a string takes all");
        self.clone()
            .http_response("application/problem+json", body.into())
    }

    fn problem(&self) -> Result<String, fmt::Error> {
        let status = self.status();
        let mut body = String::with_capacity(256);
        body.push_str(r#"{"type":"about:blank""#);
        let title = status.canonical_reason().unwrap_or_default();
        write!(body, r#","title":"{title}","status":{}"#, status.as_u16())?;
        write!(body, r#","detail":{}"#, Json(&self.to_string()))?;
        write!(body, r#","resource":{}"#, Json(&self.resource))?;
        write!(body, r#","reason":"{}""#, self.reason.as_str())?;
        if let Some(seconds) = self.retry_after_seconds() {
            write!(body, r#","retry_after":{seconds}"#)?;
        }
        body.push('}');
        Ok(body)
    }
}

/// Displays a text as a JSON string.
struct Json<'a>(&'a str);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\0'..='\x1f' => write!(f, "\\u{:04x}", u32::from(c))?,
                _ => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_control_characters_are_escaped() {
        let hostile = "a\"b\\c\n\u{0}\u{1f}/é";
        let expected = r#""a\"b\\c\u000a\u0000\u001f/é""#;
        assert_eq!(Json(hostile).to_string(), expected);
        assert_eq!(Json("").to_string(), "\"\"");
    }
}
