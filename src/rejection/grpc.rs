//! The response to a gRPC request.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header::CONTENT_TYPE};

use super::Rejection;

const GRPC: &str = "application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_RETRY_PUSHBACK_MS: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

const RESOURCE_EXHAUSTED: HeaderValue = HeaderValue::from_static("8");
const UNAVAILABLE: HeaderValue = HeaderValue::from_static("14");

/// Returns the media type of a gRPC or gRPC-Web request, in lower case and without parameters.
///
/// The response has to repeat it: clients distinguish gRPC, gRPC-Web and their codecs by it.
pub(super) fn media_type(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(CONTENT_TYPE)?.as_bytes();
    if !value
        .get(..GRPC.len())?
        .eq_ignore_ascii_case(GRPC.as_bytes())
    {
        return None;
    }
    let end = value.iter().position(|&byte| byte == b';');
    let media_type = value[..end.unwrap_or(value.len())].trim_ascii();
    HeaderValue::from_bytes(&media_type.to_ascii_lowercase()).ok()
}

impl Rejection {
    /// Returns the gRPC response to this rejection: status 200, no body, and in the headers
    ///
    /// * `grpc-status`: `RESOURCE_EXHAUSTED` (8) if the request was
    ///   [rate limited](Self::is_rate_limited), else `UNAVAILABLE` (14),
    /// * `grpc-message`: the rejection as text, which names the resource,
    /// * `grpc-retry-pushback-ms`: [`retry_after`](Self::retry_after) in milliseconds, rounded up
    ///   and at most [`i32::MAX`], if it is known,
    /// * `content-type`: that of the request, if a layer rejected it, else `application/grpc`.
    ///
    /// It is the default response of a layer to gRPC requests. In a handler, create a
    /// `tonic::Status` from its headers, as shown in the [guide](crate::guide::grpc).
    pub fn grpc_response(&self) -> Response<Bytes> {
        self.clone().into_grpc_response()
    }

    pub(crate) fn into_grpc_response(self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        let headers = response.headers_mut();
        let media_type = self.grpc_media_type().cloned();
        let media_type = media_type.unwrap_or(HeaderValue::from_static(GRPC));
        headers.insert(CONTENT_TYPE, media_type);
        let status = match self.by_rate {
            true => RESOURCE_EXHAUSTED,
            false => UNAVAILABLE,
        };
        headers.insert(GRPC_STATUS, status);
        headers.insert(GRPC_MESSAGE, percent_encoded(&self.to_string()));
        if let Some(after) = self.retry_after {
            headers.insert(GRPC_RETRY_PUSHBACK_MS, milliseconds(after).into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Encodes a message as gRPC specifies: `%` and bytes that are not printable ASCII.
fn percent_encoded(message: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(byte.into()),
            _ => write!(encoded, "%{byte:02X}").expect("a string takes all"),
        }
    }
    HeaderValue::try_from(encoded).expect("printable ASCII")
}

/// Rounds up. gRPC clients read a signed integer of 32 bits, and treat any other value as "never".
fn milliseconds(duration: Duration) -> i32 {
    let rounded_up = duration.as_nanos().div_ceil(1_000_000);
    i32::try_from(rounded_up).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media_type_of(content_type: &'static str) -> Option<String> {
        let value = HeaderValue::from_static(content_type);
        let media_type = media_type(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))?;
        Some(media_type.to_str().expect("ASCII").to_owned())
    }

    #[test]
    fn the_media_type_of_a_grpc_request_is_kept_without_parameters() {
        for (content_type, expected) in [
            ("application/grpc", "application/grpc"),
            ("application/grpc+proto", "application/grpc+proto"),
            ("application/grpc+json", "application/grpc+json"),
            ("application/grpc; charset=utf-8", "application/grpc"),
            ("application/grpc ;a=b;c=d", "application/grpc"),
            ("Application/GRPC+Proto", "application/grpc+proto"),
            ("application/grpc-web", "application/grpc-web"),
            (
                "application/grpc-web-text+proto",
                "application/grpc-web-text+proto",
            ),
        ] {
            assert_eq!(media_type_of(content_type).as_deref(), Some(expected));
        }
    }

    #[test]
    fn other_requests_are_not_grpc() {
        for content_type in [
            "",
            "application/json",
            "application/grp",
            "text/plain; a=application/grpc",
            "application/connect+proto",
        ] {
            assert_eq!(media_type_of(content_type), None, "{content_type:?}");
        }
        assert_eq!(media_type(&HeaderMap::new()), None);
    }

    #[test]
    fn messages_are_percent_encoded() {
        for (message, expected) in [
            ("a \"b\" ~", "a \"b\" ~"),
            ("100%", "100%25"),
            ("größe", "gr%C3%B6%C3%9Fe"),
            ("a\r\nb\u{7f}", "a%0D%0Ab%7F"),
            ("", ""),
        ] {
            assert_eq!(percent_encoded(message), expected);
        }
    }

    #[test]
    fn push_back_is_rounded_up_and_fits_32_bits() {
        for (duration, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(1_500), 1_500),
            (Duration::from_micros(1_500_001), 1_501),
            (Duration::from_millis(i32::MAX as u64), i32::MAX),
            (Duration::from_secs(3_000_000), i32::MAX),
            (Duration::MAX, i32::MAX),
        ] {
            assert_eq!(milliseconds(duration), expected);
        }
    }
}
