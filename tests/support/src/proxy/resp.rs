//! Where the frames of Redis' protocol end (RESP2 and RESP3).

/// The length of the first frame; `None` while it is not complete.
///
/// # Panics
///
/// When this is not Redis' protocol.
pub(super) fn frame_length(bytes: &[u8]) -> Option<usize> {
    let mut end = 0;
    // Frames that are still to come: each is one, and may bring more.
    let mut frames = 1_usize;
    while frames > 0 {
        let line = line(&bytes[end..])?;
        let (kind, rest) = (line.first().copied(), line.get(1..).unwrap_or_default());
        end += line.len() + 2;
        frames -= 1;
        match kind {
            Some(b'$' | b'!' | b'=') => {
                if let Some(length) = count(rest) {
                    end += length + 2;
                }
            }
            Some(b'*' | b'~' | b'>') => frames += count(rest).unwrap_or(0),
            Some(b'%') => frames += 2 * count(rest).unwrap_or(0),
            // Attributes stand before what they belong to.
            Some(b'|') => frames += 2 * count(rest).unwrap_or(0) + 1,
            // A line is all there is; also a command that is not in frames.
            _ => (),
        }
        if end > bytes.len() {
            return None;
        }
    }
    Some(end)
}

/// The words of a command or of a push.
pub(super) fn words(frame: &[u8]) -> impl Iterator<Item = &str> {
    let mut rest = frame;
    let is_framed = matches!(rest.first(), Some(b'*' | b'>'));
    if is_framed {
        rest = line(rest).map_or(&[], |line| &rest[line.len() + 2..]);
    }
    std::iter::from_fn(move || {
        let head = line(rest)?;
        if !is_framed {
            rest = &[];
            return std::str::from_utf8(head).ok()?.split(' ').next();
        }
        let length = count(head.get(1..)?)?;
        let word = rest.get(head.len() + 2..)?.get(..length)?;
        rest = rest.get(head.len() + length + 4..)?;
        std::str::from_utf8(word).ok()
    })
}

fn line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some(&bytes[..end])
}

/// `None` for a null: -1.
fn count(digits: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(digits).expect("a length");
    match digits.parse::<isize>() {
        Ok(number) => number.try_into().ok(),
        Err(_) => panic!("{digits:?} is no length"),
    }
}
